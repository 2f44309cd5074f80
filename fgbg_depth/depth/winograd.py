"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), as plain matrix products.

A tile of 4x4 outputs needs a patch of 6x6 inputs. Both are seen as polynomials; their product is taken at six points in each direction,
where it is one multiplication for each pair of channels: 36 for 16 outputs in place of 144. Going to the points and back are
linear maps of the 36 or 16 numbers of a tile, so the whole convolution is four matrix products.

Over real numbers this is the same function. Float noise depends on the points: with the usual 0, 1, -1, 2, -2 it is four times that of
the direct sum, with those below 1.7 times (rms, 208 channels). Source: Winograd, "Arithmetic complexity of computations", 1980;
Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv 1509.09308.
"""

import torch
from torch import nn

TILE_PX = 4  # outputs of a tile, in each direction
PATCH_PX = TILE_PX + 2  # inputs that they depend on
POINTS = (0.0, 0.65, -0.65, 1.5, -1.5)  # and infinity; of all pairs +-a, +-b in steps of 0.05 with the least noise
# What going to the points and back costs for each tile and channel, in the time of so many operations of a product (measured on AVX-512).
DETOUR_FLOP = 7_000
LEAST_TILES = 48  # in one product: fewer rows leave the processor's multipliers idle
WORTH = 1.1  # least gain by that count for which the detour is taken


def worth_it(in_channels, out_channels, height, width):
    """Whether a 3x3 convolution on a map of this size is quicker so. By counting, never by timing: a choice moves the last bits."""
    tiles = -(-height // TILE_PX) * -(-width // TILE_PX)
    direct = 18 * in_channels * out_channels * height * width
    here = winograd_flop(in_channels, out_channels, height, width) + DETOUR_FLOP * tiles * (in_channels + out_channels)
    return direct > WORTH * here


def winograd_flop(in_channels, out_channels, height, width):
    """Operations of the products at the points for one picture (2 for each multiply-add)."""
    tiles = -(-height // TILE_PX) * -(-width // TILE_PX)
    return 2 * PATCH_PX**2 * tiles * in_channels * out_channels


def transforms(points=POINTS, tile=TILE_PX):
    """The three matrices of F(tile, 3), float64: of the patch (tile+2, tile+2), of the kernel (tile+2, 3), of the result (tile, tile+2).

    Toom's and Cook's way: evaluate at the points, multiply, interpolate; the last row and column stand for infinity. For a
    kernel g and a patch d the outputs are result @ ((kernel @ g) * (patch @ d)).
    """
    size = tile + 2
    at = torch.tensor(points, dtype=torch.float64)
    kernel, result = torch.zeros(size, 3, dtype=torch.float64), torch.zeros(tile, size, dtype=torch.float64)
    for index in range(size - 1):
        others = torch.cat([at[:index], at[index + 1 :]])
        kernel[index] = at[index] ** torch.arange(3) / (at[index] - others).prod()
        result[:, index] = at[index] ** torch.arange(tile)
    kernel[-1, -1] = result[-1, -1] = 1
    # The patch's matrix is the one for which output i is the sum over k of g[k] * d[i + k].
    products = torch.einsum("ij,jk->ikj", result, kernel).reshape(3 * tile, size)
    wanted = torch.zeros(tile, 3, size, dtype=torch.float64)
    for index in range(tile):
        wanted[index, :, index : index + 3] = torch.eye(3, dtype=torch.float64)
    return torch.linalg.pinv(products) @ wanted.reshape(3 * tile, size), kernel, result


class WinogradConv(nn.Module):
    """A 3x3 convolution with zero padding 1 on maps in channels-last order.

    Args:
        weight: (out, in, 3, 3) float.
        bias: (out,) float.
    """

    def __init__(self, weight, bias):
        super().__init__()
        patch, kernel, result = transforms()
        at_points = torch.einsum("ij,ocjk,lk->ilco", kernel, weight.double(), kernel)
        self.register_buffer("at_points", at_points.reshape(PATCH_PX**2, weight.shape[1], weight.shape[0]).float().contiguous())
        self.register_buffer("of_patch", torch.kron(patch, patch).float())  # both directions at once: one product
        self.register_buffer("of_result", torch.kron(result, result).float())
        self.register_buffer("bias", bias.float())
        # Tiles in one product: as many as make the values at the points as large as the weights, which are read once for each product.
        self._tiles = max(LEAST_TILES, weight.shape[0] * weight.shape[1] // sum(weight.shape[:2]))

    def forward(self, x):
        """(N, H, W, in) float32 to (N, H, W, out)."""
        count, height, width, channels = x.shape
        rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
        padded = x.new_zeros(count, rows * TILE_PX + 2, columns * TILE_PX + 2, channels)
        padded[:, 1 : height + 1, 1 : width + 1] = x
        out = x.new_empty(count, rows * TILE_PX, columns * TILE_PX, self.bias.numel())
        strip = max(1, round(self._tiles / columns))
        if strip >= rows:
            self._strip(padded, rows, columns, out)
        else:
            for picture, large in zip(padded, out, strict=True):
                for row in range(0, rows, strip):
                    part = slice(row * TILE_PX, (row + strip) * TILE_PX)
                    self._strip(picture[None, part.start : part.stop + 2], min(strip, rows - row), columns, large[None, part])
        return out[:, :height, :width].contiguous()

    def _strip(self, padded, rows, columns, out):
        """Whole tiles: from a map (N, 4 rows + 2, 4 columns + 2, in) into (N, 4 rows, 4 columns, out)."""
        count, channels = len(padded), padded.shape[-1]
        by_picture, by_row, by_column, _ = padded.stride()
        patches = torch.as_strided(
            padded,
            (PATCH_PX, PATCH_PX, count, rows, columns, channels),
            (by_row, by_column, by_picture, by_row * TILE_PX, by_column * TILE_PX, 1),
            padded.storage_offset(),
        )
        values = self.of_patch @ patches.reshape(PATCH_PX**2, -1)
        values = torch.bmm(values.view(PATCH_PX**2, -1, channels), self.at_points)
        tiles = self.of_result @ values.view(PATCH_PX**2, -1)
        tiles = tiles.view(TILE_PX, TILE_PX, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        torch.add(tiles, self.bias, out=out.view(count, rows, TILE_PX, columns, TILE_PX, -1))
