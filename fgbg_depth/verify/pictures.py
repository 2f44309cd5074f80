"""Checks of one row's pictures and of the numbers that follow from them. Pure functions of values.

A PNG holds a checksum of each chunk, which Pillow doesn't look at for pixels; here they are all compared, so a flipped bit in
a mask or a PNG depth map can't hide. A JPEG has none: there the statistics and the rebuilt row tell.
"""

import math

import numpy as np

from .. import codec
from ..assets.containers import PNG_SIGNATURE, check_complete
from ..composite import tight_box
from ..errors import AssetError, CodecError

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
NUMPY_FORMATS = {"relative8": ("png", np.uint8), "relative8_jpeg": ("jpeg", np.uint8), "metric16": ("png", np.uint16)}


def check_container(data, file_format):
    """CodecError when encoded bytes aren't one whole picture of a format ("jpeg" or "png")."""
    if not isinstance(data, bytes) or not data:
        raise CodecError("has no picture")
    if file_format == "jpeg":
        if not data.startswith(JPEG_START):
            raise CodecError(f"expected a JPEG, but it begins with {data[:8].hex(' ')}")
        if not data.endswith(JPEG_END):
            raise CodecError(f"the JPEG has no end: its {len(data):,} bytes end with {data[-2:].hex(' ')}")
        return
    if not data.startswith(PNG_SIGNATURE):
        raise CodecError(f"expected a PNG, but it begins with {data[:8].hex(' ')}")
    try:
        check_complete(data, "PNG")
    except AssetError as error:
        raise CodecError(str(error)) from error
    if not data.endswith(PNG_END):
        raise CodecError("there are bytes after the end of the PNG")


def decode_checked(data, column, recipe):
    """Decode one stored picture and check its format and size.

    Args:
        data: encoded bytes.
        column: "image", "mask" or "depth".
        recipe: config.Recipe.

    Returns:
        (S, S, 3) uint8 RGB, or (S, S) uint8 or uint16.

    Raises:
        CodecError: it isn't what the recipe says.
    """
    dtype = np.uint8
    if column == "image":
        file_format = recipe.image_format
    elif column == "mask":
        file_format = recipe.mask_format
    else:
        file_format, dtype = NUMPY_FORMATS[recipe.depth_encoding]
    check_container(data, file_format)
    array = codec.decode_rgb(data) if column == "image" else codec.decode_gray(data)
    side = recipe.image_size
    if array.shape[:2] != (side, side):
        raise CodecError(f"is {array.shape[1]} x {array.shape[0]} px, expected {side} x {side}")
    if array.dtype != dtype:
        raise CodecError(f"has {array.dtype.itemsize * 8} bits per pixel, expected {np.dtype(dtype).itemsize * 8}")
    return array


def mask_problem(mask, recipe):
    """Words on a mask that the recipe doesn't allow, or ""."""
    if recipe.mask == "binary":
        gray = mask[(mask != 0) & (mask != 255)]
        if gray.size:
            return f"{gray.size:,} pixels are neither 0 nor 255, such as {int(gray[0])}"
    return "" if (mask >= recipe.mask_threshold).any() else "no pixel is inside the mask"


def box_problems(mask, bbox, mask_area, recipe):
    """Where bbox and mask_area differ from what the mask says: list of (column, words). Absent values are None."""
    visible = mask >= recipe.mask_threshold
    box, area = list(tight_box(visible)), float(np.float32(np.count_nonzero(visible) / visible.size))
    problems = []
    if bbox is not None and bbox != box:
        problems.append(("bbox", f"is {bbox}, the mask's box is {box}"))
    if mask_area is not None and mask_area != area:
        problems.append(("mask_area", f"is {mask_area!r}, the mask covers {area!r}"))
    return problems


def range_problems(low, high, recipe, relative):
    """What is wrong with depth_min_m and depth_max_m: list of (column, words)."""
    named = (("depth_min_m", low), ("depth_max_m", high))
    if relative:
        return [(name, f"is {value!r}; the model gives relative depth, expected null") for name, value in named if value is not None]
    problems = [(name, f"is {value!r}, expected metres") for name, value in named if value is None or not math.isfinite(value)]
    if problems:
        return problems
    if recipe.depth_encoding == "metric16":
        full = (("depth_min_m", low, 0.0), ("depth_max_m", high, float(np.float32(codec.METRIC16_MAX_M))))
        return [(name, f"is {value!r}, expected {want!r} for metric16") for name, value, want in full if value != want]
    return [("depth_min_m", f"is {low!r}, above depth_max_m {high!r}")] if low > high else []


def level_problem(levels, low, high, recipe):
    """Words on a depth map that isn't stretched to its own range, or ""."""
    if recipe.depth_encoding == "metric16":
        return ""
    smallest, largest = int(levels.min()), int(levels.max())
    if low is not None and low == high and largest > 0:
        return f"the range is a single value ({low!r} m), but the map has levels up to {largest}; a constant map is stored as zeros"
    if recipe.depth_encoding == "relative8_jpeg":
        return ""  # JPEG moves the ends
    constant = largest == 0 and (low is None or low == high)
    if not constant and (smallest, largest) != (0, 255):
        return f"its levels go from {smallest} to {largest}; a map is stretched to 0..255"
    return ""
