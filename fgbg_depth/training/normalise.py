"""A batch of small integers to floats, on whatever device it lies: normalised images, masks in {0, 1}, depth as metres or relative."""

import torch

from ..errors import CodecError, DataError, UsageError
from ..load import load_stats

DEPTHS = ("relative", "metres", None)
FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0, torch.int32: 65535.0}


class Normalise(torch.nn.Module):
    """Turns what `Collate` gives into what a network takes; `.to(device)` moves it, and it is quickest there.

    Args:
        mean, std: of the image, three values each (R, G, B) for values in [0, 1]: those of `load_stats(...)["image"]`.
        depth: "relative" gives the part of each map's own range, in [0, 1]; "metres" metres; None leaves depth out.
    """

    def __init__(self, mean, std, depth="relative"):
        super().__init__()
        if depth not in DEPTHS:
            raise UsageError(f"depth is {depth!r}, expected 'relative', 'metres' or None")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise UsageError(f"mean {mean} and std {std}: expected three values each (R, G, B), std above 0")
        self.depth = depth
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    @classmethod
    def of_set(cls, name, split="train", revision=None, depth="relative"):
        """By the published statistics of a set.

        Args:
            name, split, revision: as `load_stats` takes them.
            depth: as above.
        """
        image = load_stats(name, split, revision)["image"]
        return cls(image["mean"], image["std"], depth)

    def forward(self, batch):
        """Normalise.

        Args:
            batch: dict as `Collate` makes it.

        Returns:
            dict: "image" (N, 3, H, W) float32, mean 0 and deviation 1 over the set; "mask" (N, 1, H, W) float32 in {0, 1}, between only for
            a matte; "depth" (N, 1, H, W) float32; the rest as it is. Tensors come to this module's device.

        Raises:
            CodecError: metres are wanted of rows that never had any.
        """
        device = self.mean.device
        done = {k: v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        if "image" in done:
            # One multiplication and one subtraction: (x / 255 - mean) / std.
            done["image"] = done["image"].to(torch.float32) * (1 / (255 * self.std)) - self.mean / self.std
        if "mask" in done:
            done["mask"] = done["mask"].to(torch.float32) / 255
        if "depth" in done:
            if self.depth is None:
                del done["depth"]
            elif self.depth == "relative":
                done["depth"] = _part(done["depth"])
            else:
                done["depth"] = _metres_of(done)
        return done

    def image_of(self, image):
        """Normalised images back to [0, 1], for looking at.

        Args:
            image: (N, 3, H, W) float32, as `forward` gives it.
        """
        return image * self.std + self.mean


def to_metres(depth, depth_min_m, depth_max_m):
    """Metres of stored depth, for tensors on any device; `fgbg_depth.depth_to_metres` is the same for arrays.

    Args:
        depth: (..., 1, H, W) levels, uint8 of `relative8`, uint16 or int32 of `metric16`; or floats in [0, 1], the part of the range.
        depth_min_m, depth_max_m: metres at level 0 and at full scale: the row's two columns, as numbers or (N,) tensors.

    Returns:
        float32 metres of the shape of `depth`.

    Raises:
        CodecError: the range is null (None or NaN): a relative model gave this depth, its metres were never known.
        UsageError: as many ranges as maps are needed.
    """
    low, high = (_range(value, depth) for value in (depth_min_m, depth_max_m))
    return (low + _part(depth) * (high - low)).to(torch.float32)


def _metres_of(batch):
    missing = [name for name in ("depth_min_m", "depth_max_m") if name not in batch]
    if missing:
        raise DataError(f"metres need the column {missing[0]}, which isn't in the batch; read it too, or take depth='relative'")
    return to_metres(batch["depth"], batch["depth_min_m"], batch["depth_max_m"])


def _range(value, depth):
    if value is None:
        raise _no_metres()
    value = torch.as_tensor(value, dtype=torch.float32, device=depth.device)
    if torch.isnan(value).any():
        raise _no_metres()
    if value.ndim > 1 or (value.ndim == 1 and (depth.ndim < 4 or len(value) != len(depth))):
        raise UsageError(f"ranges of shape {tuple(value.shape)} don't belong to depth of shape {tuple(depth.shape)}")
    return value.view(-1, *[1] * (depth.ndim - 1)) if value.ndim else value


def _part(depth):
    """Stored depth as the part of its range, float32 in [0, 1]."""
    if depth.dtype.is_floating_point:
        return depth.to(torch.float32)
    if depth.dtype not in FULL_SCALE:
        raise CodecError(f"stored depth is uint8, uint16 or int32, or a float in [0, 1]; got {depth.dtype}")
    return depth.to(torch.float32) / FULL_SCALE[depth.dtype]


def _no_metres():
    return CodecError(
        "depth_min_m or depth_max_m is null: this depth is relative, its metres were never known; train with depth='relative'"
    )
