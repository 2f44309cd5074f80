"""Decoding of source pictures: what plain files, 16 bits and alpha become; and PNGs that are written."""

import io

import cv2
import numpy as np
import pytest
from picture_files import assert_same_pixels, eight_bits, encode, interlaced_png, noise, png, png16, png_chunk, smooth, tiff
from PIL import Image

from fgbg_depth.assets.pictures import decode_picture, decode_pixels, encode_png
from fgbg_depth.errors import AssetError, CodecError

# --- plain pictures ---


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_lossless_rgb(file_format):
    pixels = noise(7, 5)
    assert_same_pixels(decode_picture(encode(pixels, file_format), alpha=False), pixels)


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_lossless_rgba(file_format, options):
    pixels = noise(7, 5, 4)
    assert_same_pixels(decode_picture(encode(pixels, file_format, **options), alpha=True), pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_lossy_rgb_is_what_pillow_decodes(file_format):
    data = encode(smooth(30, 40), file_format)
    assert_same_pixels(decode_picture(data, alpha=False), np.asarray(Image.open(io.BytesIO(data))))


def test_format_is_told_by_content_and_still_gif_is_read():
    gray = noise(6, 9, 1)[..., 0]
    assert_same_pixels(decode_picture(encode(gray, "GIF"), alpha=False), np.dstack([gray] * 3))


def test_gray_one_bit_palette():
    gray = noise(6, 9, 1)[..., 0]
    assert_same_pixels(decode_picture(encode(gray, "PNG"), alpha=False), np.dstack([gray] * 3))
    bits = Image.fromarray(gray).convert("1")
    for file_format in ("PNG", "TIFF", "BMP"):
        assert_same_pixels(decode_picture(encode(bits, file_format), alpha=False), np.asarray(bits.convert("RGB")))
    palette = Image.fromarray(smooth(12, 12)).quantize(16)
    assert_same_pixels(decode_picture(encode(palette, "PNG"), alpha=False), np.asarray(palette.convert("RGB")))


def test_gray_with_alpha():
    pixels = noise(6, 9, 2)
    assert_same_pixels(decode_picture(encode(pixels, "PNG"), alpha=True), pixels[..., [0, 0, 0, 1]])


def test_palette_with_transparency():
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    image = Image.fromarray(indices).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30, 255], [40, 50, 60, 0], [70, 80, 90, 255]], np.uint8)
    assert_same_pixels(decode_picture(encode(image, "PNG", transparency=1), alpha=True), colours[indices])
    gif = encode(Image.fromarray(smooth(8, 8)).quantize(4), "GIF", transparency=2)
    assert_same_pixels(decode_picture(gif, alpha=True), np.asarray(Image.open(io.BytesIO(gif)).convert("RGBA")))
    assert set(np.unique(decode_picture(gif, alpha=True)[..., 3])) == {0, 255}
    colours[:, 3] = [255, 128, 7]
    assert_same_pixels(decode_picture(encode(image, "PNG", transparency=bytes([255, 128, 7])), alpha=True), colours[indices])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_gray_png_with_one_transparent_value(depth):
    values = np.arange(8) % 2**depth
    row = int("".join(format(value, f"0{depth}b") for value in values), 2).to_bytes(depth, "big")
    data = png(8, 1, depth, 0, [row], [(b"tRNS", b"\0\1")])
    gray = values * 255 // (2**depth - 1)
    expected = np.stack([gray, gray, gray, np.where(values == 1, 0, 255)], axis=-1)[None]
    assert_same_pixels(decode_picture(data, alpha=True), expected)


def test_rgb_png_with_one_transparent_colour():
    pixels = noise(4, 5)
    clear = pixels[1, 2].astype(">u2").tobytes()
    data = png(5, 4, 8, 2, [row.tobytes() for row in pixels], [(b"tRNS", clear)])
    found = decode_picture(data, alpha=True)
    assert found[1, 2, 3] == 0 and np.count_nonzero(found[..., 3] == 255) == 19


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 3), (4, 4), (5, 9), (8, 8), (33, 17)])
def test_interlaced_png(size):
    pixels = noise(*size)
    assert_same_pixels(decode_picture(interlaced_png(pixels), alpha=False), pixels)


def test_png_in_many_pieces():
    """A well packed picture in pieces of three bytes: each unpacks to more than the next one needs."""
    pixels = np.zeros((2000, 2000, 3), np.uint8)
    data = encode(pixels, "PNG", compress_level=9)
    at = data.index(b"IDAT")
    body = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]
    pieces = b"".join(png_chunk(b"IDAT", body[i : i + 3]) for i in range(0, len(body), 3))
    assert_same_pixels(decode_picture(data[: at - 4] + pieces + data[-12:], alpha=False), pixels)


# --- 16 bits ---


def test_every_16_bit_gray_value_is_rounded():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    expected = np.repeat(eight_bits(values), 3, axis=2)
    assert expected[0, 200, 0] == 1  # where cutting off would give 0
    assert_same_pixels(decode_picture(png16(values), alpha=False), expected)
    assert_same_pixels(decode_picture(encode(values[..., 0], "TIFF"), alpha=False), expected)
    assert_same_pixels(decode_picture(tiff(values, big_endian=True), alpha=False), expected)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_written_by_opencv(channels, suffix):
    values = noise(9, 6, channels, dtype=np.uint16)
    ok, data = cv2.imencode(suffix, values[..., [2, 1, 0, 3][:channels]])
    assert ok
    assert_same_pixels(decode_picture(data.tobytes(), alpha=channels == 4), eight_bits(values))


def test_16_bit_png_by_hand():
    for channels in (3, 4):
        values = noise(9, 6, channels, dtype=np.uint16)
        assert_same_pixels(decode_picture(png16(values), alpha=channels == 4), eight_bits(values))
    values = noise(9, 6, 2, dtype=np.uint16)
    assert_same_pixels(decode_picture(png16(values), alpha=True), eight_bits(values)[..., [0, 0, 0, 1]])


def test_16_bit_png_transparent_colour_is_compared_in_16_bits():
    values = np.full((2, 2, 3), 0x1234, np.uint16)
    values[0, 0] = 0x1235  # the same 8-bit colour, but opaque
    found = decode_picture(png16(values, [(b"tRNS", b"\x12\x34" * 3)]), alpha=True)
    assert found[..., 3].tolist() == [[255, 0], [0, 0]]
    found = decode_picture(png16(values[..., :1], [(b"tRNS", b"\x12\x34")]), alpha=True)
    assert found[..., 3].tolist() == [[255, 0], [0, 0]]


def test_tiff_where_white_is_zero():
    values = noise(5, 4, 1, dtype=np.uint16)
    assert_same_pixels(decode_picture(tiff(values, photometric=0), alpha=False), np.repeat(eight_bits(65535 - values), 3, axis=2))
    values = noise(5, 4, 1)
    assert_same_pixels(decode_picture(tiff(values, photometric=0), alpha=False), np.repeat(255 - values, 3, axis=2))


def test_tiff_layouts():
    pixels = noise(5, 4, 4)
    assert_same_pixels(decode_picture(tiff(pixels[..., :3], planes=True), alpha=False), pixels[..., :3])
    assert_same_pixels(decode_picture(tiff(pixels, extra_samples=2, big_endian=True), alpha=True), pixels)
    assert_same_pixels(decode_pixels(tiff(pixels, extra_samples=0)), pixels[..., :3])  # the fourth channel is no alpha
    values = noise(5, 4, 4, dtype=np.uint16)
    assert_same_pixels(decode_picture(tiff(values[..., :3], big_endian=True), alpha=False), eight_bits(values[..., :3]))
    assert_same_pixels(decode_pixels(tiff(values, extra_samples=0)), eight_bits(values[..., :3]))


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


# --- alpha ---


def test_background_may_have_opaque_alpha_only():
    pixels = noise(4, 5, 4)
    pixels[..., 3] = 255
    assert_same_pixels(decode_picture(encode(pixels, "PNG"), alpha=False), pixels[..., :3])
    pixels[1, 1, 3] = 254
    with pytest.raises(AssetError, match="1 of its 20 pixels are transparent"):
        decode_picture(encode(pixels, "PNG"), alpha=False)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_cut_out_needs_alpha(file_format):
    with pytest.raises(AssetError, match="no alpha channel; pass --key-color or use a cut-out"):
        decode_picture(encode(smooth(8, 8), file_format), alpha=True)


# --- written PNGs ---


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
