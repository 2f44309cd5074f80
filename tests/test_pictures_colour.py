"""Decoding of source pictures: turned by their orientation, and their colours brought to sRGB from any profile and from CMYK."""

import io

import numpy as np
import pytest
from picture_files import (
    assert_same_pixels,
    cmyk_profile,
    eight_bits,
    encode,
    exif,
    gray_profile,
    insert_png_chunks,
    nearly_srgb_profile,
    noise,
    png16,
    rgb_profile,
    smooth,
    tiff,
)
from PIL import Image, ImageCms, ImageOps

from fgbg_depth.assets.pictures import decode_picture
from fgbg_depth.errors import AssetError

# --- orientation ---


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("file_format", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_exif_orientation(orientation, file_format, options):
    data = encode(smooth(8, 12), file_format, exif=exif(orientation), **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright.size == ((12, 8) if orientation < 5 else (8, 12))
    assert_same_pixels(decode_picture(data, alpha=False), np.asarray(upright))


def test_orientation_6_turns_clockwise():
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255  # top left goes to top right
    found = decode_picture(encode(pixels, "PNG", exif=exif(6)), alpha=False)
    assert found.shape == (3, 2, 3) and found[0, 1, 0] == 255


def test_orientation_of_16_bit_files():
    values = noise(5, 4, dtype=np.uint16)
    turned = np.rot90(eight_bits(values), -1)
    data = insert_png_chunks(png16(values), (b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")))
    assert_same_pixels(decode_picture(data, alpha=False), turned)
    assert_same_pixels(decode_picture(tiff(values, orientation=6), alpha=False), turned)


def test_impossible_orientation_and_broken_exif_are_ignored():
    pixels = smooth(8, 12)
    assert_same_pixels(decode_picture(encode(pixels, "PNG", exif=exif(9)), alpha=False), pixels)
    assert_same_pixels(decode_picture(insert_png_chunks(encode(pixels, "PNG"), (b"eXIf", b"rubbish")), alpha=False), pixels)


# --- colour ---


def srgb_of_linear(values):
    """8-bit sRGB of linear light 0..255, by IEC 61966-2-1."""
    light = np.asarray(values) / 255
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_linear_profiles_become_srgb():
    gray = np.arange(256, dtype=np.uint8)[None]
    found = decode_picture(encode(gray, "PNG", icc_profile=gray_profile(1.0)), alpha=False)
    assert found[0, 128].tolist() == [188] * 3  # middle linear light, a number known from anywhere
    assert np.abs(found - srgb_of_linear(gray)[..., None]).max() <= 1.5
    pixels = noise(20, 20)
    found = decode_picture(encode(pixels, "PNG", icc_profile=rgb_profile(1.0)), alpha=False)
    assert np.abs(found - srgb_of_linear(pixels)).max() <= 2.5


def test_profile_with_other_primaries_moves_the_colours_and_keeps_alpha():
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[0] = [[255, 0, 0, 9], [0, 255, 0, 200]]
    found = decode_picture(encode(pixels, "PNG", icc_profile=rgb_profile(2.2, order=(1, 0, 2))), alpha=True)
    assert np.abs(found.astype(int) - [[[0, 255, 0, 9], [255, 0, 0, 200]]]).max() <= 1


def test_profile_and_orientation_and_16_bits_together():
    values = noise(5, 4, dtype=np.uint16)
    with_profile = encode(eight_bits(values), "PNG", icc_profile=rgb_profile(1.0), exif=exif(8))
    profile_chunk = with_profile[with_profile.index(b"iCCP") - 4 :]
    length = int.from_bytes(profile_chunk[:4], "big")
    data = insert_png_chunks(
        png16(values), (b"iCCP", profile_chunk[8 : 8 + length]), (b"eXIf", exif(8).tobytes().removeprefix(b"Exif\0\0"))
    )
    found = decode_picture(data, alpha=False)
    assert found.shape == (4, 5, 3)
    assert_same_pixels(found, decode_picture(with_profile, alpha=False))


def test_srgb_profile_changes_nothing():
    pixels = noise(64, 64)
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), nearly_srgb_profile()):
        assert_same_pixels(decode_picture(encode(pixels, "PNG", icc_profile=profile), alpha=False), pixels)


def test_gray_picture_with_rgb_profile():
    gray = np.arange(256, dtype=np.uint8)[None]
    found = decode_picture(encode(gray, "JPEG", quality=100, icc_profile=rgb_profile(1.0)), alpha=False)
    assert np.abs(found - srgb_of_linear(gray)[..., None])[0, 32:].max() <= 4  # JPEG moves levels by one


def test_broken_or_foreign_profile_is_refused():
    pixels = noise(4, 4)
    with pytest.raises(AssetError, match=r"profile .* is broken"):
        decode_picture(encode(pixels, "PNG", icc_profile=b"rubbish" * 30), alpha=False)
    with pytest.raises(AssetError, match="profile can't be unpacked"):
        decode_picture(insert_png_chunks(encode(pixels, "PNG"), (b"iCCP", b"x\0\0rubbish")), alpha=False)
    with pytest.raises(AssetError, match="for GRAY pictures, but the picture is RGB"):
        decode_picture(encode(pixels, "PNG", icc_profile=gray_profile(1.0)), alpha=False)


def cmyk(c, m, y, k):
    return Image.new("CMYK", (16, 16), (c, m, y, k))


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_without_profile(file_format):
    """Pillow writes Adobe's inverted CMYK into JPEGs, as Photoshop does."""
    data = encode(cmyk(255, 0, 51, 102), file_format, **({"quality": 100} if file_format == "JPEG" else {}))
    expected = [0, 153, 204 * 153 / 255]
    assert np.abs(decode_picture(data, alpha=False) - expected).max() <= 2


def test_ycck_jpeg():
    """The same file with Adobe's transform 2: the first three channels are YCC of the inverted CMY."""
    data = encode(cmyk(55, 127, 127, 0), "JPEG", quality=100)  # inverted: Y 200, Cb 128, Cr 128
    at = data.index(b"Adobe") + 11
    found = decode_picture(data[:at] + b"\2" + data[at + 1 :], alpha=False)
    # libjpeg: CMY = 255 - RGB(YCC) = 55, inverted 200 of ink, so red = green = blue = 55
    assert np.abs(found.astype(int) - 55).max() <= 2


def test_cmyk_with_profile():
    data = encode(cmyk(0, 0, 0, 128), "TIFF", icc_profile=cmyk_profile())
    found = decode_picture(data, alpha=False)
    assert np.abs(found.astype(int) - 119).max() <= 1  # L* = 50 is 119 in sRGB; the plain formula gives 127
    with pytest.raises(AssetError, match="for RGB pictures, but the picture is CMYK"):
        decode_picture(encode(cmyk(0, 0, 0, 128), "TIFF", icc_profile=rgb_profile(1.0)), alpha=False)
