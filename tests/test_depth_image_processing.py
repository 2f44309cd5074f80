"""Pictures to network input and maps back, and the depth-estimation pipeline of transformers."""

import numpy as np
import pytest
import torch
from densedepth import tiny
from PIL import Image
from transformers import AutoImageProcessor, pipeline
from transformers.modeling_outputs import DepthEstimatorOutput

from fgbg_depth.depth import DenseDepthForDepthEstimation, DenseDepthImageProcessor
from fgbg_depth.depth.image_processing import to_pixel_values, to_rgb_array
from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners
from fgbg_depth.depth.pretrained import load_pretrained, quiet_transformers
from fgbg_depth.errors import UsageError

RGB = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.save_densedepth(tmp_path_factory.mktemp("model"))


def test_values_are_divided_by_255():
    levels = np.arange(256, dtype=np.uint8)
    image = np.broadcast_to(levels[:, None, None], (256, 32, 3))
    values = to_pixel_values(image, (256, 32))[0, :, 0]
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, (levels / 255).astype(np.float32))  # float64 division, rounded once
    product = levels * np.float32(1 / 255)
    assert np.sum(values != product) == 126  # the shortcut is not the same


def test_pixel_values_keep_channel_order_and_layout():
    batch = DenseDepthImageProcessor(do_resize=False)(RGB, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(batch, np.moveaxis(RGB, -1, 0)[None].astype(np.float32) / np.float32(255))


def test_resizing_is_antialiased_and_in_range():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = to_pixel_values(stripes, (32, 32))
    assert small.shape == (3, 32, 32)
    np.testing.assert_allclose(small[:, 2:-2, 2:-2], 0.5, atol=0.01)  # no level is rounded on the way
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    cubic = to_pixel_values(edge, (64, 64), Image.Resampling.BICUBIC)
    assert cubic.min() == 0 and cubic.max() == 1


def test_pictures_of_any_mode_become_rgb():
    picture = Image.fromarray(RGB)
    np.testing.assert_array_equal(to_rgb_array(picture), RGB)
    for mode in ("L", "1", "P", "CMYK", "YCbCr"):
        converted = picture.convert(mode)
        np.testing.assert_array_equal(to_rgb_array(converted), np.asarray(converted.convert("RGB")))
    gray = RGB[..., 0]
    for form in (gray, gray[..., None], gray[None], Image.fromarray(gray)):
        np.testing.assert_array_equal(to_rgb_array(form), np.repeat(gray[..., None], 3, axis=-1))
    np.testing.assert_array_equal(to_rgb_array(np.moveaxis(RGB, -1, 0)), RGB)
    np.testing.assert_array_equal(to_rgb_array(torch.from_numpy(RGB)), RGB)
    unit = (RGB / 255).astype(np.float32)
    np.testing.assert_allclose(to_rgb_array(unit), RGB, atol=1e-4)


def test_transparency_is_laid_on_white():
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    rgba[:32, :, 3] = 255
    for form in (rgba, Image.fromarray(rgba)):
        found = to_rgb_array(form)
        np.testing.assert_array_equal(found[:32], RGB[:32])
        assert (found[32:] == 255).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.info["transparency"] = 1
    assert (to_rgb_array(palette) == 255).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 5, 2), np.uint8), r"shape \(5, 5, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), 300, np.int32), "int32 with values from 300"),
        (np.full((4, 4, 3), 1.5, np.float32), "values from 1.5 to 1.5. Expected .*0..1"),
        (np.full((4, 4, 3), np.nan, np.float32), "nan"),
        (Image.fromarray(np.zeros((4, 4), np.uint16)), "mode I;16. Expected 8 bits"),
        (Image.new("F", (4, 4)), "mode F"),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(UsageError, match=message):
        to_rgb_array(image)


def test_batches_and_sizes():
    processor = DenseDepthImageProcessor(size={"height": 32, "width": 64})
    other = np.zeros((10, 20, 3), np.uint8)
    assert processor([RGB, other], return_tensors="pt")["pixel_values"].shape == (2, 3, 32, 64)
    assert processor(np.stack([RGB, RGB]))["pixel_values"].shape == (2, 3, 32, 64)
    assert processor(RGB, size={"height": 64, "width": 32})["pixel_values"].shape == (1, 3, 64, 32)
    assert processor(RGB, do_resize=False)["pixel_values"].shape == (1, 3, 64, 96)
    with pytest.raises(UsageError, match="differ in size"):
        processor([RGB, other], do_resize=False)
    for size in ({"height": 0, "width": 5}, {"shortest_edge": 5}, "large"):
        with pytest.raises(UsageError, match="size is"):
            DenseDepthImageProcessor(size=size)


def test_processor_round_trip(tmp_path):
    DenseDepthImageProcessor(size={"height": 96, "width": 32}, resample=3).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "densedepth"}')
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, DenseDepthImageProcessor)
    assert (loaded.size, loaded.resample, loaded.do_resize) == ({"height": 96, "width": 32}, 3, True)
    changed = AutoImageProcessor.from_pretrained(tmp_path, size={"height": 32, "width": 32})
    assert changed.size == {"height": 32, "width": 32}


def test_post_process_resamples_once_with_corners_aligned():
    depth = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    processor = DenseDepthImageProcessor()
    output = DepthEstimatorOutput(predicted_depth=depth)
    first, second = processor.post_process_depth_estimation(output, [(11, 13), (5, 7)])
    np.testing.assert_array_equal(first["predicted_depth"], resize_align_corners(depth[0].numpy(), (11, 13)))
    assert torch.equal(second["predicted_depth"], depth[1])
    plain = processor.post_process_depth_estimation(output)
    assert [item["predicted_depth"].shape for item in plain] == [(5, 7), (5, 7)]
    with pytest.raises(UsageError, match="1 target sizes for 2 maps"):
        processor.post_process_depth_estimation(output, [(5, 7)])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
def test_pipeline_gives_metres_at_the_size_of_the_picture(folder, mode):
    picture = Image.fromarray(RGB[:50, :70]).convert(mode)
    with quiet_transformers():
        estimate = pipeline("depth-estimation", model=str(folder), device="cpu")
    result = estimate(picture)
    assert result["depth"].size == (70, 50)
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    with torch.inference_mode():
        raw = model.raw(torch.from_numpy(to_pixel_values(to_rgb_array(picture), (64, 64)))[None])[
            0, 0
        ].numpy()
    expected = resize_align_corners(raw_to_metres(raw), (50, 70))
    np.testing.assert_allclose(result["predicted_depth"].numpy(), expected, rtol=1e-5)
