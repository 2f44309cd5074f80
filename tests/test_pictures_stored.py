"""The stored form of source pictures: the same pixels, the file as it was where that is possible, no private data."""

import io
import struct

import cv2
import numpy as np
import pytest
from picture_files import (
    cmyk_profile,
    disc,
    encode,
    exif,
    gray_profile,
    insert_jpeg_segments,
    insert_png_chunks,
    noise,
    png16,
    rgb_profile,
    smooth,
    tiff,
)
from PIL import Image, ImageCms, PngImagePlugin

from fgbg_depth.assets.pictures import decode_picture, stored_picture
from fgbg_depth.errors import AssetError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SECRET PLACE</x:xmpmeta>'
PHOTO = smooth(40, 60)
CUT = disc(40)


def check(data, alpha):
    """The promises that hold for every stored picture; returns it."""
    stored = stored_picture(data, alpha=alpha)
    pixels = decode_picture(data, alpha=alpha)
    np.testing.assert_array_equal(decode_picture(stored, alpha=alpha), pixels)
    image = Image.open(io.BytesIO(stored))
    mode = "RGBA" if alpha else "RGB"
    assert image.mode == mode and image.format in ("PNG", "JPEG", "WEBP")
    np.testing.assert_array_equal(np.asarray(image.convert(mode)), pixels)
    assert not {"icc_profile", "exif", "xmp", "comment"} & set(image.info) and not dict(image.getexif())
    assert b"SECRET" not in stored
    assert stored_picture(stored, alpha=alpha) == stored
    return stored


PLAIN_BACKGROUNDS = {
    "jpeg": encode(PHOTO, "JPEG", quality=85),
    "jpeg-progressive": encode(PHOTO, "JPEG", progressive=True),
    "jpeg-restarts": encode(PHOTO, "JPEG", restart_marker_blocks=2),
    "jpeg-rgb": encode(PHOTO, "JPEG", keep_rgb=True),
    "png": encode(PHOTO, "PNG"),
    "webp": encode(PHOTO, "WEBP"),
    "webp-lossless": encode(PHOTO, "WEBP", lossless=True),
}
PLAIN_CUT_OUTS = {
    "png": encode(CUT, "PNG"),
    "webp": encode(CUT, "WEBP"),
    "webp-lossless": encode(CUT, "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("name", PLAIN_BACKGROUNDS)
def test_plain_background_is_stored_as_it_is(name):
    assert check(PLAIN_BACKGROUNDS[name], alpha=False) == PLAIN_BACKGROUNDS[name]


@pytest.mark.parametrize("name", PLAIN_CUT_OUTS)
def test_plain_cut_out_is_stored_as_it_is(name):
    assert check(PLAIN_CUT_OUTS[name], alpha=True) == PLAIN_CUT_OUTS[name]


def secret_png_text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "SECRET NAME")
    return info


@pytest.mark.parametrize("profile", [None, SRGB], ids=["no-profile", "srgb"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_metadata_go_without_encoding_again(file_format, profile):
    options = {"PNG": {"pnginfo": secret_png_text()}, "JPEG": {"comment": b"SECRET", "xmp": XMP}, "WEBP": {"xmp": XMP}}
    if profile:
        options[file_format]["icc_profile"] = profile
    data = encode(PHOTO, file_format, exif=exif(1), **options[file_format])
    assert b"SECRET" in data
    stored = check(data + b"SECRET trailer", alpha=False)
    assert stored == encode(PHOTO, file_format)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_metadata_of_cut_outs_go_without_encoding_again(file_format):
    data = encode(CUT, file_format, exif=exif(1), icc_profile=SRGB, **({"xmp": XMP} if file_format == "WEBP" else {}))
    assert check(data, alpha=True) == encode(CUT, file_format)


def test_jpeg_thumbnails_and_further_pictures_go():
    plain = encode(PHOTO, "JPEG")
    jfif = plain[2:20]
    assert jfif[4:9] == b"JFIF\0"
    thumbnail = struct.pack(">2sH", b"\xff\xe0", 16 + 3) + jfif[4:16] + b"\1\1" + b"\7\7\7"
    data = insert_jpeg_segments(plain[:2] + thumbnail + plain[20:], (0xE0, b"JFXX\0\x10SECRET"), (0xE3, b"SECRET"))
    assert check(data, alpha=False) == plain
    first, second = Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1].copy())
    phone = encode(first, "MPO", save_all=True, append_images=[second])
    stored = check(phone, alpha=False)
    assert stored == plain and len(stored) < len(phone) / 1.5


@pytest.mark.parametrize("orientation", [3, 6])
def test_turned_pictures_become_png(orientation):
    assert check(encode(PHOTO, "JPEG", exif=exif(orientation)), alpha=False)[:4] == b"\x89PNG"
    assert check(encode(CUT, "WEBP", exif=exif(orientation)), alpha=True)[:4] == b"\x89PNG"


def opencv(values, suffix):
    return cv2.imencode(suffix, values)[1].tobytes()


BECOME_PNG = {
    "gray-jpeg": encode(PHOTO[..., 0], "JPEG"),
    "gray-png": encode(PHOTO[..., 0], "PNG"),
    "one-bit": encode(Image.fromarray(PHOTO).convert("1"), "PNG"),
    "palette": encode(Image.fromarray(PHOTO).quantize(32), "PNG"),
    "opaque-alpha": encode(np.dstack([PHOTO, np.full((40, 60), 255, np.uint8)]), "PNG"),
    "16-bit": png16(noise(9, 8, 3, dtype=np.uint16)),
    "16-bit-of-8": opencv(PHOTO.astype(np.uint16) * 257, ".png"),
    "bmp": encode(PHOTO, "BMP"),
    "gif": encode(PHOTO[..., 0], "GIF"),
    "tiff": encode(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff-turned": tiff(PHOTO, orientation=8),
    "cmyk": encode(Image.fromarray(PHOTO).convert("CMYK"), "JPEG"),
    "cmyk-profile": encode(Image.fromarray(PHOTO).convert("CMYK"), "TIFF", icc_profile=cmyk_profile()),
    "rgb-profile": encode(PHOTO, "JPEG", icc_profile=rgb_profile(1.0)),
    "gray-profile": encode(PHOTO[..., 0], "JPEG", icc_profile=gray_profile(1.0)),
}


@pytest.mark.parametrize("name", BECOME_PNG)
def test_other_backgrounds_become_png(name):
    assert check(BECOME_PNG[name], alpha=False)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "data",
    [
        encode(CUT[..., [0, 3]], "PNG"),
        encode(Image.fromarray(CUT).quantize(16), "PNG", transparency=0),
        png16(noise(9, 8, 4, dtype=np.uint16)),
        encode(CUT, "TIFF"),
        encode(CUT, "PNG", icc_profile=rgb_profile(1.0)),
        insert_png_chunks(encode(PHOTO, "PNG"), (b"tRNS", b"\0\0\0\0\0\0")),
    ],
    ids=["gray", "palette", "16-bit", "tiff", "profile", "colour-key"],
)
def test_other_cut_outs_become_png(data):
    assert check(data, alpha=True)[:4] == b"\x89PNG"


def test_colour_under_clear_pixels_stays():
    pixels = noise(9, 9, 4)
    pixels[..., 3] = np.where(pixels[..., 3] > 99, 255, 0)
    stored = check(encode(pixels, "TIFF"), alpha=True)
    np.testing.assert_array_equal(decode_picture(stored, alpha=True), pixels)


def test_bad_pictures_are_refused_here_too():
    with pytest.raises(AssetError, match="no alpha channel"):
        stored_picture(encode(PHOTO, "PNG"), alpha=True)
    with pytest.raises(AssetError, match="cut off"):
        stored_picture(encode(PHOTO, "PNG")[:-3], alpha=False)
