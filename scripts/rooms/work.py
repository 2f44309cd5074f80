"""Making rooms: one after another, in one process or several.

A room with too few good views, or with a view that looks out through a seam, is drawn again with the next attempt's chance; that too
depends on the seed and the number only.
"""

import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import cv2

from fgbg_depth.errors import DataError, UsageError
from fgbg_depth.keyed import key64

from .camera import choose, interest, is_whole
from .catalogue import Catalogue
from .develop import depth_to_mm, develop
from .files import write_room
from .scene import draw_scene, stream
from .trace import Tracer

ATTEMPTS = 10  # most rooms need one, a corridor full of things two or three
PICTURE_ENDINGS = {".jpg", ".jpeg", ".png"}
PANORAMA_PX = 640  # longer side in memory; a window is seldom wider than half the picture


@dataclass(frozen=True)
class Job:
    """What all rooms of a run share."""

    out: str
    furniture: str
    panoramas: tuple
    seed: int = 0
    views: int = 4
    size_px: int = 224
    samples: int = 10


class Maker:
    """Makes rooms one by one; holds the renderer, the furniture and the panoramas."""

    def __init__(self, job):
        self.job = job
        self.catalogue = Catalogue(job.furniture)
        self.panoramas = [read_panorama(path) for path in job.panoramas]
        self.tracer = Tracer(self.catalogue, job.size_px, job.samples)

    def make(self, room):
        """Render a room and write it. Returns one word each on its kind, its light and the number of its attempts."""
        for attempt in range(ATTEMPTS):
            scene = draw_scene(self.job.seed, room, self.job.views, self.catalogue.sizes, self.panoramas, attempt)
            loaded = self.tracer.load(scene, stream(self.job.seed, room, "colours", attempt))
            chosen = self._choose(scene, loaded, room, attempt)
            depths = self._depths(loaded, chosen) if chosen else None
            if depths:
                write_room(self.job.out, room, self._pictures(scene, loaded, chosen, room), depths)
                return scene.plan.kind, scene.mood.name, attempt + 1
        raise DataError(f"room {room}: no good views in {ATTEMPTS} attempts; this seed's room can't be made, choose another --seed")

    def _choose(self, scene, loaded, room, attempt):
        scores = [interest(self.tracer.probe(loaded, view)) for view in scene.candidates]
        picked = choose(scores, self.job.views, stream(self.job.seed, room, "choice", attempt))
        if picked is None:
            return None
        if scores[0] > 0 and 0 not in picked:
            picked[-1] = 0
        return [scene.candidates[i] for i in sorted(picked)]

    def _depths(self, loaded, views):
        """Depth of each view as it is stored, or None if one isn't whole. A picture takes far longer, so this comes first."""
        depths = []
        for view in views:
            depth_m = self.tracer.depth(loaded, view)
            if not is_whole(depth_m):  # the probe that chose it has 1 ray for some 64 of these
                return None
            depths.append(depth_to_mm(depth_m))
        return depths

    def _pictures(self, scene, loaded, views, room):
        images = []
        for v, view in enumerate(views):
            noise = key64("noise", self.job.seed, room, v) % 2**32
            exposure = scene.mood.exposure * float(stream(self.job.seed, room, f"exposure {v}").lognormal(0, 0.15))
            images.append(develop(self.tracer.picture(loaded, view, noise), exposure))
        return images


def make_rooms(job, rooms, jobs):
    """Make rooms, in `jobs` processes.

    Args:
        job: Job.
        rooms: list of numbers.
        jobs: number of processes; with 1 it is this one.

    Yields:
        (number, (kind, light, attempts)) of each room, as they are finished.
    """
    if jobs == 1:
        maker = Maker(job)
        for room in rooms:
            yield room, maker.make(room)
        return
    # Spawned, not forked: the renderer's threads don't survive a fork.
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(rooms)), _begin, (job,)) as pool:
        yield from pool.imap_unordered(_make, rooms)


_job = _maker = None  # of a worker process


def _begin(job):
    global _job
    _job = job


def _make(room):
    global _maker
    if _maker is None:  # not in `_begin`: a pool starts a worker that fails there again and again, and never says why
        _maker = Maker(_job)
    return room, _maker.make(room)


def list_panoramas(paths):
    """Picture files among files and folders, sorted by name.

    Raises:
        UsageError: a path is missing, or a folder has no pictures.
    """
    found = []
    for path in map(Path, paths):
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_ENDINGS) if path.is_dir() else [path]
        if not inside or not all(p.is_file() for p in inside):
            raise UsageError(
                f"--panoramas {path}: no picture (.jpg, .png) there; give pictures or folders of them; drawn skies come without it"
            )
        found += inside
    return tuple(str(p) for p in sorted(found, key=lambda p: (p.name, str(p))))


def read_panorama(path):
    """(H, W, 3) uint8 RGB, at most PANORAMA_PX wide and high."""
    array = cv2.imread(path, cv2.IMREAD_COLOR)
    if array is None:
        raise DataError(f"{path}: can't be read as a picture; remove it from --panoramas")
    scale = PANORAMA_PX / max(array.shape[:2])
    if scale < 1:
        array = cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return array[:, :, ::-1].copy()
