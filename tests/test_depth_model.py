"""The DenseDepth config and network: sizes, checks, saving, training."""

import json

import pytest
import torch
from densedepth import tiny
from torch import nn
from transformers import AutoConfig, AutoModelForDepthEstimation

from fgbg_depth.depth import DenseDepthConfig, DenseDepthForDepthEstimation
from fgbg_depth.depth.modeling import INITIAL_RAW
from fgbg_depth.depth.pretrained import COUNTER, quiet_transformers
from fgbg_depth.errors import UsageError


def num_values(model):
    return sum(tensor.numel() for name, tensor in model.state_dict().items() if not name.endswith(COUNTER))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DenseDepthForDepthEstimation(tiny.densedepth_config()).eval()


def picture(height=64, width=96, count=2):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_defaults_are_the_published_network():
    config = DenseDepthConfig()
    assert config.encoder_channels == [256, 512, 1280, 1664]
    assert config.transition_channels == [128, 256, 640]
    assert config.decoder_width == 1664
    assert config.decoder_channels == [832, 416, 208, 104]
    assert config.image_size == [480, 640]
    with torch.device("meta"):
        assert num_values(DenseDepthForDepthEstimation(config)) == 42_816_089
        assert num_values(DenseDepthForDepthEstimation(DenseDepthConfig(decoder_width=832))) == 21_523_805


def test_batch_norm_epsilon_reaches_every_norm(model):
    epsilons = {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    assert epsilons == {1.001e-5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block_config": (6, 12, 32)}, r"block_config is \(6, 12, 32\). Expected 4 whole numbers"),
        ({"block_config": (6, 12, 0, 32)}, r"block_config\[2\] is 0"),
        ({"growth_rate": 32.0}, "growth_rate is 32.0. Expected a whole number"),
        ({"num_init_features": True}, "num_init_features is True"),
        ({"compression": 0.0}, "compression is 0.0"),
        ({"compression": 1e-3, "growth_rate": 1}, "leaves no channel"),
        ({"batch_norm_eps": float("nan")}, "batch_norm_eps is nan"),
        ({"decoder_width": 15}, "decoder_width 15 can't be halved four times"),
        ({"decoder_channels": [8, 4, 2]}, "decoder_channels is .* Expected 4"),
        ({"upsampling": "nearest"}, "upsampling is 'nearest'. Expected one of"),
        ({"activation_after_conv_a": 1}, "activation_after_conv_a is 1. Expected true or false"),
        ({"min_depth_m": 10.0}, "min_depth_m and max_depth_m are both 10.0"),
        ({"min_depth_m": 11}, "min_depth_m is 11. Expected a number above 0.0, at most 10.0"),
        ({"max_depth_m": float("inf")}, "max_depth_m is inf"),
        ({"image_size": 100}, "image_size is 100. Expected .*multiples of 32"),
        ({"image_size": (64, 64, 3)}, "image_size is .*Expected 2"),
    ],
)
def test_impossible_configs_are_refused(change, message):
    with pytest.raises(UsageError, match=message) as caught:
        DenseDepthConfig(**change)
    assert isinstance(caught.value, ValueError)


def test_config_round_trip(tmp_path):
    config = tiny.densedepth_config(
        upsampling="half_pixel", encoder_relu=False, decoder_channels=[9, 7, 5, 3]
    )
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model_type"] == "densedepth"
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, DenseDepthConfig)
    assert {**loaded.to_dict(), "_name_or_path": ""} == {**config.to_dict(), "_name_or_path": ""}


def test_output_shapes(model):
    pixel_values = picture()
    raw = model.raw(pixel_values)
    assert raw.shape == (2, 1, 32, 48)
    output = model(pixel_values, output_hidden_states=True)
    assert output.predicted_depth.shape == (2, 32, 48)
    assert output.predicted_depth.dtype == torch.float32
    shapes = [tuple(state.shape[1:]) for state in output.hidden_states]
    assert shapes[:4] == [(8, 32, 48), (8, 16, 24), (6, 8, 12), (7, 4, 6)]  # skips, finest first
    assert shapes[4:] == [(11, 2, 3), (8, 4, 6), (4, 8, 12), (2, 16, 24), (1, 32, 48)]
    assert output.loss is None
    assert model(pixel_values).hidden_states is None
    (depth,) = model(pixel_values, return_dict=False)
    assert torch.equal(depth, output.predicted_depth)


def test_metres_are_clipped_inverse_of_raw(model):
    raw = torch.tensor([-3.0, -0.0, 0.0, 0.5, 1.0, 4.0, 100.0, 500.0, float("nan")])
    expected = torch.tensor([0.1, 0.1, 10.0, 10.0, 10.0, 2.5, 0.1, 0.1, float("nan")])
    assert torch.equal(model.metres(raw).nan_to_num(-1), expected.nan_to_num(-1))
    assert model.metres(raw.bfloat16()).dtype == torch.float32
    pixel_values = picture()
    assert torch.equal(model(pixel_values).predicted_depth, model.metres(model.raw(pixel_values)[:, 0]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 240, 320), "240 x 320 pixels .height x width.. Expected multiples of 32"),
        ((1, 3, 64, 65), "64 x 65"),
        ((1, 3, 0, 64), "0 x 64"),
        ((1, 1, 64, 64), r"shape \(1, 1, 64, 64\). Expected \(N, 3, H, W\)"),
        ((3, 64, 64), r"shape \(3, 64, 64\)"),
    ],
)
def test_wrong_input_is_refused(model, shape, message):
    with pytest.raises(UsageError, match=message):
        model(torch.zeros(shape))


def test_upsampling_modes_differ_by_torchs_flag():
    for mode, aligned in (("align_corners", True), ("half_pixel", False)):
        model = DenseDepthForDepthEstimation(tiny.densedepth_config(upsampling=mode))
        assert {step.upsample.align_corners for step in model.decoder.steps} == {aligned}


def test_activation_and_relu_flags_change_the_network():
    def raw(**changes):
        torch.manual_seed(0)
        plain = DenseDepthForDepthEstimation(tiny.densedepth_config())
        model = DenseDepthForDepthEstimation(tiny.densedepth_config(**changes)).eval()
        model.load_state_dict(plain.state_dict())
        return model.raw(picture())

    plain = raw()
    for changes in ({"activation_after_conv_a": True}, {"encoder_relu": False}, {"leaky_slope": 0.01}):
        assert not torch.allclose(raw(**changes), plain)
    assert torch.equal(raw(image_size=(96, 64)), plain)


def test_save_and_load_are_bit_exact(model, tmp_path):
    tiny.save(model, {}, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("model*")) == ["model.safetensors"]
    with quiet_transformers():
        loaded = AutoModelForDepthEstimation.from_pretrained(tmp_path)
    assert isinstance(loaded, DenseDepthForDepthEstimation)
    assert not loaded.training
    assert torch.equal(loaded.raw(picture()), model.raw(picture()))


def test_fresh_weights_begin_in_the_middle_of_the_range():
    torch.manual_seed(0)
    config = DenseDepthConfig(
        growth_rate=8, num_init_features=16, block_config=(3, 4, 4, 3), decoder_width=64
    )
    model = DenseDepthForDepthEstimation(config)
    assert model.decoder.head.bias.item() == INITIAL_RAW
    conv_a = model.decoder.steps[0].conv_a.weight
    conv_b = model.decoder.steps[0].conv_b.weight
    fan_in_a, fan_in_b = conv_a[0].numel(), conv_b[0].numel()
    assert conv_a.var().item() * fan_in_a == pytest.approx(1.0, rel=0.1)  # no activation behind it
    assert conv_b.var().item() * fan_in_b == pytest.approx(2.0, rel=0.1)
    raw = model.train().raw(picture(128, 128))
    assert 0.05 < raw.std().item() < 5  # neither dead nor exploding
    assert abs(raw.mean().item() - INITIAL_RAW) < 3


def test_same_seed_gives_same_weights():
    def weights():
        torch.manual_seed(7)
        return DenseDepthForDepthEstimation(tiny.densedepth_config()).state_dict()

    assert all(torch.equal(a, b) for a, b in zip(weights().values(), weights().values(), strict=True))


def test_loss_is_the_mean_error_of_raw_over_known_labels(model):
    pixel_values = picture()
    labels = torch.full((2, 32, 48), 2.0)
    labels[0, :16] = float("nan")
    labels[1, :4] = 0.0
    labels[1, 5:7] = 50.0  # beyond the range: as far as the range goes
    target = torch.where(labels == 50.0, 1.0, 5.0)
    known = labels > 0
    expected = (model.raw(pixel_values)[:, 0] - target)[known].abs().mean()
    assert torch.allclose(model(pixel_values, labels=labels).loss, expected)


def test_training_step_reaches_every_parameter_and_lowers_the_loss(model):
    model.train()
    pixel_values, labels = picture(), torch.full((2, 32, 48), 1.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = model(pixel_values, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_wrong_labels_are_refused(model):
    with pytest.raises(UsageError, match=r"labels have shape \(2, 64, 96\). Expected \(2, 32, 48\)"):
        model(picture(), labels=torch.ones(2, 64, 96))
    with pytest.raises(UsageError, match="no label is above 0 m"):
        model(picture(), labels=torch.zeros(2, 32, 48))
