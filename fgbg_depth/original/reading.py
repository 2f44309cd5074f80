"""One row of a tree as it is stored here: the composite's bytes unchanged, a binary mask, a depth map of the composite's size."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .. import codec
from ..composite import tight_box
from ..depth.postprocess import resize_align_corners
from ..errors import CodecError
from .masks import clean_mask

MAX_SIDE_PX = 4096  # of any picture in a tree; looked at before a pixel is decoded
MAX_COLOUR_LEVELS = 12  # channels of a gray picture that was stored in colour differ by no more, for JPEG's sake
MODES = ("RGB", "L", "I;16", "1", "P", "RGBA", "LA")
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
# The luminance table of the JPEG standard (ITU T.81, table K.1), row by row; a quality scales it.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True, eq=False)
class RowPictures:
    """A row's pictures.

    Attributes:
        image, mask, depth: encoded bytes as they are stored; depth None without depth.
        pixels: (S, S, 3) uint8 RGB; inside: (S, S) uint8, 0 or 255; levels: (S, S) uint8, decoded, or None.
        bbox: x, y, width, height of the mask [pixels].
    """

    image: bytes
    mask: bytes
    depth: bytes | None
    pixels: np.ndarray
    inside: np.ndarray
    levels: np.ndarray | None
    bbox: list


def read_row(data, recipe):
    """Turn the pictures of a row into what is stored.

    Args:
        data: {"image", "mask", and "depth" where there is depth: the files' bytes}.
        recipe: config.Recipe.

    Returns:
        RowPictures.

    Raises:
        RowError: one of them can't be used; its `role` tells which.
    """
    side = recipe.image_size
    with _of("image"):
        pixels = _composite(data["image"], recipe)
    with _of("mask"):
        levels = _gray(data["mask"], (side, side))
        inside = clean_mask(levels, recipe.mask_threshold)
        if not inside.any():
            raise CodecError(f"no pixel of it is inside: its largest level is {int(levels.max())}, the threshold {recipe.mask_threshold}")
    depth, depth_levels = None, None
    if recipe.has_depth:
        with _of("depth"):
            depth, depth_levels = _depth(data["depth"], recipe)
    return RowPictures(data["image"], codec.encode_mask(inside), depth, pixels, inside, depth_levels, list(tight_box(inside)))


class RowError(CodecError):
    """A picture of a row can't be used; `role` is "image", "mask" or "depth"."""

    def __init__(self, role, reason):
        super().__init__(reason)
        self.role = role


class _of:
    """Say of which picture an error is."""

    def __init__(self, role):
        self._role = role

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if isinstance(error, CodecError):
            raise RowError(self._role, str(error)) from error


def side_of(data):
    """(width, height) of an encoded picture, by its header; a CodecError when it is none, or is larger than MAX_SIDE_PX."""
    return _head(data)[0]


def _head(data):
    """((width, height), mode) of an encoded picture."""
    if not data:
        raise CodecError("is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures, which are refused below
            with Image.open(io.BytesIO(data), formats=codec.PICTURE_FORMATS) as picture:
                size, mode = picture.size, picture.mode
    except Exception as error:  # Pillow raises a dozen types for damaged bytes
        raise CodecError(f"is no JPEG and no PNG that can be opened ({type(error).__name__})") from error
    if max(size) > MAX_SIDE_PX:
        raise CodecError(f"has {size[0]:,} x {size[1]:,} pixels, more than {MAX_SIDE_PX:,} on a side")
    if mode not in MODES:
        raise CodecError(f"has mode {mode}, expected one of {', '.join(MODES)}")
    return size, mode


def _check_size(data, size):
    found = side_of(data)
    if found != size:
        raise CodecError(f"has {found[0]} x {found[1]} pixels, the set {size[0]} x {size[1]}")


def _composite(data, recipe):
    _check_size(data, (recipe.image_size,) * 2)
    start, end = {"jpeg": (JPEG_START, JPEG_END), "png": (PNG_START, PNG_END)}[recipe.image_format]
    if not data.startswith(start):
        raise CodecError(f"is no {recipe.image_format.upper()}, as the others are")
    if not data.endswith(end):
        raise CodecError(f"its {recipe.image_format.upper()} has no end: it is cut short, or there are bytes behind it")
    return codec.decode_rgb(data)


def _gray(data, size=None):
    """(H, W) uint8 or uint16 of a gray picture; one that was stored in colour may not have any."""
    if size:
        _check_size(data, size)
    try:
        with Image.open(io.BytesIO(data), formats=codec.PICTURE_FORMATS) as picture:
            if picture.mode in ("L", "I;16"):
                array = np.asarray(picture)
            elif picture.mode == "1":
                array = np.asarray(picture.convert("L"))
            else:
                array = np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow raises a dozen types for damaged bytes
        raise CodecError(f"can't be decoded: {error}") from error
    if array.ndim == 3:
        spread = int((array.max(axis=2).astype(np.int16) - array.min(axis=2)).max())
        if spread > MAX_COLOUR_LEVELS:
            raise CodecError(f"is in colour (channels differ by {spread} levels), expected gray")
        array = np.rint(array.astype(np.float32).mean(axis=2)).astype(np.uint8)
    if size and array.dtype != np.uint8:
        raise CodecError(f"has {array.dtype.itemsize * 8} bits for each pixel, expected 8")
    return array


def _depth(data, recipe):
    """(stored bytes, decoded levels) of a depth map; its own bytes wherever they are what the recipe says."""
    side, encoding = recipe.image_size, recipe.depth_encoding
    plain = _head(data) == ((side, side), "L")
    levels = _gray(data)
    if encoding == "relative8_jpeg":
        if plain and data.startswith(JPEG_START) and data.endswith(JPEG_END):
            return data, levels
        scaled = _resized(levels.astype(np.float32), side) * (255 / np.iinfo(levels.dtype).max)
        encoded = codec.encode_gray(np.rint(scaled).astype(np.uint8), encoding)
        return encoded, codec.decode_gray(encoded)
    if plain and data.startswith(PNG_START) and data.endswith(PNG_END) and (levels.max() == 0 or (levels.min(), levels.max()) == (0, 255)):
        return data, levels
    stretched, _, _ = codec.quantise_depth(_resized(levels.astype(np.float32), side), encoding)
    return codec.encode_gray(stretched, encoding), stretched


def _resized(levels, side):
    """(side, side) float32: bilinear with corners aligned, as depth is resampled everywhere here."""
    return levels if levels.shape == (side, side) else resize_align_corners(levels[None], (side, side))[0]


def jpeg_quality(data):
    """The quality that a JPEG was stored with, by its luminance table as libjpeg scales it; None where no quality gives it."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        table = list(picture.quantization.get(0, ()))
    for quality in range(100, 0, -1):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        if [min(255, max(1, (v * scale + 50) // 100)) for v in _LUMINANCE] == table:
            return quality
    return None
