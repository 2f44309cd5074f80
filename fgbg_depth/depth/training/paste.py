"""Cut-outs pasted into rooms at a known nearer depth, since composites are what the network will see.

A cut-out is flat: it gets one depth. Where it stands on something (the depth under its feet is clearly nearer than what
it hides), it takes the depth of that place; else it floats in front of all it hides. The label switches at alpha 0.5.
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from fgbg_depth.errors import DataError, UsageError

MAX_CUTOUT_PX = 288  # longest side kept in memory: twice the largest size that is pasted
HELD_OUT_PERCENT = 20  # cut-outs that only the evaluation pastes
VISIBLE_ALPHA = 8  # of 255: margins that are fainter are cut off before sizing
HEIGHT_PX = (40, 140)  # drawn height of a pasted cut-out; the default recipe's box gives 70
MAX_WIDTH_PX = 160  # of 224: wide groups leave some room visible
STAND_RATIO = 0.9  # it stands if the depth under its feet is below this part of the median depth hidden
STAND_SHARE = 0.75  # part of those that could stand which do; the rest float
FLOAT_RANGE = (0.5, 0.9)  # a floating cut-out's depth, as a part of the nearest tenth of the depth it hides
MIN_DEPTH_MM = 300  # nearer than any camera would be held
MASK_ALPHA = 0.5  # label and mask switch here


def is_held_out(name):
    """Whether a cut-out is kept for the evaluation, by a hash of its file name without ending."""
    return int.from_bytes(hashlib.sha256(f"cut-out {name}".encode()).digest()[:8], "big") % 100 < HELD_OUT_PERCENT


def load_cutouts(folder, held_out):
    """Read the cut-outs of a folder, either those for training or those for the evaluation.

    Args:
        folder: folder of RGBA PNG files.
        held_out: bool, which part.

    Returns:
        list of (name, rgba): rgba is (h, w, 4) float32 in [0, 1], RGB premultiplied by alpha, trimmed to its visible part.

    Raises:
        UsageError: no folder, or no PNG file in it, or none in this part.
        DataError: a file can't be read, has no alpha, or nothing visible.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder with the cut-outs (RGBA PNG files)")
    paths = [p for p in sorted(folder.glob("*.png")) if is_held_out(p.stem) == held_out]
    if not paths:
        part = "for the evaluation" if held_out else "for training"
        raise UsageError(f"{folder}: no PNG file in it is {part}; more cut-outs are needed")
    return [(p.stem, _read_cutout(p)) for p in paths]


def resize_cutout(rgba, height_px, width_px):
    """Resize a premultiplied cut-out once, by area when smaller, so that no fringe appears.

    Args:
        rgba: (h, w, 4) float32 in [0, 1], premultiplied.

    Returns:
        (height_px, width_px, 4) float32 in [0, 1], premultiplied.
    """
    smaller = height_px <= rgba.shape[0]
    return np.clip(cv2.resize(rgba, (width_px, height_px), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), 0, 1)


def contain_size(rgba, box_width_px, box_height_px):
    """(height_px, width_px) of a cut-out that fills a box as far as its aspect allows, at least 1 pixel."""
    scale = min(box_width_px / rgba.shape[1], box_height_px / rgba.shape[0])
    return max(1, round(rgba.shape[0] * scale)), max(1, round(rgba.shape[1] * scale))


def paste(image, rgba, x_px, y_px):
    """Put a cut-out over a picture, with the parts outside cut off.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        rgba: (h, w, 4) float32 in [0, 1], premultiplied.
        x_px, y_px: left and top of the cut-out on the picture; may be negative.

    Returns:
        (composite, mask): (H, W, 3) uint8 RGB, rounded; (H, W) bool where alpha >= 0.5.
    """
    height, width = image.shape[:2]
    left, top = max(0, x_px), max(0, y_px)
    right, bottom = min(width, x_px + rgba.shape[1]), min(height, y_px + rgba.shape[0])
    composite, mask = image.copy(), np.zeros((height, width), bool)
    if left < right and top < bottom:
        part = rgba[top - y_px : bottom - y_px, left - x_px : right - x_px]
        under = composite[top:bottom, left:right].astype(np.float32)
        over = part[:, :, :3] * 255.0 + under * (1.0 - part[:, :, 3:])
        composite[top:bottom, left:right] = np.clip(np.rint(over), 0, 255).astype(np.uint8)
        mask[top:bottom, left:right] = part[:, :, 3] >= MASK_ALPHA
    return composite, mask


def place_depth_mm(depth_mm, mask, rng):
    """Draw the depth of a cut-out that hides the pixels of a mask.

    Args:
        depth_mm: (H, W) uint16 [mm], before the cut-out is there.
        mask: (H, W) bool, not empty.
        rng: numpy Generator; two numbers are drawn whatever the case.

    Returns:
        int [mm], at least MIN_DEPTH_MM.
    """
    stand_draw, float_draw = rng.random(), rng.uniform(*FLOAT_RANGE)
    hidden = depth_mm[mask]
    lowest = np.flatnonzero(mask.any(axis=1))[-3:]
    feet = np.median(depth_mm[lowest][mask[lowest]])
    if feet < STAND_RATIO * np.median(hidden) and stand_draw < STAND_SHARE:
        return max(MIN_DEPTH_MM, round(feet))
    return max(MIN_DEPTH_MM, round(float_draw * np.quantile(hidden, 0.1)))


def paste_random(image, depth_mm, cutouts, rng):
    """Paste one random cut-out at a random size and place, with its depth.

    Args:
        image: (H, W, 3) uint8 RGB. depth_mm: (H, W) uint16 [mm]. Neither is changed.
        cutouts: list as `load_cutouts` returns.
        rng: numpy Generator.

    Returns:
        (image, depth_mm) of the same shapes and dtypes.
    """
    height, width = image.shape[:2]
    _, rgba = cutouts[rng.integers(len(cutouts))]
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    h_px = int(rng.integers(HEIGHT_PX[0], HEIGHT_PX[1] + 1))
    h_px, w_px = contain_size(rgba, MAX_WIDTH_PX, h_px)
    small = resize_cutout(np.ascontiguousarray(rgba), h_px, w_px)
    small[:, :, :3] = np.minimum(small[:, :, :3] * rng.uniform(0.7, 1.2), small[:, :, 3:])  # its light needn't be the room's
    x_px = int(rng.integers(-w_px // 6, width - w_px + w_px // 6 + 1))
    y_px = int(rng.integers(-h_px // 6, height - h_px + h_px // 6 + 1))
    composite, mask = paste(image, small, x_px, y_px)
    if not mask.any():
        return image, depth_mm
    labelled = depth_mm.copy()
    labelled[mask] = place_depth_mm(depth_mm, mask, rng)
    return composite, labelled


def _read_cutout(path):
    """One RGBA file as premultiplied floats, trimmed and bounded in size."""
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise DataError(f"{path}: can't be read as a picture; replace or remove it")
    if array.ndim != 3 or array.shape[2] != 4 or array.dtype != np.uint8:
        raise DataError(f"{path}: is {array.dtype} {array.shape}, expected 8-bit RGBA (a cut-out with alpha)")
    rows, columns = np.nonzero(array[:, :, 3] > VISIBLE_ALPHA)
    if not rows.size:
        raise DataError(f"{path}: no pixel is visible (alpha at most {VISIBLE_ALPHA} of 255); replace or remove it")
    array = array[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, [2, 1, 0, 3]].astype(np.float32) / 255.0
    array[:, :, :3] *= array[:, :, 3:]
    longest = max(array.shape[:2])
    if longest > MAX_CUTOUT_PX:
        size = contain_size(array, MAX_CUTOUT_PX, MAX_CUTOUT_PX)
        array = resize_cutout(np.ascontiguousarray(array), *size)
    return np.ascontiguousarray(array)
