"""Files of a room: their names, which rooms are done, and how a room appears.

View V of room NNNNN is NNNNN_V.jpg with NNNNN_V.png. A room is done when all its files are there. They are written to a folder of their own
and moved out when the last is complete, depth maps first, the picture of the last view last; so a picture never lacks its depth map, and
what a killed run left of a room is made again, with the same bytes.
"""

import contextlib
import shutil
from pathlib import Path

import cv2

from fgbg_depth.errors import StorageError, UsageError
from fgbg_depth.files import storage_errors

JPEG_QUALITY = 92
MAX_ROOM = 99_999  # five digits
TEMP_PREFIX = ".room-"


def view_name(room, view):
    """NNNNN_V, without an ending."""
    return f"{room:05d}_{view}"


def room_files(room, views):
    """Names of a room's files in the order in which they appear."""
    names = [view_name(room, v) for v in range(views)]
    return [f"{n}.png" for n in names] + [f"{n}.jpg" for n in names]


def check_range(first, rooms, views):
    """Refuse numbers that the file names can't hold."""
    if first < 0 or rooms < 1 or first + rooms - 1 > MAX_ROOM:
        last = first + rooms - 1
        raise UsageError(f"rooms {first} to {last}: expected at least one, numbered 0 to {MAX_ROOM}; change --first or --rooms")
    if not 1 <= views <= 10:
        raise UsageError(f"--views {views}: expected 1 to 10, as the name of a file has one digit for it")


def is_done(folder, room, views):
    """Are all files of a room there?"""
    return all((Path(folder) / name).is_file() for name in room_files(room, views))


def missing_rooms(folder, first, rooms, views):
    """Numbers of the rooms that have to be made, in order."""
    present = {path.name for path in Path(folder).iterdir()} if Path(folder).is_dir() else set()
    return [n for n in range(first, first + rooms) if not present.issuperset(room_files(n, views))]


def clean(folder):
    """Remove the working folders that a killed run left. Only for the one run that works in the folder."""
    for path in sorted(Path(folder).glob(f"{TEMP_PREFIX}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def write_room(folder, room, images, depths_mm):
    """Write all views of a room; none of them is visible before all are complete.

    Args:
        folder: where the views are.
        room: number.
        images: list of (H, W, 3) uint8 RGB.
        depths_mm: list of (H, W) uint16 [mm].

    Raises:
        StorageError: the disk is full or can't be written.
    """
    folder = Path(folder)
    work = folder / f"{TEMP_PREFIX}{room:05d}"
    with storage_errors(folder):
        work.mkdir(parents=True, exist_ok=True)
        try:
            for v, (image, depth_mm) in enumerate(zip(images, depths_mm, strict=True)):
                name = view_name(room, v)
                _write(work / f"{name}.png", ".png", depth_mm, [cv2.IMWRITE_PNG_COMPRESSION, 9])
                _write(work / f"{name}.jpg", ".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            for name in room_files(room, len(images)):
                (work / name).replace(folder / name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(work)


def _write(path, ending, array, options):
    good, data = cv2.imencode(ending, array, options)
    if not good:
        raise StorageError(f"{path}: OpenCV can't encode an array of shape {array.shape} as {ending}")
    path.write_bytes(data.tobytes())
