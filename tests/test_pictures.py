"""Decoding of source pictures: what every kind of file becomes, and what is refused."""

import io

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
    interlaced_png,
    nearly_srgb_profile,
    noise,
    png,
    png16,
    png_chunk,
    rgb_profile,
    smooth,
    tiff,
)
from PIL import Image, ImageCms, ImageFile, ImageOps

from fgbg_depth.assets.pictures import decode_picture, decode_pixels, encode_png
from fgbg_depth.errors import AssetError, CodecError


def same(found, expected):
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


def srgb_of_linear(values):
    """8-bit sRGB of linear light 0..255, by IEC 61966-2-1."""
    light = np.asarray(values) / 255
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


# --- plain pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_lossless_rgb(file_format):
    pixels = noise(7, 5)
    same(decode_picture(encode(pixels, file_format), alpha=False), pixels)


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_lossless_rgba(file_format, options):
    pixels = noise(7, 5, 4)
    same(decode_picture(encode(pixels, file_format, **options), alpha=True), pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_lossy_rgb_is_what_pillow_decodes(file_format):
    data = encode(smooth(30, 40), file_format)
    same(decode_picture(data, alpha=False), np.asarray(Image.open(io.BytesIO(data))))


def test_format_is_told_by_content_and_still_gif_is_read():
    gray = noise(6, 9, 1)[..., 0]
    same(decode_picture(encode(gray, "GIF"), alpha=False), np.dstack([gray] * 3))


def test_gray_one_bit_palette():
    gray = noise(6, 9, 1)[..., 0]
    same(decode_picture(encode(gray, "PNG"), alpha=False), np.dstack([gray] * 3))
    bits = Image.fromarray(gray).convert("1")
    for file_format in ("PNG", "TIFF", "BMP"):
        same(decode_picture(encode(bits, file_format), alpha=False), np.asarray(bits.convert("RGB")))
    palette = Image.fromarray(smooth(12, 12)).quantize(16)
    same(decode_picture(encode(palette, "PNG"), alpha=False), np.asarray(palette.convert("RGB")))


def test_gray_with_alpha():
    pixels = noise(6, 9, 2)
    same(decode_picture(encode(pixels, "PNG"), alpha=True), pixels[..., [0, 0, 0, 1]])


def test_palette_with_transparency():
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    image = Image.fromarray(indices).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30, 255], [40, 50, 60, 0], [70, 80, 90, 255]], np.uint8)
    same(decode_picture(encode(image, "PNG", transparency=1), alpha=True), colours[indices])
    gif = encode(Image.fromarray(smooth(8, 8)).quantize(4), "GIF", transparency=2)
    same(decode_picture(gif, alpha=True), np.asarray(Image.open(io.BytesIO(gif)).convert("RGBA")))
    assert set(np.unique(decode_picture(gif, alpha=True)[..., 3])) == {0, 255}
    colours[:, 3] = [255, 128, 7]
    same(decode_picture(encode(image, "PNG", transparency=bytes([255, 128, 7])), alpha=True), colours[indices])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_gray_png_with_one_transparent_value(depth):
    values = np.arange(8) % 2**depth
    row = int("".join(format(value, f"0{depth}b") for value in values), 2).to_bytes(depth, "big")
    data = png(8, 1, depth, 0, [row], [(b"tRNS", b"\0\1")])
    gray = values * 255 // (2**depth - 1)
    expected = np.stack([gray, gray, gray, np.where(values == 1, 0, 255)], axis=-1)[None]
    same(decode_picture(data, alpha=True), expected)


def test_rgb_png_with_one_transparent_colour():
    pixels = noise(4, 5)
    clear = pixels[1, 2].astype(">u2").tobytes()
    data = png(5, 4, 8, 2, [row.tobytes() for row in pixels], [(b"tRNS", clear)])
    found = decode_picture(data, alpha=True)
    assert found[1, 2, 3] == 0 and np.count_nonzero(found[..., 3] == 255) == 19


# --- 16 bits ----------------------------------------------------------------------------------------------


def eight_bits(values):
    return np.rint(values.astype(np.float64) * 255 / 65535).astype(np.uint8)


def test_every_16_bit_gray_value_is_rounded():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    expected = np.repeat(eight_bits(values), 3, axis=2)
    assert expected[0, 200, 0] == 1  # where cutting off would give 0
    same(decode_picture(png16(values), alpha=False), expected)
    same(decode_picture(encode(values[..., 0], "TIFF"), alpha=False), expected)
    same(decode_picture(tiff(values, big_endian=True), alpha=False), expected)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_written_by_opencv(channels, suffix):
    values = noise(9, 6, channels, dtype=np.uint16)
    ok, data = cv2.imencode(suffix, values[..., [2, 1, 0, 3][:channels]])
    assert ok
    same(decode_picture(data.tobytes(), alpha=channels == 4), eight_bits(values))


def test_16_bit_png_by_hand():
    for channels in (3, 4):
        values = noise(9, 6, channels, dtype=np.uint16)
        same(decode_picture(png16(values), alpha=channels == 4), eight_bits(values))
    values = noise(9, 6, 2, dtype=np.uint16)
    same(decode_picture(png16(values), alpha=True), eight_bits(values)[..., [0, 0, 0, 1]])


def test_16_bit_png_transparent_colour_is_compared_in_16_bits():
    values = np.full((2, 2, 3), 0x1234, np.uint16)
    values[0, 0] = 0x1235  # the same 8-bit colour, but opaque
    found = decode_picture(png16(values, [(b"tRNS", b"\x12\x34" * 3)]), alpha=True)
    assert found[..., 3].tolist() == [[255, 0], [0, 0]]
    found = decode_picture(png16(values[..., :1], [(b"tRNS", b"\x12\x34")]), alpha=True)
    assert found[..., 3].tolist() == [[255, 0], [0, 0]]


def test_tiff_where_white_is_zero():
    values = noise(5, 4, 1, dtype=np.uint16)
    same(decode_picture(tiff(values, photometric=0), alpha=False), np.repeat(eight_bits(65535 - values), 3, axis=2))
    values = noise(5, 4, 1)
    same(decode_picture(tiff(values, photometric=0), alpha=False), np.repeat(255 - values, 3, axis=2))


def test_tiff_layouts():
    pixels = noise(5, 4, 4)
    same(decode_picture(tiff(pixels[..., :3], planes=True), alpha=False), pixels[..., :3])
    same(decode_picture(tiff(pixels, extra_samples=2, big_endian=True), alpha=True), pixels)
    same(decode_pixels(tiff(pixels, extra_samples=0)), pixels[..., :3])  # the fourth channel is no alpha
    values = noise(5, 4, 4, dtype=np.uint16)
    same(decode_picture(tiff(values[..., :3], big_endian=True), alpha=False), eight_bits(values[..., :3]))
    same(decode_pixels(tiff(values, extra_samples=0)), eight_bits(values[..., :3]))


def test_premultiplied_tiff_becomes_straight():
    pixels = np.array([[[100, 50, 0, 200], [0, 0, 0, 0]]], np.uint8)
    found = decode_picture(tiff(pixels, extra_samples=1), alpha=True)
    assert np.abs(found[0, 0].astype(int) - [127.5, 63.75, 0, 200]).max() <= 1
    assert found[0, 1, 3] == 0


@pytest.mark.parametrize(
    "data",
    [
        tiff(noise(5, 4, 3, dtype=np.uint16), planes=True),
        tiff(noise(5, 4, 4, dtype=np.uint16), extra_samples=1),
    ],
    ids=["planes", "premultiplied"],
)
def test_16_bit_tiff_that_the_decoders_read_wrongly_is_refused(data):
    with pytest.raises(AssetError, match="16-bit TIFF of an unusual layout"):
        decode_pixels(data)


@pytest.mark.parametrize(
    "data",
    [
        encode(np.ones((4, 4), np.float32), "TIFF"),
        encode(np.ones((4, 4), np.int32), "TIFF"),
        tiff(noise(5, 4, 1, dtype=np.uint16), sample_format=2),
        encode(Image.new("LAB", (4, 4)), "TIFF"),
    ],
    ids=["float", "int32", "signed", "lab"],
)
def test_numbers_without_a_fixed_white_are_refused(data):
    with pytest.raises(AssetError, match="save it as 8"):
        decode_picture(data, alpha=False)


# --- orientation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("file_format", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_exif_orientation(orientation, file_format, options):
    data = encode(smooth(8, 12), file_format, exif=exif(orientation), **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright.size == ((12, 8) if orientation < 5 else (8, 12))
    same(decode_picture(data, alpha=False), np.asarray(upright))


def test_orientation_6_turns_clockwise():
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255  # top left goes to top right
    found = decode_picture(encode(pixels, "PNG", exif=exif(6)), alpha=False)
    assert found.shape == (3, 2, 3) and found[0, 1, 0] == 255


def test_orientation_of_16_bit_files():
    values = noise(5, 4, dtype=np.uint16)
    turned = np.rot90(eight_bits(values), -1)
    data = insert_png_chunks(png16(values), (b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")))
    same(decode_picture(data, alpha=False), turned)
    same(decode_picture(tiff(values, orientation=6), alpha=False), turned)


def test_impossible_orientation_and_broken_exif_are_ignored():
    pixels = smooth(8, 12)
    same(decode_picture(encode(pixels, "PNG", exif=exif(9)), alpha=False), pixels)
    same(decode_picture(insert_png_chunks(encode(pixels, "PNG"), (b"eXIf", b"rubbish")), alpha=False), pixels)


# --- colour -----------------------------------------------------------------------------------------------


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
    same(found, decode_picture(with_profile, alpha=False))


def test_srgb_profile_changes_nothing():
    pixels = noise(64, 64)
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), nearly_srgb_profile()):
        same(decode_picture(encode(pixels, "PNG", icc_profile=profile), alpha=False), pixels)


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


# --- alpha ------------------------------------------------------------------------------------------------


def test_background_may_have_opaque_alpha_only():
    pixels = noise(4, 5, 4)
    pixels[..., 3] = 255
    same(decode_picture(encode(pixels, "PNG"), alpha=False), pixels[..., :3])
    pixels[1, 1, 3] = 254
    with pytest.raises(AssetError, match="1 of its 20 pixels are transparent"):
        decode_picture(encode(pixels, "PNG"), alpha=False)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_cut_out_needs_alpha(file_format):
    with pytest.raises(AssetError, match="no alpha channel; pass --key-color or use a cut-out"):
        decode_picture(encode(smooth(8, 8), file_format), alpha=True)


# --- whole files ------------------------------------------------------------------------------------------

PHOTO = noise(40, 50)
WHOLE = {
    "jpeg": encode(PHOTO, "JPEG", quality=90),
    "jpeg-thumbnail": encode(PHOTO, "JPEG", exif=exif(1).tobytes() + encode(smooth(8, 8), "JPEG")),
    "jpeg-progressive": encode(PHOTO, "JPEG", quality=90, progressive=True),
    "png": encode(PHOTO, "PNG"),
    "png-rgba": encode(noise(40, 50, 4), "PNG"),
    "png-16": png16(noise(40, 50, dtype=np.uint16)),
    "webp": encode(PHOTO, "WEBP"),
    "webp-rgba": encode(disc(64), "WEBP"),
    "webp-lossless": encode(PHOTO, "WEBP", lossless=True),
    "tiff": encode(PHOTO, "TIFF"),
    "tiff-lzw": encode(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff-hand": tiff(PHOTO),
    "bmp": encode(PHOTO, "BMP"),
    "gif": encode(PHOTO[..., 0], "GIF"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's of a cut TIFF; scan_assets silences them too
@pytest.mark.parametrize("name", WHOLE)
def test_file_that_is_cut_off_is_refused(name):
    data = WHOLE[name]
    decode_pixels(data)
    # The last two bytes of a BMP row and of a GIF hold no pixel
    spare = 2 if name in ("bmp", "gif") else 0
    cuts = [*range(spare + 1, 30), *(len(data) * part // 20 for part in range(1, 20)), len(data) - 10]
    for cut in cuts:
        with pytest.raises(AssetError):
            decode_pixels(data[:-cut])
    for cut in range(1, spare + 1):
        same(decode_pixels(data[:-cut]), decode_pixels(data))


@pytest.mark.parametrize("name", [name for name in WHOLE if name.startswith(("jpeg", "png"))])
def test_download_that_stopped_with_zeros_is_refused(name):
    data = WHOLE[name]
    for part in (0.3, 0.9):
        keep = int(len(data) * part)
        with pytest.raises(AssetError, match=r"cut off|damaged"):
            decode_pixels(data[:keep] + b"\0" * (len(data) - keep))


@pytest.mark.parametrize("name", WHOLE)
def test_bytes_after_the_end_do_no_harm(name):
    same(decode_pixels(WHOLE[name] + b"MotionPhoto_Data" * 50), decode_pixels(WHOLE[name]))


def test_flipped_bit_in_a_png_is_found():
    data = bytearray(WHOLE["png"])
    data[len(data) // 2] ^= 1
    with pytest.raises(AssetError, match=r"chunk b'IDAT' at byte .* doesn't match its checksum"):
        decode_pixels(bytes(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 3), (4, 4), (5, 9), (8, 8), (33, 17)])
def test_interlaced_png(size):
    pixels = noise(*size)
    same(decode_picture(interlaced_png(pixels), alpha=False), pixels)


def test_png_in_many_pieces():
    """A well packed picture in pieces of three bytes: each unpacks to more than the next one needs."""
    pixels = np.zeros((2000, 2000, 3), np.uint8)
    data = encode(pixels, "PNG", compress_level=9)
    at = data.index(b"IDAT")
    body = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]
    pieces = b"".join(png_chunk(b"IDAT", body[i : i + 3]) for i in range(0, len(body), 3))
    same(decode_picture(data[: at - 4] + pieces + data[-12:], alpha=False), pixels)


def test_png_with_too_few_rows_is_refused():
    data = png(4, 4, 8, 2, [bytes(12)] * 3)
    with pytest.raises(AssetError, match="39 of 52 bytes of pixels are there"):
        decode_pixels(data)


# --- bounds and kinds -------------------------------------------------------------------------------------


def bomb_png(width, height):
    return png(width, height, 8, 2, [b"\0" * 10])


def bomb_jpeg(width, height):
    data = bytearray(encode(smooth(16, 16), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def bomb_gif(width, height):
    data = bytearray(encode(smooth(16, 16)[..., 0], "GIF"))
    data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return bytes(data)


def bomb_tiff(width, height):
    data = bytearray(tiff(smooth(16, 16)))
    data[10 + 8 : 10 + 12], data[22 + 8 : 22 + 12] = width.to_bytes(4, "little"), height.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("bomb", [bomb_png, bomb_jpeg, bomb_gif, bomb_tiff])
def test_bomb_is_refused_before_decoding(bomb, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(AssetError, match="50000 x 50000 pixels: a side is longer than 32,767"):
        decode_pixels(bomb(50_000, 50_000))
    with pytest.raises(AssetError, match=r"30000 x 30000 pixels = 900.0 million, more than the bound of 67.1 million"):
        decode_pixels(bomb(30_000, 30_000))


def test_header_alone_that_claims_a_bomb():
    with pytest.raises(AssetError):
        decode_pixels(bomb_png(50_000, 50_000)[:33])


def test_bound_is_inclusive_and_can_be_set_beyond_that_of_pillow(monkeypatch):
    data = encode(noise(10, 10), "PNG")
    assert decode_pixels(data, max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(AssetError, match="more than the bound"):
        decode_pixels(data, max_pixels=99)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode_pixels(data, max_pixels=100).shape == (10, 10, 3)


def frames(file_format, **options):
    first, second = (Image.fromarray(smooth(8, 8)), Image.fromarray(smooth(8, 8)[::-1].copy()))
    return encode(first, file_format, save_all=True, append_images=[second], **options)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_animation_is_refused(file_format):
    with pytest.raises(AssetError, match=r"animated \(2 frames\)"):
        decode_pixels(frames(file_format))


def test_tiff_with_pages_is_refused():
    with pytest.raises(AssetError, match="2 pages"):
        decode_pixels(frames("TIFF"))


def test_phone_picture_with_a_preview_behind_gives_the_first():
    data = frames("MPO")
    assert Image.open(io.BytesIO(data)).n_frames == 2
    found = decode_pixels(data).astype(int)
    assert np.abs(found - smooth(8, 8)).mean() < 20 < np.abs(found - smooth(8, 8)[::-1]).mean()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"\0" * 100, "a file of zeros"),
        (b"just text", "of an unknown kind"),
        (b"<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"%PDF-1.7", "a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\0\x20ftypheic\0\0\0\0", "HEIC, AVIF"),
        (encode(smooth(8, 8), "PPM"), "of an unknown kind"),
        (encode(smooth(8, 8), "JPEG2000"), "JPEG 2000"),
    ],
)
def test_what_is_no_picture_is_named(data, reason):
    with pytest.raises(AssetError, match=reason):
        decode_pixels(data)


@pytest.mark.parametrize("head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"II*\0", b"BM", b"GIF89a"])
def test_rubbish_behind_a_right_beginning_is_refused(head):
    rng = np.random.default_rng(0)
    for length in (0, 1, 5, 30, 500):
        with pytest.raises(AssetError):
            decode_pixels(head + rng.bytes(length))


def test_jpeg_with_app_segments_of_any_kind():
    data = WHOLE["jpeg"]
    odd = insert_jpeg_segments(data, (0xE5, b"\xff\xd9" * 30), (0xFE, b"\xff\xda\xff\xd9"), (0xEF, b""))
    same(decode_pixels(odd), decode_pixels(data))


# --- PNG --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_encode_png_round_trip_and_same_bytes(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    data = encode_png(pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert data == encode_png(pixels.copy()) == encode_png(np.flip(np.flip(pixels, 0).copy(), 0))


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)])
def test_encode_png_refuses_other_arrays(array):
    with pytest.raises(CodecError, match="can't store"):
        encode_png(array)
