"""Stored pictures as the page takes them: bytes as they are stored wherever a browser can show them without loss.

The page decodes masks and depth maps itself, from gray PNG of 8 or 16 bits, because a browser's canvas has no more than 8. A depth map
that is stored as JPEG is decoded here, as `datasets` decodes it, and goes into the page as PNG: the metres are those that training sees.
"""

import base64
import struct

import numpy as np

from .. import codec
from ..errors import CodecError, DataError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, NOT_INTERLACED = 0, 0


def page_pictures(row, where):
    """The pictures of a row, checked.

    Args:
        row: dict of its columns; pictures are {"bytes": ...}.
        where: file and set, for messages.

    Returns:
        dict: "image" is a data URL, "mask" and, where there is one, "depth" are base64 of gray PNG, "width" and "height" in pixels.

    Raises:
        DataError: a picture is missing, can't be decoded, or the three differ in size.
    """
    found, name = {}, "image"
    try:
        image = codec.decode_rgb(_bytes(row["image"]))
        found["image"] = f"data:image/{_kind(row['image']['bytes'])};base64,{_base64(row['image']['bytes'])}"
        found["height"], found["width"] = image.shape[:2]
        for name in [n for n in ("mask", "depth") if n in row]:
            levels = codec.decode_gray(_bytes(row[name]))
            if levels.shape != image.shape[:2]:
                raise CodecError(f"has {levels.shape[1]} x {levels.shape[0]} pixels, the image {found['width']} x {found['height']}")
            found[name] = _base64(_as_gray_png(row[name]["bytes"], levels))
    except CodecError as error:
        raise DataError(f"{where}: row {row['key']}, column {name}: {error}") from error
    return found


def _bytes(picture):
    return (picture or {}).get("bytes")


def _kind(data):
    return "png" if data.startswith(PNG_SIGNATURE) else "jpeg"


def _as_gray_png(data, levels):
    """The bytes as they are if the page can read them, else the same levels as PNG."""
    if data.startswith(PNG_SIGNATURE):
        bits, colour, _, _, interlaced = struct.unpack(">5B", data[24:29])
        if colour == GRAY and interlaced == NOT_INTERLACED and bits == 8 * levels.dtype.itemsize:
            return data
    return codec.encode_gray(np.ascontiguousarray(levels), "relative8" if levels.dtype == np.uint8 else "metric16")


def _base64(data):
    return base64.b64encode(data).decode("ascii")
