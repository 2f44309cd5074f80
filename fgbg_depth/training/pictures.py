"""Encoded pictures to arrays, by OpenCV: a loader's time is decoding, and OpenCV takes about two thirds of Pillow's.

With the usual builds of both, which share libjpeg-turbo, the pixels are those that Pillow gives. OpenCV says nothing of damage inside
of a JPEG: `fgbg-depth verify` is what looks for that.
"""

import cv2
import numpy as np

from ..errors import CodecError

_RGB = getattr(cv2, "IMREAD_COLOR_RGB", None)  # not in OpenCV before 4.11


def decode_picture(value, is_color):
    """Decode a picture of a row.

    Args:
        value: {"bytes": encoded picture, "path": a file in place of bytes, or None}, encoded bytes, a PIL picture, or an array.
        is_color: True for the image; False for mask and depth.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W) uint8, or uint16 of a 16-bit depth map.

    Raises:
        CodecError: it can't be decoded, or is of another kind.
    """
    array = _decode(value, is_color) if value is None or isinstance(value, (dict, bytes, memoryview)) else np.asarray(value)
    wanted = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 if is_color else array.ndim == 2
    if not wanted or array.dtype not in (np.uint8, np.uint16):
        what = "(H, W, 3) uint8" if is_color else "(H, W) uint8 or uint16"
        raise CodecError(f"a picture is {array.dtype} {array.shape}, expected {what}; is it of this column?")
    return array


def _decode(value, is_color):
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None and isinstance(value, dict) and value.get("path"):
        try:
            data = np.fromfile(value["path"], np.uint8)
        except OSError as error:
            raise CodecError(f"a picture can't be read: {error}") from error
    if data is None or not len(data):
        raise CodecError(f"a stored picture is {'empty' if data is not None else 'missing'}, expected encoded bytes")
    flags = (cv2.IMREAD_COLOR if _RGB is None else _RGB) if is_color else cv2.IMREAD_UNCHANGED
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise CodecError(f"a stored picture of {len(data)} bytes can't be decoded: {error}") from error
    if array is None:
        raise CodecError(f"a stored picture of {len(data)} bytes can't be decoded; `fgbg-depth verify` finds which rows are damaged")
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if is_color and _RGB is None else array
