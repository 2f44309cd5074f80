"""The layers of the quick network: on maps in channels-last order, (N, height, width, channels), with norms folded away.

All are made from the tensors of the plain network and give the same function but for rounding. In a 16-bit type only the tensors
are rounded; sums inside a product run in float32.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from fgbg_depth.depth.winograd import WinogradConv, winograd_flop, worth_it


def scale_shift(norm):
    """A batch norm in evaluation mode as (scale, shift) for each channel, float64."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def clamp_and_product(norm, weight, bias, dtype):
    """What is left of a norm, a relu and a 1x1 convolution: a clamp, and a convolution with other numbers.

    relu(s x + b) = s (clamp(x) - e) with the edge e = -b / s; the clamp holds x above e for s > 0, below e for s < 0. So s goes
    into the weights and -e into the bias. Edges and weights are rounded first and the bias is made from the rounded ones: then what the
    relu cuts off gives zero in a 16-bit type too.

    Args:
        norm: BatchNorm2d.
        weight: (out, in) float64.
        bias: (out,) float64.
        dtype: of the maps.

    Returns:
        Clamp, weight (out, in) float64, bias (out,) float64.
    """
    scale, shift = scale_shift(norm)
    dead = scale == 0  # then the relu's result is the same everywhere
    edge = torch.where(dead, 0.0, -shift / torch.where(dead, 1.0, scale)).to(dtype)
    scaled = (weight * scale).to(dtype).double()
    bias = bias - scaled @ edge.double() + weight @ torch.where(dead, shift.clamp(min=0), 0.0)
    return Clamp(edge, scale < 0), scaled, bias


class Clamp(nn.Module):
    """Holds each channel above its edge, or below it.

    Args:
        edge: (channels,).
        falling: (channels,) bool: below.
    """

    def __init__(self, edge, falling):
        super().__init__()
        self.register_buffer("low", torch.where(falling, -math.inf, edge))
        self.register_buffer("high", torch.where(falling, edge, math.inf))
        self._one_sided = not bool(falling.any())

    def forward(self, x):
        """(N, h, w, channels), also a part of a wider map; returns a new one without gaps."""
        out = x.new_empty(x.shape)
        if self._one_sided:
            return torch.maximum(x, self.low, out=out)
        return torch.clamp(x, self.low, self.high, out=out)


class Pointwise(nn.Module):
    """A 1x1 convolution: one matrix product."""

    def __init__(self, weight, bias, dtype):
        super().__init__()
        self.register_buffer("mixing", weight.t().to(dtype).contiguous())
        self.register_buffer("bias", bias.to(dtype))

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.mixing).view(*x.shape[:3], -1)


class DirectConv(nn.Module):
    """A convolution as torch does it."""

    def __init__(self, weight, bias, dtype, stride=1, padding=1):
        super().__init__()
        self.register_buffer("weight", weight.to(dtype).to(memory_format=torch.channels_last))
        self.register_buffer("bias", None if bias is None else bias.to(dtype))
        self._stride, self._padding = stride, padding

    def forward(self, x):
        return F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, self._stride, self._padding).permute(0, 2, 3, 1)


class ThinConv(nn.Module):
    """A 3x3 convolution to one channel, with zero padding 1: a matrix product for the nine taps, then their shifted sum in float32."""

    def __init__(self, weight, bias, dtype):
        super().__init__()
        self.register_buffer("taps", weight[0].reshape(-1, 9).to(dtype).contiguous())
        self.register_buffer("bias", bias.float())

    def forward(self, x):
        """(N, h, w, in) to (N, h, w, 1) float32."""
        count, height, width, channels = x.shape
        taps = torch.mm(x.reshape(-1, channels), self.taps).view(count, height, width, 9)
        padded = F.pad(taps.permute(3, 0, 1, 2).float(), (1, 1, 1, 1))
        out = self.bias.expand(count, height, width).clone()
        for tap in range(9):
            out += padded[tap, :, tap // 3 : tap // 3 + height, tap % 3 : tap % 3 + width]
        return out[..., None]


def conv3x3(weight, bias, height, width, dtype, winograd=True):
    """(the quicker form of a 3x3 convolution on maps of a size, its operations for one picture)."""
    outputs, inputs = weight.shape[:2]
    if winograd and dtype == torch.float32 and worth_it(inputs, outputs, height, width):
        return WinogradConv(weight, bias), winograd_flop(inputs, outputs, height, width)
    return DirectConv(weight, bias, dtype), 18 * inputs * outputs * height * width
