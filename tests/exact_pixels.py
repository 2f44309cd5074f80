"""The exact pixels of composites, worked out anew in float64 from the tables of a set, and how near the stored ones must be."""

import io
import math

import numpy as np
from PIL import Image
from real_runs import read_rows

ROUNDED = 0.5 + 1e-3  # half a level, and the noise of float32
AT_THRESHOLD = 1e-3  # alpha so near to the threshold [levels] may fall on either side


def decoded(row, column):
    """Pixels of a stored picture."""
    return np.asarray(Image.open(io.BytesIO(row[column]["bytes"])))


# --- by the formulas ---


def kernel(count_in, count_out):
    """(count_out, count_in) float64 weights of the Hamming-windowed sinc of support 1, widened by the ratio when shrinking."""
    ratio = count_in / count_out
    width = max(ratio, 1.0)
    at = (np.arange(count_in)[None, :] + 0.5 - (np.arange(count_out)[:, None] + 0.5) * ratio) / width
    weights = np.where(np.abs(at) < 1, np.sinc(at) * (0.54 + 0.46 * np.cos(np.pi * at)), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def exact_resize(planes, width, height):
    """(H, W, C) float64 resized to (height, width, C)."""
    if planes.shape[:2] == (height, width):
        return planes
    tall = np.tensordot(kernel(planes.shape[0], height), planes, 1)
    return np.einsum("jw,iwc->ijc", kernel(planes.shape[1], width), tall, optimize=True)


def exact_background(rgb, side, fit):
    """(side, side, 3) float64: a background on its canvas, by one of the three fits."""
    height, width = rgb.shape[:2]
    if fit == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        rgb, fit = rgb[top : top + short, left : left + short], "stretch"
    if fit == "stretch":
        return exact_resize(rgb.astype(np.float64), side, side)
    scale = side / max(height, width)
    inner_width, inner_height = max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5))
    out = np.zeros((side, side, 3))
    top, left = (side - inner_height) // 2, (side - inner_width) // 2
    out[top : top + inner_height, left : left + inner_width] = exact_resize(rgb.astype(np.float64), inner_width, inner_height)
    return out


def exact_composite(background, rgba, flipped, box):
    """(exact picture, exact alpha in levels on the whole canvas) of a fitted background and a cut-out in its source size."""
    x, y, width, height = box
    alpha = rgba[..., 3:] / 255.0
    small = exact_resize(np.concatenate([rgba[..., :3] * alpha, alpha], axis=2), width, height)
    if flipped:
        small = small[:, ::-1]
    side = background.shape[0]
    wide = np.zeros((3 * side, 3 * side, 4))  # with a margin for what hangs over the border
    wide[side + y : side + y + height, side + x : side + x + width] = small
    placed = wide[side : 2 * side, side : 2 * side]
    return background * (1 - placed[..., 3:]) + placed[..., :3], placed[..., 3] * 255


def tight(visible):
    """[x, y, width, height] of the smallest box around the True pixels."""
    rows, columns = np.nonzero(visible)
    return [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]


# --- of a set ---


def sources_of(folder, kind, mode):
    """{id: pixels} of a set's stored backgrounds or foregrounds."""
    rows = read_rows(folder, f"{kind}s/*.parquet")
    return {row["id"]: np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert(mode)) for row in rows}


def check_pixels(folder, fit="stretch", threshold=128, matte=False):
    """Compare all rows of a set of PNG composites with the exact ones; returns the rows."""
    backgrounds, foregrounds = sources_of(folder, "background", "RGB"), sources_of(folder, "foreground", "RGBA")
    rows = read_rows(folder, "data/*/*.parquet")
    side = decoded(rows[0], "image").shape[0]
    fitted = {name: exact_background(rgb, side, fit) for name, rgb in backgrounds.items()}
    for row in rows:
        exact, alpha = exact_composite(fitted[row["background"]], foregrounds[row["foreground"]], row["flipped"], row["placement_box"])
        image, mask = decoded(row, "image"), decoded(row, "mask")
        assert image.dtype == mask.dtype == np.uint8
        assert np.abs(image - exact).max() <= ROUNDED, row["key"]
        sure = np.abs(alpha - (threshold - 0.5)) > AT_THRESHOLD
        assert sure.mean() > 0.999
        visible = alpha >= threshold - 0.5
        if matte:
            assert np.abs(mask - alpha).max() <= ROUNDED, row["key"]
        else:
            assert np.array_equal(mask[sure], np.where(visible, 255, 0)[sure]), row["key"]
        seen = mask >= threshold
        assert seen.any() and row["bbox"] == tight(seen)
        assert row["mask_area"] == np.float32(seen.mean())
    return rows
