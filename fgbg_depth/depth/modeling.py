"""DenseDepth in PyTorch: a DenseNet encoder, a bilinear upsampling decoder with skips, one output channel.

This is the plain, readable network; it must reproduce the Keras original to within float noise. Names follow
the parts of the network, not those of the Keras file (`keras_weights.py` maps one to the other).

The network predicts the inverse of depth, `raw = max_depth_m / depth`, at half the resolution of its input.
Source: Alhashim and Wonka, arXiv 1812.11941, and the behaviour of the published weights.
"""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import DepthEstimatorOutput

from fgbg_depth.depth.configuration import SIZE_MULTIPLE_PX, DenseDepthConfig
from fgbg_depth.errors import UsageError

INITIAL_RAW = 4.0  # raw output of an untrained network: 2.5 m of 10 m, the middle of a room


class DenseLayer(nn.Module):
    """norm, relu, 1x1 convolution, norm, relu, 3x3 convolution; returns the new channels only."""

    def __init__(self, config, in_channels):
        super().__init__()
        inner = config.bottleneck_size * config.growth_rate
        self.norm1 = nn.BatchNorm2d(in_channels, eps=config.batch_norm_eps)
        self.conv1 = nn.Conv2d(in_channels, inner, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner, eps=config.batch_norm_eps)
        self.conv2 = nn.Conv2d(inner, config.growth_rate, kernel_size=3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)  # always after a norm, whose output nobody else needs

    def forward(self, x):
        x = self.conv1(self.relu(self.norm1(x)))
        return self.conv2(self.relu(self.norm2(x)))


class DenseBlock(nn.Module):
    """Dense layers; each sees all channels so far and appends its own (old channels first)."""

    def __init__(self, config, in_channels, num_layers):
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(config, in_channels + index * config.growth_rate) for index in range(num_layers)
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class Transition(nn.Module):
    """norm, relu, 1x1 convolution to fewer channels, 2x2 average pool."""

    def __init__(self, config, in_channels, out_channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels, eps=config.batch_norm_eps)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)

    def forward(self, x):
        return self.pool(self.conv(self.relu(self.norm(x))))


class DenseDepthEncoder(nn.Module):
    """DenseNet without its classifier. Returns the deepest map and the four skips, finest first."""

    def __init__(self, config):
        super().__init__()
        width = config.num_init_features
        self.stem_conv = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width, eps=config.batch_norm_eps)
        self.stem_relu = nn.ReLU(inplace=True)
        # Torch pads with -inf where Keras pads with zero: the same result, as the input is never negative.
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        ends, begins = config.encoder_channels, [width, *config.transition_channels]
        self.blocks = nn.ModuleList(
            DenseBlock(config, begin, layers)
            for begin, layers in zip(begins, config.block_config, strict=True)
        )
        self.transitions = nn.ModuleList(
            Transition(config, end, begin) for end, begin in zip(ends[:-1], begins[1:], strict=True)
        )
        self.norm = nn.BatchNorm2d(ends[-1], eps=config.batch_norm_eps)
        self.relu = nn.ReLU(inplace=True) if config.encoder_relu else nn.Identity()

    def forward(self, pixel_values):
        stem = self.stem_relu(self.stem_norm(self.stem_conv(pixel_values)))
        x = self.pool(stem)
        skips = [stem, x]
        for block, transition in zip(self.blocks[:-1], self.transitions, strict=True):
            x = transition(block(x))
            skips.append(x)
        x = self.relu(self.norm(self.blocks[-1](x)))
        return x, skips[:4]  # the third transition feeds the last block only


class DecoderStep(nn.Module):
    """Upsample by two, append the skip (upsampled channels first), two 3x3 convolutions, LeakyReLU."""

    def __init__(self, config, in_channels, skip_channels, out_channels):
        super().__init__()
        self.upsample = nn.Upsample(
            scale_factor=2, mode="bilinear", align_corners=config.upsampling == "align_corners"
        )
        self.conv_a = nn.Conv2d(in_channels + skip_channels, out_channels, kernel_size=3, padding=1)
        self.activation_a = nn.Identity()
        if config.activation_after_conv_a:
            self.activation_a = nn.LeakyReLU(config.leaky_slope, inplace=True)
        self.conv_b = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.activation_b = nn.LeakyReLU(config.leaky_slope, inplace=True)

    def forward(self, x, skip):
        x = torch.cat([self.upsample(x), skip], dim=1)
        x = self.activation_a(self.conv_a(x))
        return self.activation_b(self.conv_b(x))


class DenseDepthDecoder(nn.Module):
    """A 1x1 convolution, four steps up, and a 3x3 convolution to the one raw channel."""

    def __init__(self, config):
        super().__init__()
        widths = [config.decoder_width, *config.decoder_channels]
        stem = config.num_init_features
        skip_channels = [*config.transition_channels[1::-1], stem, stem]
        self.project = nn.Conv2d(config.encoder_channels[-1], widths[0], kernel_size=1)
        self.steps = nn.ModuleList(
            DecoderStep(config, wide, skip, narrow)
            for wide, skip, narrow in zip(widths[:-1], skip_channels, widths[1:], strict=True)
        )
        self.head = nn.Conv2d(widths[-1], 1, kernel_size=3, padding=1)

    def forward(self, x, skips):
        """Returns the raw map (N, 1, H/2, W/2) and the maps after each step, coarsest first."""
        x, maps = self.project(x), []
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            x = step(x, skip)
            maps.append(x)
        return self.head(x), maps


class DenseDepthForDepthEstimation(PreTrainedModel):
    """DenseDepth as a `transformers` depth-estimation model.

    `forward` gives metres, as the depth-estimation pipeline expects them; `raw` the plain network output.
    Random weights are drawn from torch's global generator: seed it for a run that can be repeated.
    """

    config_class = DenseDepthConfig
    base_model_prefix = "densedepth"
    main_input_name = "pixel_values"
    _no_split_modules = ("DenseLayer", "DecoderStep")

    def __init__(self, config):
        super().__init__(config)
        self.encoder = DenseDepthEncoder(config)
        self.decoder = DenseDepthDecoder(config)
        self.post_init()

    def _init_weights(self, module):
        """He initialisation; a convolution without an activation behind it gets unit gain."""
        if isinstance(module, nn.Conv2d):
            nonlinearity = "linear" if module in self._convolutions_without_activation() else "relu"
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity=nonlinearity)
            if module.bias is not None:
                nn.init.constant_(module.bias, INITIAL_RAW if module is self.decoder.head else 0.0)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.running_mean)
            nn.init.ones_(module.running_var)
            nn.init.zeros_(module.num_batches_tracked)

    def _convolutions_without_activation(self):
        linear = [self.decoder.project, self.decoder.head]
        if not self.config.activation_after_conv_a:
            linear += [step.conv_a for step in self.decoder.steps]
        return linear

    def raw(self, pixel_values):
        """The plain network output, `max_depth_m / depth` [no unit].

        Args:
            pixel_values: (N, 3, H, W) float RGB in [0, 1]; H and W are multiples of 32.

        Returns:
            (N, 1, H/2, W/2), not clipped: values below 1 are beyond `max_depth_m`.

        Raises:
            UsageError (a ValueError): the shape is wrong.
        """
        return self._raw_and_maps(pixel_values)[0]

    def metres(self, raw):
        """Depth of a raw map, float32 [m]: clip(max_depth / raw, min_depth, max_depth); NaN stays NaN."""
        nearest, farthest = self.config.min_depth_m, self.config.max_depth_m
        return torch.clamp(farthest / raw.float(), nearest, farthest)

    def forward(self, pixel_values, labels=None, output_hidden_states=None, return_dict=None, **kwargs):
        """Depth in metres.

        Args:
            pixel_values: (N, 3, H, W) float RGB in [0, 1], no mean or std; H and W are multiples of 32.
            labels: (N, H/2, W/2) float [m], or None. Values that are not above 0 (NaN too) are left out.
            output_hidden_states: also return the four skips (finest first), the encoder's last map, and the
                map after each of the four decoder steps (coarsest first).
            return_dict: False for a plain tuple.

        Returns:
            DepthEstimatorOutput: `predicted_depth` (N, H/2, W/2) float32 [m]; `loss` if labels were given,
                the
            mean of |raw - max_depth_m / label| (the point-wise term of the paper's loss); `hidden_states`.

        Raises:
            UsageError (a ValueError): the shape is wrong, or no label can be used.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if return_dict is None:
            return_dict = self.config.return_dict
        raw, maps = self._raw_and_maps(pixel_values)
        loss = None if labels is None else self._loss(raw[:, 0], labels)
        output = DepthEstimatorOutput(
            loss=loss,
            predicted_depth=self.metres(raw[:, 0]),
            hidden_states=tuple(maps) if output_hidden_states else None,
        )
        return output if return_dict else output.to_tuple()

    def _raw_and_maps(self, pixel_values):
        shape = tuple(pixel_values.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise UsageError(f"DenseDepth: pixel_values have shape {shape}. Expected (N, 3, H, W), RGB 0..1.")
        if shape[2] % SIZE_MULTIPLE_PX or shape[3] % SIZE_MULTIPLE_PX or not shape[2] or not shape[3]:
            raise UsageError(
                f"DenseDepth: the input is {shape[2]} x {shape[3]} pixels (height x width). Expected "
                f"multiples of {SIZE_MULTIPLE_PX}. Resize it; the network was trained at "
                f"{self.config.image_size[0]} x {self.config.image_size[1]}."
            )
        deep, skips = self.encoder(pixel_values)
        raw, maps = self.decoder(deep, skips)
        return raw, [*skips, deep, *maps]

    def _loss(self, raw, labels):
        if labels.shape != raw.shape:
            raise UsageError(
                f"DenseDepth: labels have shape {tuple(labels.shape)}. Expected {tuple(raw.shape)}, metres."
            )
        known = labels > 0  # False for NaN
        if not known.any():
            raise UsageError(
                "DenseDepth: no label is above 0 m. Expected a known depth somewhere in the batch."
            )
        nearest, farthest = self.config.min_depth_m, self.config.max_depth_m
        target = farthest / labels[known].clamp(nearest, farthest)
        return (raw[known] - target).abs().mean()
