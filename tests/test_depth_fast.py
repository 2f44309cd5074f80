"""The quick network against the plain one: each shortcut alone, then the whole network in all its variants."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import SHARED
from densedepth.tiny import densedepth_config
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg_depth.depth import DenseDepthForDepthEstimation, load_depth_estimator, winograd
from fgbg_depth.depth.fast import _pictures, speed_up
from fgbg_depth.depth.fast_layers import Clamp, DirectConv, Pointwise, ThinConv, clamp_and_product, conv3x3
from fgbg_depth.depth.upsampled_conv import UpsampledConv, lowres_flop, tap_matrices
from fgbg_depth.depth.winograd import TILE_PX, WinogradConv, transforms, winograd_flop, worth_it
from fgbg_depth.errors import UsageError

FLOAT_NOISE = 2e-5  # relative; what two orders of summation differ by
PHOTOS = ("1_image.png", "11_image.png", "119_image.png", "377_image.png")


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def close(found, expected, tolerance=FLOAT_NOISE):
    assert found.shape == expected.shape
    return float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Winograd


def test_points_and_back_is_a_correlation():
    """result @ ((kernel @ g) * (patch @ d)) is the sum over k of g[k] d[i + k], in one dimension."""
    patch, kernel, result = transforms()
    g, d = random(3).double(), random(TILE_PX + 2).double()
    found = result @ ((kernel @ g) * (patch @ d))
    expected = torch.stack([(g * d[i : i + 3]).sum() for i in range(TILE_PX)])
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 21), st.integers(1, 21))
def test_winograd_is_the_convolution(count, inputs, outputs, height, width):
    x, weight, bias = random(count, inputs, height, width), random(outputs, inputs, 3, 3, seed=1), random(outputs, seed=2)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    found = WinogradConv(weight, bias)(channels_last(x))
    assert found.is_contiguous()
    assert close(found.double(), channels_last(expected))


def test_winograd_in_strips_is_winograd_in_one():
    """Wide maps are worked on in strips of tiles; a strip's end is no border."""
    conv = WinogradConv(random(5, 4, 3, 3), random(5))
    x = channels_last(random(2, 4, 90, 50, seed=1))
    strips = conv(x)
    conv._tiles = 10**6
    assert close(strips, conv(x), 1e-6)


def test_noise_stays_small_by_the_choice_of_points(monkeypatch):
    x, weight = random(1, 128, 28, 28), random(128, 128, 3, 3, seed=1) / 34
    exact = channels_last(F.conv2d(x.double(), weight.double(), padding=1))

    def noise():
        return float((WinogradConv(weight, torch.zeros(128))(channels_last(x)) - exact).std() / exact.std())

    ours = noise()
    monkeypatch.setattr(winograd, "transforms", lambda: transforms((0.0, 1.0, -1.0, 2.0, -2.0)))
    assert ours < 2e-6
    assert ours < 0.6 * noise()


def test_wide_layers_are_worth_it_and_thin_ones_not():
    assert worth_it(832, 832, 14, 14) and worth_it(104, 104, 112, 112)
    assert not worth_it(16, 16, 112, 112) and not worth_it(128, 32, 56, 56)
    assert winograd_flop(104, 104, 112, 112) * 4 == 18 * 104 * 104 * 112 * 112
    layer, flop = conv3x3(random(832, 832, 3, 3), random(832), 28, 28, torch.bfloat16)
    assert isinstance(layer, DirectConv) and flop == 18 * 832 * 832 * 28 * 28


# Upsampling


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (15, 20), (33, 70)])
def test_upsampling_and_convolution_at_low_resolution(size, align_corners):
    x, weight, there = random(2, 6, *size), random(4, 6, 3, 3, seed=1), random(2, 2 * size[0], 2 * size[1], 4, seed=2)
    large = F.interpolate(x.double(), scale_factor=2, mode="bilinear", align_corners=align_corners)
    expected = channels_last(F.conv2d(large, weight.double(), padding=1)) + there
    layer = UpsampledConv(weight, size, align_corners)
    assert close(layer(channels_last(x), there.clone()).double(), expected)


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_convolution_before_is_merged_with_its_bias(align_corners):
    x, weight = random(2, 5, 7, 9), random(4, 6, 3, 3, seed=1)
    before = random(6, 5, seed=2), random(6, seed=3)
    small = F.conv2d(x.double(), before[0].double()[..., None, None], before[1].double())
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=align_corners)
    expected = channels_last(F.conv2d(large, weight.double(), padding=1))
    layer = UpsampledConv(weight, (7, 9), align_corners, before)
    assert close(layer(channels_last(x), torch.zeros(2, 14, 18, 4)).double(), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.booleans())
def test_blocks_hold_all_that_an_output_depends_on(size, align_corners):
    """Every weight of the whole matrices is in the block that makes the output; each output is in one block."""
    layer = UpsampledConv(random(1, 1, 3, 3), (size, size), align_corners)
    whole = tap_matrices(size, align_corners)
    assert float((whole[1].sum(dim=1) - 1).abs().max()) < 1e-12
    for index, (start, stop, first, last) in enumerate(layer._row_blocks):
        inside = torch.zeros(size, dtype=torch.bool)
        inside[first:last] = True
        assert not whole[:, start:stop, ~inside].any()
        assert torch.equal(getattr(layer, f"rows{index}"), whole[:, start:stop, first:last].float())
    assert [block[0] for block in layer._row_blocks[1:]] == [block[1] for block in layer._row_blocks[:-1]]
    assert layer._row_blocks[-1][1] == 2 * size


def test_a_quarter_of_the_work_is_left():
    direct = 18 * 1664 * 832 * 14 * 14
    assert 3.9 < direct / lowres_flop(1664, 832, 7, 7) < 4
    assert 18 * 208 * 104 * 112 * 112 / lowres_flop(208, 104, 56, 56) > 3


# Norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_clamp_stands_for_norm_and_relu(dtype):
    """With scales of both signs, tiny ones, and none at all."""
    norm = torch.nn.BatchNorm2d(6, eps=1e-5).eval()
    norm.weight.copy_(torch.tensor([1.0, -2.0, 0.0, 0.0, 1e-6, 0.5]))
    norm.bias.copy_(torch.tensor([0.5, -0.25, 2.0, -3.0, 0.7, 0.0]))
    norm.running_mean.copy_(random(6, seed=3))
    norm.running_var.copy_(random(6, seed=4).abs() + 0.1)
    x, weight, bias = random(2, 6, 5, 7), random(3, 6, seed=1).double(), random(3, seed=2).double()
    expected = F.conv2d(norm(x).relu().double(), weight[..., None, None], bias)
    clamp, *folded = clamp_and_product(norm, weight, bias, dtype)
    found = Pointwise(*folded, dtype)(clamp(channels_last(x).to(dtype)))
    assert found.dtype == dtype
    assert close(found.double(), channels_last(expected), FLOAT_NOISE if dtype == torch.float32 else 0.02)


def test_what_the_relu_cuts_off_is_zero_in_16_bits():
    norm = torch.nn.BatchNorm2d(64, eps=1e-5).eval()
    norm.bias.copy_(random(64) - 3)
    weight = random(8, 64, seed=1).double()
    clamp, scaled, bias = clamp_and_product(norm, weight, torch.zeros(8).double(), torch.bfloat16)
    cut = clamp(torch.full((1, 1, 1, 64), -20.0, dtype=torch.bfloat16)).double().view(-1)
    assert float((scaled @ cut + bias).abs().max()) < 1e-12


def test_clamp_of_a_part_of_a_map_leaves_no_gaps():
    clamp = Clamp(torch.zeros(3), torch.tensor([False, True, False]))
    x = random(2, 4, 5, 8)
    found = clamp(x[..., :3])
    assert found.is_contiguous()
    assert torch.equal(found[..., 1], x[..., 1].clamp(max=0)) and torch.equal(found[..., 0], x[..., 0].clamp(min=0))


def test_thin_convolution():
    x, weight, bias = random(2, 7, 6, 9), random(1, 7, 3, 3, seed=1), random(1, seed=2)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    assert close(ThinConv(weight, bias, torch.float32)(channels_last(x)).double(), channels_last(expected))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_pictures_of_maps_in_parts(lengths, data):
    whole = torch.arange(sum(lengths))
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole) + 3))
    assert torch.equal(_pictures(list(whole.split(lengths)), start, stop), whole[start:stop])


# The whole network


def network(seed=0, **changes):
    """A network with statistics like those of a trained one: scales of both signs, variances of all sizes."""
    torch.manual_seed(seed)
    model = DenseDepthForDepthEstimation(densedepth_config(**changes)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.normal_(1, 0.5)
            module.bias.normal_(0, 0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.05, 2)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upsampling": "half_pixel"},
        {"activation_after_conv_a": True},
        {"encoder_relu": False},
        {"decoder_width": 256, "decoder_channels": [128, 96, 40, 24]},  # wide enough for every shortcut
        {"decoder_width": 256, "decoder_channels": [128, 96, 40, 24], "activation_after_conv_a": True, "upsampling": "half_pixel"},
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_quick_network_is_the_plain_one(changes, size):
    model = network(**changes)
    x = torch.rand(5, 3, *size, generator=torch.Generator().manual_seed(1))
    assert close(speed_up(model, size).raw(x), model.raw(x), 5e-5)


def test_every_shortcut_is_taken_where_it_pays():
    quick = speed_up(network(decoder_width=256, decoder_channels=[128, 96, 40, 24]), (224, 224))
    first, last = quick.decoder[0], quick.decoder[-1]
    assert first.upsampled is not None and isinstance(first.conv_b, WinogradConv) and last.head is not None
    half = speed_up(network(), (64, 64), torch.bfloat16)
    assert all(stage.upsampled is None for stage in half.decoder)


@pytest.mark.parametrize("count", [1, 3, 16])
def test_slices_of_a_batch_come_back_in_order(count):
    model = network()
    quick = speed_up(model, (64, 64))
    for stage, pictures in zip([*quick.encoder, *quick.decoder], (1, 2, 3, 16, 5, 1, 4, 2), strict=True):
        stage.pictures = pictures
    x = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert close(quick.raw(x), model.raw(x), 5e-5)


def test_same_bits_again_and_the_plain_network_untouched():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    first, second = speed_up(model, (64, 64)), speed_up(model, (64, 64))
    assert torch.equal(first.raw(x), first.raw(x)) and torch.equal(first.raw(x), second.raw(x))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_wrong_use_is_refused():
    model = network()
    with pytest.raises(UsageError, match=r"speed_up: size \(60, 64\)"):
        speed_up(model, (60, 64))
    with pytest.raises(UsageError, match="training mode True"):
        speed_up(model.train(), (64, 64))
    quick = speed_up(model.eval(), (64, 64))
    with pytest.raises(UsageError, match=r"Expected \(N, 3, 64, 64\)"):
        quick.raw(torch.zeros(1, 3, 64, 96))


def test_mini_model_on_photographs():
    """What users get by default, against the plain network: far below a gray level."""
    estimator = load_depth_estimator("densedepth-mini", batch_size=4)
    from fgbg_depth.depth.load import load_pretrained
    from fgbg_depth.depth.locate import embedded_folder
    from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners

    plain = load_pretrained(embedded_folder(), model_class=DenseDepthForDepthEstimation)
    with np.load(SHARED / "densedepth" / "golden_seed0.npz") as golden:
        images = np.stack([golden[f"input/224/{name}"] for name in PHOTOS])
    pixel_values = torch.from_numpy(images.astype(np.float32) / np.float32(255)).permute(0, 3, 1, 2)
    expected = resize_align_corners(raw_to_metres(plain.raw(pixel_values)[:, 0].numpy()), (224, 224))
    found = estimator.predict(images)
    np.testing.assert_allclose(found, expected, rtol=5e-5)
    spread = np.ptp(expected, axis=(1, 2), keepdims=True)
    assert np.max(np.abs(found - expected) / spread) * 255 < 0.05
