"""Trees as the notebook of 2020 wrote them, in small: JPEGs throughout, soft masks of quality 30, depth maps of half the size.

`tree_files` gives all files of a tree by name, and what was drawn; `write_files` and `write_zips` put them on the disk.
"""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE_PX, BOX = 64, (32, 24)
BACKGROUNDS, FOREGROUNDS, PLACEMENTS = ("BG_1", "bg 2", "bg__3"), ("Ann", "bob_7"), 3
FIRST_PLACEMENT = 1  # the original counted from one: nothing here may rely on zero


@dataclass(frozen=True)
class Drawn:
    """What was drawn: the name's parts, and the soft mask before JPEG."""

    background: str
    foreground: str
    flipped: bool
    placement: int
    mask: np.ndarray


def jpeg(array, quality):
    """JPEG bytes of an (H, W) or (H, W, 3) uint8 array."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(array):
    """PNG bytes of an array."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def tree_files():
    """({path: bytes}, {stem: Drawn}) of a whole tree."""
    files, drawn = {}, {}
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    rooms = {name: np.stack([x * 3, y * 3, (x + y) * (1 + n)], -1).clip(0, 255).astype(np.uint8) for n, name in enumerate(BACKGROUNDS)}
    cutouts = {name: _cutout(n) for n, name in enumerate(FOREGROUNDS)}
    for name, room in rooms.items():
        files[f"inp_bg/{name}.jpg"] = jpeg(room, 90)
    for name, rgba in cutouts.items():
        files[f"inp_fg/{name}.png"] = png(rgba)
        files[f"inp_fg_masks/{name}.jpg"] = jpeg(rgba[..., 3], 30)
    rng = np.random.default_rng(0)
    for background, room in rooms.items():
        for foreground, rgba in cutouts.items():
            for flipped in (False, True):
                for k in range(FIRST_PLACEMENT, FIRST_PLACEMENT + PLACEMENTS):
                    left, top = rng.integers(1, SIDE_PX - BOX[0]), rng.integers(1, SIDE_PX - BOX[1])
                    stem = f"{background}__{'flip_' if flipped else ''}{foreground}_{k}"
                    mask = _draw(files, background, stem, room, rgba[:, ::-1] if flipped else rgba, left, top)
                    drawn[stem] = Drawn(background, foreground, flipped, k, mask)
    return files, drawn


def _cutout(number):
    y, x = np.mgrid[0 : BOX[1], 0 : BOX[0]]
    radius = np.hypot((x - BOX[0] / 2) / (BOX[0] / 2.2), (y - BOX[1] / 2) / (BOX[1] / 2.2 - number))
    rgba = np.empty((BOX[1], BOX[0], 4), np.uint8)
    rgba[..., :3] = (200, 40 + 90 * number, 30)
    rgba[: BOX[1] // 3, : BOX[0] // 3, :3] = 250  # so that a mirrored one looks otherwise
    rgba[..., 3] = np.clip((1 - radius) * 5, 0, 1) * 255
    return rgba


def _draw(files, background, stem, room, rgba, left, top):
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    part = slice(top, top + BOX[1]), slice(left, left + BOX[0])
    mask[part] = rgba[..., 3]
    image, alpha = room.astype(np.float32), rgba[..., 3:] / 255
    image[part] = rgba[..., :3] * alpha + image[part] * (1 - alpha)
    half = np.asarray(Image.fromarray(image.astype(np.uint8)).convert("L").resize((SIDE_PX // 2,) * 2), np.float32)
    depth = np.rint((half - half.min()) / (half.max() - half.min()) * 255)
    files[f"fg_bg/{background}/{stem}.jpg"] = jpeg(image, 50)
    files[f"fg_bg_masks/{background}/{stem}.jpg"] = jpeg(mask, 30)
    files[f"depth_maps/{background}/{stem}.jpg"] = jpeg(depth, 90)
    return mask


def write_files(folder, files):
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zips(folder, files, top="dataset"):
    """Put the rows of each background into a zip of its own, below a top folder; other files lie beside the zips."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: data for name, data in files.items() if not name.startswith("inp_")}
    write_files(folder, {name: data for name, data in files.items() if name.startswith("inp_")})
    for number, background in enumerate(BACKGROUNDS):
        method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2]
        with zipfile.ZipFile(folder / f"part_{number}.zip", "w", method) as archive:
            for name in sorted(n for n in rows if n.split("/")[1] == background):
                archive.writestr(f"{top}/{name}", rows[name])
    return folder
