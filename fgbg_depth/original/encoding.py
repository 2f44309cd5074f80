"""How stored pictures leave the set for a tree of 2020, where everything is JPEG. Pure functions of bytes."""

import cv2
import numpy as np

from .. import codec
from ..errors import CodecError

# At 95 no table entry is above 12, and the rounding of all frequencies of a block together can't move a pixel by more than 23 levels. So a
# mask of 0 and 255 is had again exactly by its threshold; the file of 2020 had 30.
MASK_QUALITY = 95
DEPTH_QUALITY = 95  # the set of 2020 had 90; half of the error for a third more bytes
IMAGE_QUALITY = 95  # of composites that are stored as PNG; those that are JPEG aren't touched
_JPEG_START = b"\xff\xd8\xff"


def suffix_of(data):
    """The suffix of a stored picture by its format: ".jpg" or ".png"."""
    return ".jpg" if data.startswith(_JPEG_START) else ".png"


def encode_for_tree(role, data, lossless):
    """The bytes of one picture in a tree.

    Args:
        role: "image", "mask" or "depth".
        data: stored bytes.
        lossless: leave them as they are.

    Returns:
        JPEG bytes; or the same bytes, where they are JPEG already or nothing may be lost. A 16-bit depth map becomes 8 bits over its
        own range.
    """
    if lossless or data.startswith(_JPEG_START):
        return data
    if role == "image":
        return codec.encode_image(codec.decode_rgb(data), "jpeg", IMAGE_QUALITY)
    levels = codec.decode_gray(data)
    if role == "depth" and levels.dtype != np.uint8:
        levels, _, _ = codec.quantise_depth(levels.astype(np.float32), "relative8")
    return _gray_jpeg(levels, MASK_QUALITY if role == "mask" else DEPTH_QUALITY)


def range_in_metres(data):
    """(smallest, largest) of a 16-bit depth map in millimetres, as metres: what level 0 and 255 of its map in a tree are."""
    levels = codec.decode_gray(data)
    return float(levels.min()) / codec.MILLIMETRES, float(levels.max()) / codec.MILLIMETRES


def _gray_jpeg(levels, quality):
    good, data = cv2.imencode(".jpg", levels, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not good:
        raise CodecError(f"an array of {levels.dtype} {levels.shape} can't be stored as JPEG")
    return data.tobytes()
