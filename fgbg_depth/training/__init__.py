"""Training on a set: rows to batches of tensors, alike for finished sets on disk and for streams; extra `[training]`.

    from fgbg_depth.training import Collate, JointTransform, Loader, Normalise, open_rows

    rows = open_rows("DIR or repo id", split="train")
    loader = Loader(rows, 32, collate=Collate(JointTransform(size=160, crop="resized")), num_workers=2, seed=0)
    normalise = Normalise.of_set("DIR or repo id", depth="metres")
    for batch in loader:
        batch = normalise(batch)   # image (N, 3, H, W), mask and depth (N, 1, H, W), float32

| module | one idea |
| --- | --- |
| `pictures` | encoded bytes to arrays, quickly |
| `tensors` | the kinds of tensor of a sample, and how each is resized |
| `chance` | torch's chance by keys |
| `transform` | one transform for image, mask and depth, with chance that belongs to the row |
| `samples` | rows to samples |
| `collate` | rows or samples to a batch of small integers |
| `normalise` | a batch to floats; metres |
| `paste` | objects of a batch over each other's backgrounds |
| `load_rows` | a set's rows with their pictures undecoded |
| `loader` | batches that can be gone on with exactly |

(`fgbg_depth.depth.training` is another thing: how the built-in depth network was made.)
"""

import importlib

from fgbg_depth.errors import FgbgDepthError

_MODULES = {
    "Collate": "collate",
    "CopyPaste": "paste",
    "Decode": "samples",
    "Depth": "tensors",
    "JointTransform": "transform",
    "Loader": "loader",
    "Mask": "tensors",
    "Normalise": "normalise",
    "SmoothDepth": "tensors",
    "decode_picture": "pictures",
    "open_rows": "load_rows",
    "to_metres": "normalise",
}
_PACKAGES = ("torch", "torchvision", "torchdata")
_INSTALL = 'pip install "fgbg-depth[training]"'

__all__ = [
    "Collate",
    "CopyPaste",
    "Decode",
    "Depth",
    "JointTransform",
    "Loader",
    "Mask",
    "MissingDependencyError",
    "Normalise",
    "SmoothDepth",
    "decode_picture",
    "open_rows",
    "to_metres",
]


class MissingDependencyError(FgbgDepthError, ImportError):
    """A package of the extra `[training]` isn't there, or can't be imported."""


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise MissingDependencyError(f"training needs {package}, which can't be imported ({error}); install it with: {_INSTALL}") from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise MissingDependencyError(
            f"torchvision can't be imported ({error}): it was built for another torch than the one here, often one with CUDA beside one "
            f"without; install both from one index, as https://pytorch.org/get-started/locally/ shows"
        ) from error
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
