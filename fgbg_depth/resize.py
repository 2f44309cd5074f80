"""Backgrounds and cut-outs at the size at which they are composited, in float, resized once.

All resizing is Pillow's antialiased filter on 32-bit float planes: it computes in double precision, knows no
8-bit intermediate step, and gives the same numbers on every machine. The Hamming filter is sharper than the
triangle and, unlike bicubic and Lanczos, has no negative lobes: alpha stays in [0, 1] and no edge rings.

A cut-out is premultiplied before it is resized. Averaging colour and alpha apart lets the hidden colour of
transparent pixels into the edge, seen as a fringe.
"""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

FILTER = Image.Resampling.HAMMING


@dataclass(frozen=True, eq=False)
class Cutout:
    """A foreground at its placed size.

    Attributes:
        colour: (H, W, 3) float32 RGB, premultiplied by alpha, 0..255.
        alpha: (H, W) float32, 0..1.
        alpha8: (H, W) uint8, alpha rounded to 8 bits: what masks are made from.
    """

    colour: np.ndarray
    alpha: np.ndarray
    alpha8: np.ndarray

    @property
    def size(self):
        """(width, height) [pixels]."""
        return self.alpha.shape[1], self.alpha.shape[0]

    @functools.cached_property
    def keep(self):
        """(H, W, 3) float32: how much of the background stays, 1 - alpha, once for each channel."""
        return np.repeat((np.float32(1) - self.alpha)[..., None], 3, axis=2)

    @property
    def nbytes(self):
        """Bytes in memory, with `keep`."""
        return 2 * self.colour.nbytes + self.alpha.nbytes + self.alpha8.nbytes

    def mirrored(self):
        """The same cut-out, left and right exchanged."""
        return Cutout(*(np.ascontiguousarray(part[:, ::-1]) for part in (self.colour, self.alpha, self.alpha8)))


def resize_planes(array, size):
    """Resize float planes, antialiased.

    Args:
        array: (H, W) or (H, W, C) float32.
        size: (width, height) [pixels].

    Returns:
        float32 of the new height and width; within the range of the input.
    """
    if array.shape[1::-1] == tuple(size):
        return array.astype(np.float32, copy=True)
    planes = array[..., None] if array.ndim == 2 else array
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(planes[..., c], np.float32)).resize(size, FILTER))
        for c in range(planes.shape[2])
    ]
    # The weights of a pixel sum to 1 but for rounding, which can leave the range by some 1e-5.
    out = np.clip(np.stack(resized, axis=-1), planes.min(), planes.max())
    return out[..., 0] if array.ndim == 2 else out


def fit_background(rgb, image_size, fit):
    """Make a background square.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        image_size: side of the result [pixels].
        fit: "stretch", "crop" (the largest centred square) or "pad" (whole picture, black borders).

    Returns:
        (image_size, image_size, 3) float32 RGB, 0..255, not rounded.
    """
    height, width = rgb.shape[:2]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        rgb = rgb[top : top + side, left : left + side]
    if fit != "pad":
        return resize_planes(rgb.astype(np.float32), (image_size, image_size))
    inner_width, inner_height = contained_size(width, height, image_size, image_size)
    top, left = (image_size - inner_height) // 2, (image_size - inner_width) // 2
    canvas = np.zeros((image_size, image_size, 3), np.float32)
    inner = resize_planes(rgb.astype(np.float32), (inner_width, inner_height))
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas


def contained_size(width, height, box_width, box_height):
    """The largest (width, height) of the same aspect that fits a box, at least 1 x 1 [pixels].

    Integer arithmetic, rounded half up: no machine can differ.
    """
    if width * box_height >= height * box_width:  # the width decides
        return box_width, max(1, (2 * height * box_width + width) // (2 * width))
    return max(1, (2 * width * box_height + height) // (2 * height)), box_height


def make_cutout(rgba, size):
    """Resize a foreground once, premultiplied, in float.

    Args:
        rgba: (H, W, 4) uint8, straight alpha.
        size: (width, height) of the result [pixels].

    Returns:
        Cutout. Where alpha is above zero, colour / alpha of a one-coloured foreground is that colour.
    """
    alpha = rgba[..., 3].astype(np.float32) / np.float32(255)
    colour = rgba[..., :3].astype(np.float32) * alpha[..., None]
    planes = np.concatenate([colour, alpha[..., None]], axis=2)
    colour = resize_planes(planes[..., :3], size)
    alpha = resize_planes(planes[..., 3], size)
    alpha8 = np.rint(alpha * 255).astype(np.uint8)
    return Cutout(colour, alpha, alpha8)
