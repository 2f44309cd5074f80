"""Copy-paste: the objects of a batch over pieces of each other's backgrounds, so that a network can't learn the backgrounds by heart.

A set has many rows, but rows of one background differ in the object alone. Exact masks make it free to cut objects out and paste them
elsewhere. The idea is that of Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021.
"""

import math

import torch
from torch.nn import functional as F

from ..errors import UsageError
from .chance import chance

# At colour=1: deviations of the gain of all channels, of each channel's part in each, and of light; shares whose channels change places,
# and whose light and dark do.
COLOUR_GAIN, COLOUR_MIX, COLOUR_SHIFT, SWAPPED, INVERTED = 0.3, 0.15, 0.12, 0.4, 0.1
MOVE = 0.3  # backgrounds are moved by up to this part of the picture


class CopyPaste:
    """Pastes the objects of a batch that `Normalise` made, on whatever device it lies.

    The background of a picture becomes that of another one: mirrored or not, turned, a bit larger or smaller, in other colours. Over it
    come the picture's own object and those of `others` further pictures, mirrored or not, and with `size` at other places. Objects keep
    their scale, pixels and metres: they are what is to be found.

    Args:
        normalise: Normalise that made the batch; colours change in its [0, 1].
        others: number of further objects.
        share: part of the pictures that get another background.
        zoom: (least, most) scale of the background. Much above 1 it is blurred, and the sharp object is found by that.
        turn_degrees: most that the background is turned; half of them are also turned by a multiple of 90.
        colour: how far colours of backgrounds change; 0 keeps them.
        size: side of the square piece that comes out [pixels]; None leaves the pictures whole.
        seed: of the chance.

    Raises:
        UsageError: an argument makes no sense.
    """

    def __init__(self, normalise, others=2, share=0.75, zoom=(0.5, 1.1), turn_degrees=20.0, colour=0.5, size=None, seed=0):
        if min(others, share, colour) < 0 or share > 1 or not 0 < zoom[0] <= zoom[1] or (size is not None and size < 1):
            raise UsageError(
                f"others {others}, share {share}, zoom {zoom}, colour {colour}, size {size}: expected nothing negative, a share of at "
                f"most 1, and a zoom of (least, most) above 0"
            )
        self.normalise, self.others, self.share, self.zoom = normalise, others, share, zoom
        self.turn, self.colour, self.size, self.seed = math.radians(turn_degrees), colour, size, seed

    @torch.no_grad()
    def __call__(self, batch, *step):
        """Paste.

        Args:
            batch: dict of `Normalise`, with "image" and "mask", and "depth" or not.
            step: what chance is drawn for beside the seed, such as the loader's epoch and batch: strings and integers.

        Returns:
            dict: "image", "mask" and "depth" as they came, pasted. "known" (N, 1, H, W) float32: 0 where an object of the background's own
            picture lies, which has other colours now and so is neither, else 1; the weight of a pixel of the mask in a loss. "kept"
            (N, 1, 1, 1) float32: 1 for pictures with their own background, else 0; the weight of a depth map, as metres come along with
            what is pasted, but no room looks like a turned one. Of other columns only "key" is left.

        Raises:
            UsageError: pictures are smaller than `size`.
        """
        names = [name for name in ("image", "mask", "depth") if name in batch]
        widths = [batch[name].shape[1] for name in names]
        layers = torch.cat([self.normalise.image_of(batch["image"]), *(batch[name] for name in names[1:])], 1)
        if self.size is not None and min(layers.shape[-2:]) < self.size:
            raise UsageError(f"pieces of {self.size} pixels can't be cut out of pictures of {layers.shape[-1]} x {layers.shape[-2]}")
        with chance(self.seed, "paste", *step):
            layers, known, kept = self._paste(layers)
        done = dict(zip(names, layers.split(widths, 1), strict=True)) | {"known": known, "kept": kept}
        done["image"] = ((done["image"] - self.normalise.mean) / self.normalise.std).contiguous(memory_format=torch.channels_last)
        return done | {name: batch[name] for name in ("key",) if name in batch}

    def _paste(self, layers):
        """Layers are colours, mask and depth, (N, 4 or 5, H, W); returns those of the pieces, "known" and "kept"."""
        pasted = self._piece(layers)
        behind = self._backgrounds(layers, pasted.shape[-2:])
        changed = (torch.rand(len(layers), 1, 1, 1) < self.share).to(layers)
        own = pasted[:, 3:4].clone()
        over = changed * (1 - own)  # the part of the new background in each pixel
        known = 1 - changed * ((behind[:, 3:4] > 0) & (own == 0))
        pasted.lerp_(behind, over)
        pasted[:, 3:4] = own
        for _ in range(self.others):
            other = self._piece(layers)[torch.randperm(len(layers))]
            other = other.flip(-1) if torch.rand(()) < 0.5 else other
            mask = other[:, 3:4]
            whole = torch.maximum(mask, pasted[:, 3:4])
            pasted.lerp_(other, mask)
            pasted[:, 3:4] = whole
            known = torch.maximum(known, (mask > 0).to(known))
        return pasted, known, 1 - changed

    def _piece(self, layers):
        """What is cut out, from one place for all pictures."""
        sides = layers.shape[-2:]
        height, width = sides if self.size is None else (self.size, self.size)
        top, left = (int(torch.randint(0, whole - part + 1, ())) for whole, part in zip(sides, (height, width), strict=True))
        return layers[..., top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)

    def _backgrounds(self, layers, sides):
        """Pieces of other pictures of the batch, turned, zoomed and recoloured; (N, C, *sides)."""
        many = len(layers)
        turn = (2 * torch.rand(many) - 1) * self.turn + (torch.rand(many) < 0.5) * torch.randint(0, 4, (many,)) * (math.pi / 2)
        low, high = map(math.log, self.zoom)
        scale, mirror = torch.exp(-(low + (high - low) * torch.rand(many))), 1.0 - 2 * torch.randint(0, 2, (many,))
        cosine, sine, zero = turn.cos() * scale, turn.sin() * scale, torch.zeros(many)
        # From places in the piece to places in the picture, both with -1 and 1 at the edges: first to pixels, and back at last.
        turned = torch.stack([torch.stack([cosine * mirror, -sine, zero], 1), torch.stack([sine * mirror, cosine, zero], 1)], 1)
        piece, whole = (torch.tensor([float(side) for side in reversed(both)]) for both in (sides, layers.shape[-2:]))
        turned[:, :, :2] *= piece[None, None, :] / whole[None, :, None]
        turned[:, :, 2] = (2 * torch.rand(many, 2) - 1) * 2 * MOVE
        grid = F.affine_grid(turned.to(layers), [many, layers.shape[1], *sides], align_corners=False)
        behind = F.grid_sample(layers, grid, padding_mode="reflection", align_corners=False)[torch.randperm(many)]
        behind[:, :3] = self._recoloured(behind[:, :3])
        return behind

    def _recoloured(self, pixels):
        many = len(pixels)
        strength = 2 * self.colour * torch.rand(many, 1, 1)
        mix = torch.eye(3) * (1 + COLOUR_GAIN * strength * torch.randn(many, 1, 1)) + COLOUR_MIX * strength * torch.randn(many, 3, 3)
        swap = torch.eye(3)[torch.stack([torch.randperm(3) for _ in range(many)])]
        mix = torch.where(torch.rand(many, 1, 1) < SWAPPED * self.colour, mix @ swap, mix)
        mix = torch.where(torch.rand(many, 1, 1) < INVERTED * self.colour, -mix, mix)
        light = COLOUR_SHIFT * strength * torch.randn(many, 3, 1)
        mixed = torch.einsum("nij,njhw->nihw", mix.to(pixels), pixels - 0.5) + 0.5 + light.to(pixels)[..., None]
        return mixed.clamp(0, 1)
