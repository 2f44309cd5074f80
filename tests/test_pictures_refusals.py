"""Source pictures that are refused: cut off, damaged, far too large, animated, or no pictures at all."""

import io

import numpy as np
import pytest
from picture_files import assert_same_pixels, disc, encode, exif, insert_jpeg_segments, noise, png, png16, smooth, tiff
from PIL import Image, ImageFile

from fgbg_depth.assets.pictures import decode_pixels
from fgbg_depth.errors import AssetError

# --- whole files ---


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
        assert_same_pixels(decode_pixels(data[:-cut]), decode_pixels(data))


@pytest.mark.parametrize("name", [name for name in WHOLE if name.startswith(("jpeg", "png"))])
def test_download_that_stopped_with_zeros_is_refused(name):
    data = WHOLE[name]
    for part in (0.3, 0.9):
        keep = int(len(data) * part)
        with pytest.raises(AssetError, match=r"cut off|damaged"):
            decode_pixels(data[:keep] + b"\0" * (len(data) - keep))


@pytest.mark.parametrize("name", WHOLE)
def test_bytes_after_the_end_do_no_harm(name):
    assert_same_pixels(decode_pixels(WHOLE[name] + b"MotionPhoto_Data" * 50), decode_pixels(WHOLE[name]))


def test_flipped_bit_in_a_png_is_found():
    data = bytearray(WHOLE["png"])
    data[len(data) // 2] ^= 1
    with pytest.raises(AssetError, match=r"chunk b'IDAT' at byte .* doesn't match its checksum"):
        decode_pixels(bytes(data))


def test_png_with_too_few_rows_is_refused():
    data = png(4, 4, 8, 2, [bytes(12)] * 3)
    with pytest.raises(AssetError, match="39 of 52 bytes of pixels are there"):
        decode_pixels(data)


def test_jpeg_with_app_segments_of_any_kind():
    data = WHOLE["jpeg"]
    odd = insert_jpeg_segments(data, (0xE5, b"\xff\xd9" * 30), (0xFE, b"\xff\xda\xff\xd9"), (0xEF, b""))
    assert_same_pixels(decode_pixels(odd), decode_pixels(data))


# --- bounds and kinds ---


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
