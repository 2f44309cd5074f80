"""Stored pictures and depth: exact where they promise to be, clear where they are damaged."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fgbg_depth import codec
from fgbg_depth.errors import CodecError

maps = arrays(np.float32, (9, 7), elements=st.floats(0.0625, 60, width=32))


@given(depth=maps)
def test_relative8_gives_metres_back_within_half_a_step(depth):
    levels, low, high = codec.quantise_depth(depth, "relative8")
    assert levels.dtype == np.uint8 and low == depth.min() and high == depth.max()
    back = codec.depth_to_metres(codec.decode_gray(codec.encode_gray(levels, "relative8")), low, high)
    step = (float(high) - float(low)) / 255
    assert np.abs(back.astype(np.float64) - depth).max() <= step * 0.5001 + 1e-5
    if high > low:
        assert levels.min() == 0 and levels.max() == 255
    else:
        assert (levels == 0).all() and (back == depth).all()


@given(depth=maps)
def test_metric16_gives_millimetres(depth):
    levels, low, high = codec.quantise_depth(depth, "metric16")
    assert (low, high) == (0, np.float32(65.535)) and levels.dtype == np.uint16
    stored = codec.encode_gray(levels, "metric16")
    picture = Image.open(io.BytesIO(stored))
    assert picture.mode == "I;16"
    back = codec.depth_to_metres(picture, low, high)
    assert np.abs(back - depth).max() <= 0.0005 + 1e-5


def test_depth_that_cannot_be_stored():
    bad = np.ones((4, 4), np.float32)
    bad[1, 2] = np.nan
    for encoding in ("relative8", "metric16"):
        with pytest.raises(CodecError, match="not finite"):
            codec.quantise_depth(bad, encoding)
    with pytest.raises(CodecError, match=r"from 1\.0 to 70\.0 m doesn't fit metric16"):
        codec.quantise_depth(np.array([[1, 70]], np.float32), "metric16")
    with pytest.raises(CodecError, match="doesn't fit metric16"):
        codec.quantise_depth(np.array([[-1, 7]], np.float32), "metric16")


def test_metres_need_a_range_and_levels():
    with pytest.raises(CodecError, match="relative"):
        codec.depth_to_metres(np.zeros((2, 2), np.uint8), None, None)
    with pytest.raises(CodecError, match="float64"):
        codec.depth_to_metres(np.zeros((2, 2)), 0, 1)


def test_metres_of_a_batch():
    levels = np.array([[[0, 255]], [[0, 255]]], np.uint8)
    metres = codec.depth_to_metres(levels, np.array([1, 2])[:, None, None], np.array([3, 8])[:, None, None])
    assert metres.tolist() == [[[1, 3]], [[2, 8]]] and metres.dtype == np.float32


def test_level_to_millimetres_is_what_metres_say():
    low, high = np.float32(0.7312), np.float32(4.8519)
    metres = codec.depth_to_metres(np.arange(256, dtype=np.uint8), low, high)
    assert np.abs(codec.level_to_millimetres(low, high) - metres.astype(np.float64) * 1000).max() <= 0.5001


@pytest.mark.parametrize("shape", [(1, 1), (224, 224), (33, 65)])
def test_masks_and_png_are_lossless(shape):
    rng = np.random.default_rng(1)
    mask = np.where(rng.random(shape) < 0.3, 255, 0).astype(np.uint8)
    assert (codec.decode_gray(codec.encode_mask(mask)) == mask).all()
    rgb = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert (codec.decode_rgb(codec.encode_image(rgb, "png", 90)) == rgb).all()


def test_jpeg_keeps_colour_order_and_decodes_as_pillow_does():
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[..., 0] = 220
    data = codec.encode_image(rgb, "jpeg", 95)
    decoded = codec.decode_rgb(data)
    assert decoded[..., 0].mean() > 210 and decoded[..., 2].mean() < 10
    assert (decoded == np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).all()
    assert len(codec.encode_image(rgb, "jpeg", 30)) <= len(data)
    gray = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    assert np.abs(codec.decode_gray(codec.encode_gray(gray, "relative8_jpeg")).astype(int) - gray).max() < 12


@pytest.mark.parametrize("data", [None, b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_damaged_bytes(data):
    with pytest.raises(CodecError, match="stored picture"):
        codec.decode_rgb(data)


def test_wrong_kind_of_picture():
    mask = codec.encode_mask(np.zeros((4, 4), np.uint8))
    with pytest.raises(CodecError, match="mode L, expected RGB"):
        codec.decode_rgb(mask)
    whole = codec.encode_image(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), "jpeg", 90)
    with pytest.raises(CodecError, match="can't be decoded"):
        codec.decode_rgb(whole[: len(whole) // 2])




@pytest.mark.parametrize("quality", [30, 50, 90, 100])
def test_own_composites_decode_as_pillow_does(quality):
    assert codec._decoders_agree(), "the quick path isn't taken here: OpenCV and Pillow decode JPEG differently"
    rgb = np.random.default_rng(quality).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    rgb[:100] = np.arange(224, dtype=np.uint8)[None, :, None]
    data = codec.encode_image(rgb, "jpeg", quality)
    assert (codec.redecode_rgb(data) == codec.decode_rgb(data)).all()
    assert (codec.redecode_rgb(codec.encode_image(rgb, "png", 90)) == rgb).all()


def test_pillow_decodes_where_the_two_differ(monkeypatch):
    monkeypatch.setattr(codec, "_decoders_agree", lambda: False)
    data = codec.encode_image(np.full((8, 8, 3), 7, np.uint8), "jpeg", 90)
    assert (codec.redecode_rgb(data) == codec.decode_rgb(data)).all()
