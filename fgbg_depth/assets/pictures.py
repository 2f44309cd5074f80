"""Source pictures of any common kind become plain 8-bit sRGB arrays, or are refused with a reason.

What a camera, a scanner or a paint program writes: EXIF orientation, colour profiles, CMYK, palettes, gray, 1
and 16 bits. The bounds are checked in the header, before a pixel is decoded; a file must be whole; animations
are refused.

Choices that cost something:
- Colours without a profile are taken as sRGB; a PNG's gAMA chunk is ignored, as Pillow, OpenCV and
  torchvision do. A broken profile is an error, since the colours are then unknown. CMYK without a profile is
  converted by the plain formula red = (255 - C)(255 - K) / 255, and so on.
- Broken EXIF data are ignored (no program could turn such a picture), an orientation outside 1..8 too.
- 16-bit values are rounded, v * 255 / 65535. Pillow cuts them off, so OpenCV reads them, and both must agree
  on the upper byte.
- JPEG and WebP have no checksums: a flipped bit inside one changes pixels, and nobody can tell.
- A JPEG with further pictures behind the first (phones write previews and gain maps) gives its first picture.
"""

import io
import struct

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..errors import AssetError, CodecError
from .containers import check_complete, check_png_rows, png_header, png_transparency, sniff_format, strip_metadata
from .profiles import to_srgb

DEFAULT_MAX_PIXELS = 2**26  # 67.1 million: photographs of 64 megapixels pass; Pillow needs 256 MiB for one
NO_ALPHA = "no alpha channel; pass --key-color or use a cut-out (a PNG or WebP with transparency)"
MAX_SIDE_PX = 32_767  # OpenCV's resampling counts rows and columns in 16 bits with a sign
_PNG_COMPRESS_LEVEL = 6  # zlib's default: higher ones take several times as long for 1 or 2 %

# The plugins themselves, not Image.open, which has a global bound of its own and would let in other formats.
_OPENERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_ORIENTATION = 0x0112  # EXIF and TIFF tag
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
_WHITE_IS_ZERO, _UNSIGNED = 0, 1  # their values
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, EOFError, struct.error)
_SIXTEEN_BIT_GRAY = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # "I" only of a PNG: older Pillows say so
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}.union(
    _SIXTEEN_BIT_GRAY[:-1]
)


def decode_picture(data, *, alpha, max_pixels=DEFAULT_MAX_PIXELS):
    """Decode a whole picture file.

    Args:
        data: the file's bytes.
        alpha: True for a cut-out, False for an opaque picture.
        max_pixels: bound on width times height, checked before decoding.

    Returns:
        (H, W, 4) uint8 RGBA, straight alpha, if `alpha`, else (H, W, 3) uint8 RGB; sRGB, upright.

    Raises:
        AssetError: the file can't be used; the message is the reason, without the file's name.
    """
    pixels = decode_pixels(data, max_pixels=max_pixels)
    if alpha and pixels.shape[2] == 3:
        raise AssetError(NO_ALPHA)
    if not alpha and pixels.shape[2] == 4:
        clear = int(np.count_nonzero(pixels[..., 3] < 255))
        if clear:
            raise AssetError(
                f"{clear:,} of its {pixels[..., 3].size:,} pixels are transparent; expected an opaque picture"
            )
        pixels = np.ascontiguousarray(pixels[..., :3])
    return pixels


def decode_pixels(data, *, max_pixels=DEFAULT_MAX_PIXELS):
    """Like `decode_picture`, (H, W, 3) RGB or (H, W, 4) RGBA uint8, whichever the picture is."""
    file_format = sniff_format(data)
    try:
        image = _OPENERS[file_format](io.BytesIO(data))
    except Exception as error:  # a parser may raise anything on damaged bytes
        check_complete(data, file_format)  # has the better reason when the file is cut off
        raise AssetError(f"damaged or unusual {file_format}: {_short(error)}") from error
    _check_size(*image.size, max_pixels)
    check_complete(data, file_format)
    if file_format == "PNG":
        check_png_rows(data)
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            what = f"{frames} pages" if file_format == "TIFF" else f"animated ({frames} frames)"
            raise AssetError(f"{what}; save the picture that you want as a PNG")
        _check_samples(image)
        image.load()
    except AssetError:
        raise
    except Exception as error:
        raise AssetError(f"cut off or damaged {file_format}: {_short(error)}") from error
    colour, alpha = _split_alpha(image, data)
    pixels = np.asarray(_plain_rgb(colour, image.info))
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    return np.ascontiguousarray(_upright(pixels, _orientation(image)))


def stored_picture(data, *, alpha, max_pixels=DEFAULT_MAX_PIXELS):
    """The bytes under which a source picture is stored: plain, without metadata, and no pixel changed.

    A file whose pixels are plain already (8-bit RGB JPEG, PNG or WebP; RGBA PNG or WebP for cut-outs) keeps
    its encoding and loses only what isn't picture: EXIF with its GPS position, XMP, comments, thumbnails,
    bytes after the end. Others become PNG.

    Args, Raises: as `decode_picture`.

    Returns:
        bytes that Pillow opens as mode "RGBA" if `alpha`, else "RGB", with exactly the pixels of
        `decode_picture(data)`.
    """
    pixels = decode_picture(data, alpha=alpha, max_pixels=max_pixels)
    file_format = sniff_format(data)
    stripped = strip_metadata(data, file_format)
    if stripped is not None and _shows(stripped, file_format, "RGBA" if alpha else "RGB", pixels):
        return stripped
    return encode_png(pixels)


def encode_png(pixels):
    """(H, W), (H, W, 3) or (H, W, 4) uint8 as PNG bytes, without metadata, the same bytes every time."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,), (4,)):
        raise CodecError(
            f"can't store {pixels.dtype} of shape {pixels.shape} as PNG; expected uint8, 1, 3 or 4 channels"
        )
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=_PNG_COMPRESS_LEVEL)
    return out.getvalue()


def _shows(data, file_format, mode, pixels):
    """Whether Pillow opens a file in this mode, with exactly these pixels."""
    try:
        image = _OPENERS[file_format](io.BytesIO(data))
        return image.mode == mode and np.array_equal(np.asarray(image), pixels)
    except _PILLOW_ERRORS:
        return False


def _short(error):
    return f"{error or type(error).__name__}"[:200]


def _check_size(width, height, max_pixels):
    if width < 1 or height < 1:
        raise AssetError(f"{width} x {height} pixels: it is empty")
    if width > MAX_SIDE_PX or height > MAX_SIDE_PX:
        raise AssetError(f"{width} x {height} pixels: a side is longer than {MAX_SIDE_PX:,}")
    if width * height > max_pixels:
        raise AssetError(
            f"{width} x {height} pixels = {width * height / 1e6:,.1f} million, more than the bound of "
            f"{max_pixels / 1e6:,.1f} million (max_pixels)"
        )


def _check_samples(image):
    """Refuse what has no plain 8-bit meaning: floats, signed numbers, 32 bits, 12 bits, Lab."""
    if image.format == "TIFF":
        bits = set(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
        formats = set(image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
        if formats != {_UNSIGNED}:
            raise AssetError(
                "TIFF of floating-point or signed numbers, which have no fixed white; save it as 8 or 16 bits"
            )
        if not bits <= {1, 2, 4, 8, 16} or (16 in bits and image.mode == "CMYK"):
            raise AssetError(
                f"TIFF with {sorted(bits)} bits per sample ({image.mode}); save it as 8 or 16 bits RGB"
            )
    if image.mode not in _MODES and not (image.mode == "I" and image.format == "PNG"):
        raise AssetError(f"{image.format} of mode {image.mode}, which isn't supported; save it as 8-bit RGB")


def _split_alpha(image, data):
    """(Pillow image of mode L, RGB or CMYK, alpha (H, W) uint8 or None) of a loaded picture, not yet upright."""
    depth, transparency = 8, b""
    if image.format == "PNG":
        _, _, depth, colour_type, _ = png_header(data)
        if colour_type == 0:  # gray: Pillow misses the transparent value for 2, 4 and 16 bits
            transparency = png_transparency(data)
    elif image.format == "TIFF":
        depth = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    if image.mode in _SIXTEEN_BIT_GRAY:
        gray = np.asarray(image).astype(np.uint16)
        if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            gray = 65535 - gray
        return Image.fromarray(_to_8_bits(gray)), _keyed_alpha(gray, transparency, 16)
    if depth == 16:
        pixels = _to_8_bits(_read_16_bit_colour(image, data))
        return Image.fromarray(pixels[..., :3]), pixels[..., 3] if pixels.shape[2] == 4 else None
    if image.mode in ("1", "L") and (image.format == "PNG" or "transparency" not in image.info):
        gray = image.convert("L")
        return gray, _keyed_alpha(np.asarray(gray), transparency, depth)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if image.mode in ("LA", "La"):
            image = image.convert("LA")
            return image.getchannel("L"), np.asarray(image.getchannel("A"))
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        return image.convert("RGB"), np.asarray(image.getchannel("A"))
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB"), None


def _keyed_alpha(gray, transparency, depth):
    """Alpha of a gray PNG that names one value as transparent (chunk tRNS of its specification), or None."""
    if not transparency:
        return None
    key = int.from_bytes(transparency[:2], "big")
    if depth < 8:
        key = key * 255 // (2**depth - 1)  # as the samples were spread; divides without a remainder
    return np.where(gray == key, 0, 255).astype(np.uint8)


def _to_8_bits(values):
    """round(v * 255 / 65535) of uint16, in integers: 65535 / 255 = 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _read_16_bit_colour(image, data):
    """(H, W, 3) or (H, W, 4) uint16 RGB(A), by OpenCV; the upper bytes must be those in Pillow's `image`."""
    raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    upper = np.asarray(image)
    channels = upper.shape[2] if upper.ndim == 3 else 0
    if raw is not None and raw.dtype == np.uint16 and raw.ndim == 3 and raw.shape[2] >= channels >= 3:
        raw = raw[..., [2, 1, 0, 3][: raw.shape[2]]]  # BGR(A) to RGB(A)
        if raw.shape[:2] == upper.shape[:2] and np.array_equal(raw[..., :channels] >> 8, upper):
            # a TIFF's fourth channel counts as alpha only where Pillow says so; a PNG's is its tRNS colour
            return raw[..., :3] if image.format == "TIFF" and channels == 3 else raw
    raise AssetError(
        f"16-bit {image.format} of an unusual layout (planes or premultiplied alpha); save it as 16-bit PNG"
    )


def _plain_rgb(colour, info):
    icc = info.get("icc_profile")
    if "icc_profile" in info and icc is None:
        raise AssetError("its colour profile can't be unpacked; remove it or convert the picture to sRGB")
    if icc:
        return to_srgb(colour, icc)
    return colour if colour.mode == "RGB" else colour.convert("RGB")  # convert() copies


def _orientation(image):
    if image.format == "TIFF":
        return 1  # Pillow and OpenCV have turned it already
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except _PILLOW_ERRORS:
        return 1


def _upright(pixels, orientation):
    """Turn a (H, W, C) array as the EXIF orientation 1..8 says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
