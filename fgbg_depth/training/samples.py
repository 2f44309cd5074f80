"""Rows to samples: decoded tensors with the kinds that transforms know."""

import torch
from torchvision import tv_tensors

from .pictures import decode_picture
from .tensors import Depth, Mask


def sample_of(row):
    """Decode a row.

    Args:
        row: dict with "image", "mask" and, in sets with depth, "depth", as `pictures.decode_picture` takes them; other columns are kept.

    Returns:
        dict: "image" tv_tensors.Image (3, H, W) uint8 RGB; "mask" Mask (1, H, W) uint8; "depth" Depth (1, H, W) uint8 or int32; and
        the other columns as they are.
    """
    sample = dict(row)
    if "image" in row:
        sample["image"] = tv_tensors.Image(torch.from_numpy(_own(decode_picture(row["image"], True))).permute(2, 0, 1))
    if "mask" in row:
        sample["mask"] = Mask(torch.from_numpy(_own(decode_picture(row["mask"], False)))[None])
    if "depth" in row:
        levels = torch.from_numpy(_own(decode_picture(row["depth"], False)))[None]
        sample["depth"] = Depth(levels if levels.dtype == torch.uint8 else levels.to(torch.int32))
    return sample


class Decode:
    """Rows to samples, for `Dataset.with_transform`, `set_transform` and `IterableDataset.map`.

    Args:
        transform: JointTransform, or None.
    """

    def __init__(self, transform=None):
        self.transform = transform

    def __call__(self, rows):
        """A row, or the columns of some rows, as each of them hands it.

        Args:
            rows: {column: value} of a row, or {column: list of values}.

        Returns:
            A sample, or {column: list} of samples.
        """
        # A row's own values are lists only where they are boxes, so a column that is always there tells.
        first = next(rows[name] for name in ("image", "mask", "depth", "key") if name in rows)
        if not isinstance(first, list):
            return self._sample(rows)
        samples = [self._sample(dict(zip(rows, values, strict=True))) for values in zip(*rows.values(), strict=True)]
        return {name: [sample[name] for sample in samples] for name in (samples[0] if samples else ())}

    def _sample(self, row):
        sample = sample_of(row)
        return sample if self.transform is None else self.transform(sample)


def _own(array):
    """An array that torch may take: Pillow's are read-only."""
    return array if array.flags.writeable else array.copy()
