"""Rows to a batch. Batches hold small integers: a quarter of what floats would take on the way from a worker to the trainer.

Without a transform a row's pictures are decoded right into the batch, in a worker right into the memory that it shares with the trainer.
"""

import math

import numpy as np
import torch
from torch.utils.data import get_worker_info

from ..errors import UsageError
from .pictures import decode_picture

PICTURES = ("image", "mask", "depth")
RANGE = ("depth_min_m", "depth_max_m")


class Collate:
    """Makes batches, as a DataLoader's `collate_fn`.

    Args:
        transform: JointTransform, or None: for rows that aren't decoded yet.
    """

    def __init__(self, transform=None):
        self.transform = transform

    def __call__(self, rows):
        """Make a batch.

        Args:
            rows: list of rows (pictures as bytes, PIL pictures or arrays) or of samples (`Decode`).

        Returns:
            dict: "image" (N, 3, H, W) uint8, channels last in memory; "mask" (N, 1, H, W) uint8; "depth" (N, 1, H, W) uint8, uint16, or
            float32 in [0, 1] if it was resized bilinearly; "depth_min_m" and "depth_max_m" (N,) float32, NaN where null; every
            other column as a list.

        Raises:
            CodecError: a picture can't be decoded.
            UsageError: pictures of one batch differ in size or depth.
        """
        decoded = isinstance(rows[0].get("image"), torch.Tensor)
        if self.transform is not None and not decoded:
            from .samples import Decode  # needs torchvision, which batches without a transform don't

            decode = Decode(self.transform)
            rows, decoded = [decode(row) for row in rows], True
        batch = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            if name in PICTURES:
                batch[name] = _stack_tensors(name, values) if decoded else _stack_pictures(name, values)
            elif name in RANGE:
                batch[name] = torch.tensor([math.nan if value is None else float(value) for value in values], dtype=torch.float32)
            else:
                batch[name] = values
        return batch


def _stack_pictures(name, values):
    """Decode pictures into a batch; (N, C, H, W)."""
    first = decode_picture(values[0], name == "image")
    batch = _empty((len(values), *first.shape), torch.uint8 if first.dtype == np.uint8 else torch.uint16)
    places = batch.numpy()
    for place, value in enumerate(values):
        array = first if place == 0 else decode_picture(value, name == "image")
        if array.shape != first.shape or array.dtype != first.dtype:
            raise _differ(name, array.dtype, array.shape, first.dtype, first.shape)
        places[place] = array
    return batch.permute(0, 3, 1, 2) if name == "image" else batch[:, None]


def _stack_tensors(name, values):
    """Stack the decoded pictures (C, H, W) of some samples."""
    plain = [value.as_subclass(torch.Tensor) for value in values]
    for value in plain:
        if value.shape != plain[0].shape or value.dtype != plain[0].dtype:
            raise _differ(name, value.dtype, tuple(value.shape), plain[0].dtype, tuple(plain[0].shape))
    channels, height, width = plain[0].shape
    kind = torch.uint16 if plain[0].dtype == torch.int32 else plain[0].dtype
    batch = _empty((len(plain), height, width, channels), kind).permute(0, 3, 1, 2)
    for place, value in enumerate(plain):
        batch[place] = value.to(kind)
    return batch


def _empty(shape, kind):
    """A tensor to be filled; in a worker it lies in memory that the trainer sees, so nothing is copied on the way."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=kind)
    # As torch's own default_collate does it.
    storage = torch.UntypedStorage._new_shared(math.prod(shape) * kind.itemsize)
    return torch.empty(0, dtype=kind).set_(storage, 0, shape)


def _differ(name, kind, shape, first_kind, first_shape):
    return UsageError(
        f"{name}: {kind} {tuple(shape)} and {first_kind} {tuple(first_shape)} can't lie in one batch; give a JointTransform(size=...), or "
        f"keep rows of different sets apart"
    )
