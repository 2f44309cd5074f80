"""The quick form of a loaded DenseDepth network: the same function of the picture, in fewer and larger operations.

`speed_up` makes it from the plain network of `modeling.py`, which stays as it is. What it does, all exact but for rounding:

- maps lie in channels-last order, so that a 1x1 convolution is one matrix product;
- a norm behind a convolution is folded into it; of a norm and relu before one only a clamp is left (`fast_layers.py`);
- a dense block writes its channels into one buffer instead of joining maps again for each layer;
- a transition pools before its 1x1 convolution, on a quarter of the pixels;
- the upsampled part of a decoder step is mixed at low resolution (`upsampled_conv.py`), the 1x1 convolution before it merged in;
- wide 3x3 convolutions use Winograd's tiles (`winograd.py`);
- each stage takes as few pictures at a time as keep its maps in the second-level cache, but enough to pay for reading its weights.

Which of these a layer gets is decided by counting operations, never by timing: a choice moves the last bits of the result.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from fgbg_depth.depth.configuration import SIZE_MULTIPLE_PX
from fgbg_depth.depth.fast_layers import DirectConv, Pointwise, ThinConv, clamp_and_product, conv3x3, scale_shift
from fgbg_depth.depth.upsampled_conv import UpsampledConv, lowres_flop
from fgbg_depth.errors import UsageError

CACHE_BYTES = 2**21  # for the largest map of a stage: the second-level cache of a server core
LOWRES_WORTH = 1.6  # least gain by FLOPs for which channels are mixed at low resolution: below it, moving data costs more


def speed_up(model, size, dtype=torch.float32, winograd=True):
    """The quick form of a network for inputs of one size.

    Args:
        model: DenseDepthForDepthEstimation in evaluation mode, in float32; it isn't changed.
        size: (height, width) of the input [pixels], multiples of 32.
        dtype: of weights and maps. In a 16-bit type convolutions stay as they are: a processor with units for such products gains
            nothing from fewer of them, and Winograd's differences would lose too many digits.
        winograd: False leaves 3x3 convolutions as they are in float32 too, for comparisons.

    Returns:
        FastDenseDepth; `raw` as that of the model.

    Raises:
        UsageError: the size is no multiple of 32, or the model is in training mode.
    """
    height, width = size
    if model.training or height % SIZE_MULTIPLE_PX or width % SIZE_MULTIPLE_PX or min(size) < 1:
        raise UsageError(
            f"speed_up: size {tuple(size)}, training mode {model.training}. Expected multiples of {SIZE_MULTIPLE_PX} and a model "
            "in evaluation mode."
        )
    with torch.no_grad():
        return FastDenseDepth(model, (height, width), dtype, winograd).eval()


class FastDenseDepth(nn.Module):
    """See the module's docstring; made by `speed_up`.

    Attributes:
        size: (height, width) of the input [pixels].
        flop: floating point operations that are left for one picture, 2 for each multiply-add, without Winograd's detour.
    """

    def __init__(self, model, size, dtype, winograd):
        super().__init__()
        self.size, self._dtype = tuple(size), dtype
        encoder, decoder = model.encoder, model.decoder
        at = [(size[0] // 2**k, size[1] // 2**k) for k in range(6)]  # sizes after k halvings
        weight, bias = decoder.project.weight[:, :, 0, 0].double(), decoder.project.bias.double()
        if isinstance(encoder.relu, nn.Identity):
            scale, shift = scale_shift(encoder.norm)
            clamp, project = None, (weight * scale, bias + weight @ shift)
        else:
            clamp, *project = clamp_and_product(encoder.norm, weight, bias, dtype)
        self.encoder = nn.ModuleList(
            [
                _FirstStage(encoder, at[2], dtype),
                _DenseStage(encoder.blocks[1], _Transition(encoder.transitions[1], at[3], dtype), at[3], dtype),
                _DenseStage(encoder.blocks[2], _Transition(encoder.transitions[2], at[4], dtype), at[4], dtype),
                _DenseStage(encoder.blocks[3], clamp, at[5], dtype),
            ]
        )
        widths = [decoder.project.out_channels, *(step.conv_b.out_channels for step in decoder.steps)]
        self.decoder = nn.ModuleList(
            _DecoderStage(step, at[5 - k], widths[k], dtype, winograd, project if k == 0 else None, decoder.head if k == 3 else None)
            for k, step in enumerate(decoder.steps)
        )
        self.flop = sum(stage.flop for stage in [*self.encoder, *self.decoder])

    def raw(self, pixel_values):
        """The plain network output, `max_depth_m / depth` [no unit].

        Args:
            pixel_values: (N, 3, H, W) float32 RGB in [0, 1] of the size that this was made for.

        Returns:
            (N, 1, H/2, W/2) float32, not clipped.

        Raises:
            UsageError (a ValueError): the shape is wrong.
        """
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != (3, *self.size):
            raise UsageError(
                f"Fast DenseDepth: pixel_values have shape {tuple(pixel_values.shape)}. Expected (N, 3, {self.size[0]}, "
                f"{self.size[1]}): it was made for one size."
            )
        maps = [[pixel_values.to(self._dtype).permute(0, 2, 3, 1)]]
        for stage in self.encoder:
            maps += _in_slices(stage, maps[-1])
        x, skips = maps[-1], maps[4:0:-1]  # four skips, coarsest first; the third transition feeds the last block only
        for stage, skip in zip(self.decoder, skips, strict=True):
            (x,) = _in_slices(stage, x, skip)
        return torch.cat(x).permute(0, 3, 1, 2)

    def forward(self, pixel_values):
        return self.raw(pixel_values)


def _in_slices(stage, *inputs):
    """Run a stage on a few pictures at a time.

    Args:
        inputs: each a list of tensors, together one map of all pictures: the parts in which another stage made it.

    Returns:
        A list of outputs, each a list of tensors in the same way; parts are joined only when a stage takes more pictures at a time.
    """
    count, parts = sum(map(len, inputs[0])), []
    for start in range(0, count, stage.pictures):
        parts.append(stage(*(_pictures(value, start, start + stage.pictures) for value in inputs)))
    return [list(outputs) for outputs in zip(*parts, strict=True)]


def _pictures(parts, start, stop):
    """Pictures start..stop of a map that lies in parts."""
    found, begin = [], 0
    for part in parts:
        if begin < stop and start < begin + len(part):
            found.append(part[max(0, start - begin) : stop - begin])
        begin += len(part)
    return found[0] if len(found) == 1 else torch.cat(found)


class _Stage(nn.Module):
    """A part of the network between two large maps; takes maps and returns a tuple of maps.

    Attributes:
        flop: operations for one picture.
        pictures: how many are taken at a time.
    """

    def _settle(self, flop, map_values):
        """Set `flop` and `pictures`; `map_values`: numbers in the largest map of one picture.

        Maps that don't fit the cache are read anew by each operation, and weights by each run. With n pictures at a time the first costs
        about n maps for each picture, the second weights / n, so the root of their ratio is best.
        """
        tensors = self.state_dict().values()
        fitting = CACHE_BYTES // (max(tensor.element_size() for tensor in tensors) * map_values)
        weights = sum(tensor.numel() for tensor in tensors)
        self.flop, self.pictures = flop, max(1, fitting, round(math.sqrt(weights / map_values)))


class _DenseStage(_Stage):
    """A dense block and what follows it: a transition, or the clamp of the encoder's last norm, or nothing."""

    def __init__(self, block, last, size, dtype):
        super().__init__()
        self.layers = nn.ModuleList(_DenseLayer(layer, dtype) for layer in block.layers)
        self._begin = block.layers[0].conv1.in_channels
        self._growth = block.layers[0].conv2.out_channels
        self._channels = self._begin + self._growth * len(block.layers)
        self.last = nn.Identity() if last is None else last
        pixels = size[0] * size[1]
        self._settle(pixels * sum(layer.flop_per_pixel for layer in self.layers) + getattr(last, "flop", 0), self._channels * pixels)

    def forward(self, x):
        """(N, h, w, in) to (what `last` makes of all channels,)."""
        maps = x.new_empty(*x.shape[:3], self._channels)
        maps[..., : self._begin] = x
        for index, layer in enumerate(self.layers):
            known = self._begin + index * self._growth
            maps[..., known : known + self._growth] = layer(maps[..., :known])
        return (self.last(maps),)


class _FirstStage(_DenseStage):
    """Stem, max pool, first block and transition; also returns the two finest skips."""

    def __init__(self, encoder, size, dtype):
        super().__init__(encoder.blocks[0], _Transition(encoder.transitions[0], size, dtype), size, dtype)
        scale, shift = scale_shift(encoder.stem_norm)
        conv = encoder.stem_conv
        self.stem = DirectConv(conv.weight.double() * scale[:, None, None, None], shift, dtype, conv.stride, conv.padding)
        pixels = 4 * size[0] * size[1]
        widest = max(self._channels * pixels // 4, conv.out_channels * pixels)
        self._settle(self.flop + 2 * conv.weight.numel() * pixels, widest)

    def forward(self, x):
        stem = self.stem(x).relu_()
        pooled = F.max_pool2d(stem.permute(0, 3, 1, 2), kernel_size=3, stride=2, padding=1).permute(0, 2, 3, 1)
        return (stem, pooled, *super().forward(pooled))


class _DenseLayer(nn.Module):
    """Clamp, 1x1 convolution, relu, 3x3 convolution; returns the new channels."""

    def __init__(self, layer, dtype):
        super().__init__()
        scale, shift = scale_shift(layer.norm2)
        self.clamp, weight, bias = clamp_and_product(layer.norm1, layer.conv1.weight[:, :, 0, 0].double() * scale[:, None], shift, dtype)
        self.mix = Pointwise(weight, bias, dtype)
        self.conv = DirectConv(layer.conv2.weight, None, dtype)
        self.flop_per_pixel = 2 * (layer.conv1.weight.numel() + layer.conv2.weight.numel())

    def forward(self, x):
        return self.conv(self.mix(self.clamp(x)).relu_())


class _Transition(nn.Module):
    """Clamp, 2x2 average pool, 1x1 convolution."""

    def __init__(self, transition, size, dtype):
        super().__init__()
        weight = transition.conv.weight[:, :, 0, 0].double()
        self.clamp, weight, bias = clamp_and_product(transition.norm, weight, weight.new_zeros(len(weight)), dtype)
        self.mix = Pointwise(weight, bias, dtype)
        self.flop = 2 * weight.numel() * (size[0] // 2) * (size[1] // 2)

    def forward(self, x):
        return self.mix(F.avg_pool2d(self.clamp(x).permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1))


class _DecoderStage(_Stage):
    """A step of the decoder, on (N, h, w, in) and a skip (N, 2h, 2w, skip).

    Args:
        step: DecoderStep.
        size: (height, width) of the input map.
        channels: those of the map that is enlarged.
        winograd: whether convolutions may use its tiles.
        project: None, or (weight (channels, in), bias) of the 1x1 convolution before the step, float64.
        head: None, or the 3x3 convolution behind it.
    """

    def __init__(self, step, size, channels, dtype, winograd, project, head):
        super().__init__()
        conv_a, conv_b = step.conv_a, step.conv_b
        height, width = (2 * side for side in size)
        pixels, out = height * width, conv_a.out_channels
        flop_project = 0 if project is None else 2 * project[0].numel() * size[0] * size[1]
        direct = 18 * channels * out * pixels + flop_project
        lowres = lowres_flop(channels if project is None else project[0].shape[1], out, *size)
        self._slope = step.activation_b.negative_slope
        self._activation_a = not isinstance(step.activation_a, nn.Identity)
        self._align_corners = step.upsample.align_corners
        self.project = self.upsampled = None
        if dtype == torch.float32 and direct >= LOWRES_WORTH * lowres:
            weight, skip_weight = conv_a.weight[:, :channels], conv_a.weight[:, channels:]
            self.upsampled = UpsampledConv(weight, size, self._align_corners, project)
            self.conv_a, flop = conv3x3(skip_weight, conv_a.bias, height, width, dtype, winograd)
            flop, widest = flop + lowres, max(out, skip_weight.shape[1])
        else:
            if project is not None:
                self.project = Pointwise(*project, dtype)
            self.conv_a, flop = conv3x3(conv_a.weight, conv_a.bias, height, width, dtype, winograd)
            flop, widest = flop + flop_project, conv_a.in_channels
        self.conv_b, flop_b = conv3x3(conv_b.weight, conv_b.bias, height, width, dtype, winograd)
        self.head = None if head is None else ThinConv(head.weight, head.bias, dtype)
        flop_head = 0 if head is None else 18 * head.in_channels * pixels
        self._settle(flop + flop_b + flop_head, widest * pixels)

    def forward(self, x, skip):
        if self.upsampled is not None:
            y = self.upsampled(x, self.conv_a(skip))
        else:
            x = x if self.project is None else self.project(x)
            x = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear", align_corners=self._align_corners)
            y = self.conv_a(torch.cat([x.permute(0, 2, 3, 1), skip], dim=3))
        if self._activation_a:
            y = F.leaky_relu_(y, self._slope)
        y = F.leaky_relu_(self.conv_b(y), self._slope)
        return (y if self.head is None else self.head(y),)
