"""The kinds of tensor that a sample is made of, and how each is resized; every transform of torchvision.transforms.v2 knows them.

| | | resized by |
| --- | --- | --- |
| image | `tv_tensors.Image` | what the transform says; bilinear with antialiasing |
| mask | `Mask` | nearest: a binary mask stays binary |
| depth | `Depth` | nearest: each value is one of the map's, none lies between the cut-out and what is behind it |
| depth, if wished | `SmoothDepth` | bilinear with antialiasing, in float; values at edges are mixed |

`Mask` and its kin are `tv_tensors.Mask`, so flips, crops and rotations move them along and colours leave them alone. torchvision's own
nearest takes the upper left of the pixels that meet at a point, half a pixel away from where the image's is; here it is the pixel's
centre that counts (nearest-exact), so that mask and image stay in place.
"""

import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F


class Mask(tv_tensors.Mask):
    """(1, H, W) uint8, 0 to 255; between only for a matte."""


class Depth(Mask):
    """(1, H, W) levels as they are stored: uint8, or int32 that holds the 16 bits of `metric16` (torch flips no uint16)."""


class SmoothDepth(Mask):
    """(1, H, W) float32 in [0, 1]: the part of the row's own range."""


def _resize(tensor, size, mode, antialias, max_size=None):
    plain = F.resize_image(tensor.as_subclass(torch.Tensor), size, interpolation=mode, antialias=antialias, max_size=max_size)
    return tv_tensors.wrap(plain, like=tensor)


@F.register_kernel(F.resize, Mask)
def _resize_mask(tensor, size, interpolation=None, max_size=None, antialias=None):
    return _resize(tensor, size, InterpolationMode.NEAREST_EXACT, False, max_size)


@F.register_kernel(F.resized_crop, Mask)
def _crop_mask(tensor, top, left, height, width, size, interpolation=None, antialias=None):
    return _resize_mask(F.crop(tensor, top, left, height, width), size)


@F.register_kernel(F.resize, SmoothDepth)
def _resize_smooth(tensor, size, interpolation=None, max_size=None, antialias=None):
    return _resize(tensor, size, InterpolationMode.BILINEAR, True, max_size)


@F.register_kernel(F.resized_crop, SmoothDepth)
def _crop_smooth(tensor, top, left, height, width, size, interpolation=None, antialias=None):
    return _resize_smooth(F.crop(tensor, top, left, height, width), size)
