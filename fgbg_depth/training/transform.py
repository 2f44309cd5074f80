"""One transform for image, mask and depth: the same cut and flip for all three, colours for the image alone.

Chance belongs to the row: it is drawn from (seed, epoch, key), not from a stream of numbers. So a sample looks the same whichever worker
makes it, in whatever order, and after a resume; and each epoch has other cuts.
"""

import torch
from torchvision.transforms import v2

from ..errors import UsageError
from .chance import chance
from .tensors import Depth, SmoothDepth

CROPS = (None, "center", "random", "resized")
JITTER = (0.2, 0.2, 0.2, 0.0)  # brightness, contrast, saturation, hue: another light, no more; turning hues takes longer than all the rest


class JointTransform:
    """Resize or cut, flip and recolour samples.

    Metres are never changed: what is cut out and enlarged looks nearer than its depth says. To learn metres take "random" or "center",
    which keep the scale, or a narrow `scale`.

    Args:
        size: (height, width) or side of what comes out [pixels]; None leaves the size.
        crop: None resizes the whole; "center" and "random" cut out `size` without resizing; "resized" cuts out a random part and
            resizes it.
        scale: (least, most) part of the area that "resized" cuts out.
        ratio: (least, most) width / height of it.
        flip: probability of mirroring left and right.
        jitter: (brightness, contrast, saturation, hue) of the image as torchvision's ColorJitter takes them; None leaves the colours.
        depth_interpolation: "nearest" (levels stay as they are stored) or "bilinear" (floats in [0, 1]; mixes at edges).
        steps: transforms of torchvision.transforms.v2 to use in place of all of the above but the last.
        seed: of the chance.

    Raises:
        UsageError: an argument makes no sense.
    """

    def __init__(
        self,
        size=None,
        crop=None,
        scale=(0.5, 1.0),
        ratio=(3 / 4, 4 / 3),
        flip=0.5,
        jitter=JITTER,
        depth_interpolation="nearest",
        steps=None,
        seed=0,
    ):
        if depth_interpolation not in ("nearest", "bilinear"):
            raise UsageError(f"depth_interpolation is {depth_interpolation!r}, expected 'nearest' or 'bilinear'")
        self.is_smooth, self.seed = depth_interpolation == "bilinear", int(seed)
        self._chain = v2.Compose(list(steps) if steps is not None else _steps(size, crop, scale, ratio, flip, jitter))
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change

    @classmethod
    def for_validation(cls, size=None, **words):
        """The whole picture at `size`, without any chance."""
        return cls(size, flip=0.0, jitter=None, **words)

    def set_epoch(self, epoch):
        """Other chance from the next sample on, in workers too. `Loader` calls it."""
        self._epoch.fill_(epoch)

    def __call__(self, sample):
        """Transform one sample.

        Args:
            sample: dict as `samples.sample_of` makes it; must have "key".

        Returns:
            dict with the same keys but those of boxes and areas, which were true before.

        Raises:
            UsageError: the picture is smaller than what is to be cut out.
        """
        pictures = {name: sample[name] for name in ("image", "mask", "depth") if name in sample}
        if self.is_smooth and "depth" in pictures:
            pictures["depth"] = _smooth(pictures["depth"])
        with chance(self.seed, int(self._epoch), sample["key"]):
            try:
                pictures = self._chain(pictures)
            except ValueError as error:
                if "crop size" not in str(error):
                    raise
                raise UsageError(f"row {sample['key']}: {error}; make it larger first (steps=...) or cut out less") from error
        return {name: pictures.get(name, value) for name, value in sample.items() if name not in STALE}


STALE = ("bbox", "placement_box", "mask_area")  # columns that a transform makes untrue


def _steps(size, crop, scale, ratio, flip, jitter):
    if crop not in CROPS:
        raise UsageError(f"crop is {crop!r}, expected one of {', '.join(map(repr, CROPS))}")
    if crop is not None and size is None:
        raise UsageError(f"crop={crop!r} needs a size")
    if not 0 <= flip <= 1:
        raise UsageError(f"flip is {flip}, expected a probability, 0 to 1")
    steps, side = [], [size, size] if isinstance(size, int) else size and list(size)
    if crop is None and side is not None:
        steps.append(v2.Resize(side, antialias=True))
    elif crop == "center":
        steps.append(v2.CenterCrop(side))
    elif crop == "random":
        steps.append(v2.RandomCrop(side))
    elif crop == "resized":
        steps.append(v2.RandomResizedCrop(side, scale=scale, ratio=ratio, antialias=True))
    if flip:
        steps.append(v2.RandomHorizontalFlip(flip))
    if jitter is not None:
        steps.append(v2.ColorJitter(*jitter))
    return steps or [v2.Identity()]


def _smooth(depth):
    if not isinstance(depth, Depth):
        return depth
    full_scale = 255.0 if depth.dtype == torch.uint8 else 65535.0
    return SmoothDepth(depth.to(torch.float32) / full_scale)
