"""A 3x3 convolution of a map that is first made twice as large, with most of the work done on the small map.

Upsampling acts on each channel alone, the convolution mixes channels, and both are linear: so the channels can be mixed first, once for
each of the nine taps, on a quarter of the pixels. What is left is to enlarge the nine results, shift each by its tap, and add them
up: for rows and columns apart that is a multiplication by a thin matrix. The result is the same but for rounding.
"""

import torch
from torch import nn

ROWS_PER_BLOCK = 16  # output rows made at once: they need 10 small rows of each tap, and their parts stay in the second-level cache
COLUMNS_PER_BLOCK = 64  # wider maps are cut, as the matrix has nothing far from its diagonal


def lowres_flop(in_channels, out_channels, height, width):
    """Operations for one picture of a small map (2 for each multiply-add), enlarging included."""
    mixing = 18 * in_channels * out_channels * height * width
    rows = sum((stop - start) * 3 * (last - first) for start, stop, first, last in _blocks(height, ROWS_PER_BLOCK))
    columns = sum((stop - start) * 3 * (last - first) for start, stop, first, last in _blocks(width, COLUMNS_PER_BLOCK))
    return mixing + 2 * out_channels * (rows * 3 * width + 2 * height * columns)


def _blocks(size, length):
    """[(start, stop, first, last)]: the outputs range(start, stop) of 2 * size depend on range(first, last) of the small map."""
    blocks = []
    for start in range(0, 2 * size, length):
        stop = min(start + length, 2 * size)
        if stop - start == 2 * size:
            blocks.append((start, stop, 0, size))
        else:  # one output to each side for the taps, then one small pixel to each side for the interpolation
            blocks.append((start, stop, max(0, (start - 1) // 2 - 1), min(size, stop // 2 + 2)))
    return blocks


def tap_matrices(size, align_corners):
    """(3, 2 * size, size) float64: row i of matrix k weighs the small pixels for output pixel i + k - 1, zero if that lies outside.

    Positions as in torch: i * (size - 1) / (2 * size - 1) with aligned corners, else (i + 0.5) / 2 - 0.5, held inside the map.
    """
    outputs = torch.arange(2 * size, dtype=torch.float64)
    position = outputs * (size - 1) / (2 * size - 1) if align_corners else ((outputs + 0.5) / 2 - 0.5).clamp(min=0)
    below = position.floor().long().clamp(max=size - 1)
    above = (below + 1).clamp(max=size - 1)
    weight = position - below
    enlarge = torch.zeros(2 * size, size, dtype=torch.float64)
    rows = torch.arange(2 * size)
    enlarge.index_put_((rows, below), 1 - weight, accumulate=True)
    enlarge.index_put_((rows, above), weight, accumulate=True)
    taps = torch.zeros(3, 2 * size, size, dtype=torch.float64)
    taps[0, 1:], taps[1], taps[2, :-1] = enlarge[:-1], enlarge, enlarge[1:]
    return taps


class UpsampledConv(nn.Module):
    """x2 bilinear upsampling and a 3x3 convolution with zero padding 1, added to what is there already.

    Args:
        weight: (out, in, 3, 3) float.
        size: (height, width) of the small map.
        align_corners: bool.
        before: None, or (weight (in, first), bias (in,)) of a 1x1 convolution that comes first; it is merged.
    """

    def __init__(self, weight, size, align_corners, before=None):
        super().__init__()
        out_channels, in_channels = weight.shape[:2]
        mixing = weight.double().permute(2, 1, 3, 0).reshape(3, in_channels, 3 * out_channels)  # row tap; in; column tap, out
        bias = None
        if before is not None:
            bias = torch.matmul(before[1].double(), mixing).float()
            mixing = torch.matmul(before[0].double().t(), mixing)
        self.register_buffer("mixing", mixing.float().contiguous())
        self.register_buffer("mixing_bias", bias)
        self.size = tuple(size)
        self._row_blocks = _blocks(size[0], ROWS_PER_BLOCK)
        self._column_blocks = _blocks(size[1], COLUMNS_PER_BLOCK)
        rows, columns = tap_matrices(size[0], align_corners), tap_matrices(size[1], align_corners)
        for index, (start, stop, first, last) in enumerate(self._row_blocks):
            self.register_buffer(f"rows{index}", rows[:, start:stop, first:last].float().contiguous())
        for index, (start, stop, first, last) in enumerate(self._column_blocks):
            block = columns[:, start:stop, first:last].permute(1, 2, 0)  # small pixel and tap together are summed over
            self.register_buffer(f"columns{index}", block.reshape(stop - start, -1).float().contiguous())

    def forward(self, x, out):
        """Adds the convolution of the enlarged `x` (N, h, w, in) to `out` (N, 2h, 2w, out), in place."""
        height, width = self.size
        pixels = x.reshape(-1, x.shape[-1])
        if self.mixing_bias is None:
            taps = [torch.mm(pixels, mixing) for mixing in self.mixing]
        else:
            taps = [torch.addmm(bias, pixels, mixing) for bias, mixing in zip(self.mixing_bias, self.mixing, strict=True)]
        taps = [tap.view(len(x), height, -1) for tap in taps]
        for picture, large in enumerate(out):
            for index, (start, stop, first, last) in enumerate(self._row_blocks):
                matrices = getattr(self, f"rows{index}")
                tall = torch.mm(matrices[0], taps[0][picture, first:last])
                for matrix, tap in zip(matrices[1:], taps[1:], strict=True):
                    tall.addmm_(matrix, tap[picture, first:last])
                self._add_columns(tall.view(stop - start, width, -1), large[start:stop])
        return out

    def _add_columns(self, tall, out):
        """Enlarge rows (R, w, 3 * out channels) and add them to (R, 2w, out channels)."""
        rows, _, channels = out.shape
        for index, (start, stop, first, last) in enumerate(self._column_blocks):
            matrix = getattr(self, f"columns{index}").expand(rows, -1, -1)
            part = tall[:, first:last].reshape(rows, -1, channels)
            if len(self._column_blocks) == 1:
                out.baddbmm_(matrix, part)
            else:
                out[:, start:stop] += torch.bmm(matrix, part)
