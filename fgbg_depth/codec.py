"""Pictures and depth maps as bytes in a shard, and back. Pure functions.

Decoding is Pillow's, because that is what `datasets` does for the reader: statistics and depth are of the pixels
that a user will see. Encoding is OpenCV's: the same libjpeg-turbo as Pillow's, in 60 % of the time.

Depth, [m] or a relative scale, far is large and bright, as in the original set:

* "relative8": each map is stretched to its own range, 0 = min and 255 = max, as 8-bit PNG. The range is kept
  beside it, so metres come back within half a step, (max - min) / 510.
* "relative8_jpeg": the same gray levels as JPEG of quality 90, as the original set had them; not exact.
* "metric16": millimetres as 16-bit PNG, 0..65.535 m.
"""

import functools
import io

import cv2
import numpy as np
from PIL import Image

from .errors import CodecError
from .keyed import mix64

DEPTH_JPEG_QUALITY = 90  # the original set's
MILLIMETRES = 1000.0
METRIC16_MAX_M = 65.535  # the largest value of 16 bits in millimetres
# Run-length matching, measured on 224 x 224: maps take half the time of zlib's default and 6 % fewer bytes with the Paeth filter,
# masks a third with none. Depth maps of 8 bits take 15 % less time and 4 % fewer bytes without any matching. A level must not be given
# too: OpenCV takes it for a wish to have the default strategy back.
_RUN_LENGTHS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_HAS_FILTERS = hasattr(cv2, "IMWRITE_PNG_FILTER")  # not in OpenCV 4, whose files are valid too
_PAETH = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH) if _HAS_FILTERS else ()
PNG_OPTIONS = _RUN_LENGTHS + _PAETH
DEPTH8_OPTIONS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY, *_PAETH)
MASK_OPTIONS = _RUN_LENGTHS + ((cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE) if _HAS_FILTERS else ())
PICTURE_FORMATS = ("JPEG", "PNG")  # what a stored picture can be; anything else in a shard is damage


def encode_image(rgb, image_format, quality):
    """Encode a composite.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        image_format: "jpeg" or "png".
        quality: 1..100, JPEG only; chroma is stored at half resolution (4:2:0).
    """
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _encode_png(bgr) if image_format == "png" else _encode_jpeg(bgr, quality)


def encode_mask(mask):
    """Encode an (H, W) uint8 mask as gray PNG, without loss."""
    return _encode(".png", mask, MASK_OPTIONS)


def encode_gray(levels, encoding):
    """Encode stored depth levels: (H, W) uint8, or uint16 for "metric16"."""
    if encoding == "relative8_jpeg":
        return _encode_jpeg(levels, DEPTH_JPEG_QUALITY)
    return _encode(".png", levels, DEPTH8_OPTIONS if levels.dtype == np.uint8 else PNG_OPTIONS)


def decode_rgb(data):
    """Decode a stored composite to (H, W, 3) uint8 RGB."""
    return _decode(data, {"RGB"})


def redecode_rgb(data):
    """Decode a composite that this process has just encoded to (H, W, 3) uint8 RGB.

    OpenCV takes 60 % of Pillow's time, but says nothing of damaged bytes, which can't be here. That its pixels are
    Pillow's is tried out first, once in a process; where they aren't, Pillow decodes.
    """
    if not _decoders_agree():
        return decode_rgb(data)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


@functools.cache
def _decoders_agree():
    """True when OpenCV and Pillow decode alike: noise and ramps, at low and high quality, on sides that aren't multiples of 16."""
    if not hasattr(cv2, "IMREAD_COLOR_RGB"):  # OpenCV before 4.11
        return False
    ramp = np.arange(61 * 83 * 3, dtype=np.uint64)
    noise = (mix64(ramp) & np.uint64(255)).astype(np.uint8).reshape(61, 83, 3)
    smooth = (ramp // np.uint64(60) % np.uint64(256)).astype(np.uint8).reshape(61, 83, 3)
    for quality in (50, 90, 100):
        for probe in (noise, smooth):
            data = encode_image(probe, "jpeg", quality)
            if not np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), decode_rgb(data)):
                return False
    return True


def decode_gray(data):
    """Decode a stored mask or depth map to (H, W) uint8, or uint16 for a 16-bit PNG."""
    return _decode(data, {"L", "I;16"})


def _decode(data, modes):
    if not isinstance(data, (bytes, memoryview)) or not data:
        raise CodecError(f"a stored picture is {'empty' if data == b'' else type(data).__name__}, expected encoded bytes")
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as picture:
            if picture.mode not in modes:
                raise CodecError(f"a stored picture has mode {picture.mode}, expected {' or '.join(sorted(modes))}")
            return np.asarray(picture)
    except CodecError:
        raise
    except Exception as error:  # Pillow raises a dozen types for damaged bytes: SyntaxError, zlib.error, struct.error
        raise CodecError(f"a stored picture of {len(data)} bytes can't be decoded: {error}") from error


def _encode_jpeg(array, quality):
    return _encode(".jpg", array, (cv2.IMWRITE_JPEG_QUALITY, quality))


def _encode_png(array):
    return _encode(".png", array, PNG_OPTIONS)


def _encode(extension, array, options):
    good, data = cv2.imencode(extension, array, options)
    if not good:
        raise CodecError(f"an array of {array.dtype} {array.shape} can't be stored as {extension}")
    return data.tobytes()


def quantise_depth(depth, encoding):
    """Turn one depth map into the integers that are stored.

    Args:
        depth: (H, W) float32, [m] or relative, far is large, finite.
        encoding: "relative8", "relative8_jpeg" or "metric16" (metres only, 0..65.535).

    Returns:
        (levels, depth_min, depth_max): (H, W) uint8 or uint16, and the float32 values at level 0 and at full
        scale. A constant map gives zeros and min = max.

    Raises:
        CodecError: a value is not finite, or outside 0..65.535 m for "metric16".
    """
    low, high = np.float32(depth.min()), np.float32(depth.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CodecError(f"a depth map holds values that are not finite (range {low} to {high})")
    if encoding == "metric16":
        if low < 0 or high > METRIC16_MAX_M:
            raise CodecError(f"a depth map from {low} to {high} m doesn't fit metric16 (0 to {METRIC16_MAX_M} m)")
        return np.rint(depth.astype(np.float64) * MILLIMETRES).astype(np.uint16), np.float32(0), np.float32(METRIC16_MAX_M)
    if high == low:
        return np.zeros(depth.shape, np.uint8), low, high
    scale = 255.0 / (float(high) - float(low))
    return np.rint((depth - low) * np.float32(scale)).astype(np.uint8), low, high


def depth_to_metres(depth, depth_min_m, depth_max_m):
    """Get metres back from a stored depth map.

    Args:
        depth: (..., H, W) uint8 levels of "relative8", or uint16 of "metric16"; a PIL picture works too.
        depth_min_m, depth_max_m: the row's two columns: metres at level 0 and at full scale; scalars, or
            arrays that broadcast with `depth`.

    Returns:
        float32 metres of the same shape.

    Raises:
        CodecError: the range is null (a relative model gave it), or the levels are no unsigned integers.
    """
    levels = np.asarray(depth)
    if depth_min_m is None or depth_max_m is None:
        raise CodecError("depth_min_m or depth_max_m is null: this depth is relative, its metres were never known")
    if levels.dtype not in (np.uint8, np.uint16):
        raise CodecError(f"stored depth is uint8 or uint16, got {levels.dtype}; pass the picture as it was loaded")
    full_scale = float(np.iinfo(levels.dtype).max)
    low, high = np.asarray(depth_min_m, np.float64), np.asarray(depth_max_m, np.float64)
    return (low + levels * ((high - low) / full_scale)).astype(np.float32)


def level_to_millimetres(depth_min_m, depth_max_m, full_scale=255):
    """Whole millimetres at each level of a stored map: the bins of the depth statistics.

    Args:
        depth_min_m, depth_max_m: float32 columns of one row.
        full_scale: 255, or 65535 for "metric16".

    Returns:
        (full_scale + 1,) int64.
    """
    low, high = float(depth_min_m), float(depth_max_m)
    metres = low + np.arange(full_scale + 1) * ((high - low) / full_scale)
    return np.rint(metres * MILLIMETRES).astype(np.int64)
