"""Depth models: DenseDepth as a `transformers` model, its converter, and the estimator that the pipeline
uses.

    from fgbg_depth.depth import DenseDepthConfig, DenseDepthForDepthEstimation, DenseDepthImageProcessor

registers the three with `AutoConfig`, `AutoModelForDepthEstimation` and `AutoImageProcessor`, so that
`transformers.pipeline("depth-estimation", model=FOLDER)` works from then on (any one of the names will do).
Importing this package alone loads neither torch nor transformers: names are loaded when they are first used.
"""

import importlib

from fgbg_depth.depth.dependencies import depth_packages

_MODULES = {
    "DenseDepthConfig": "auto",
    "DenseDepthForDepthEstimation": "auto",
    "DenseDepthImageProcessor": "auto",
    "DepthEstimator": "estimator",
    "load_depth_estimator": "load",
    "convert_keras_weights": "convert",
}

__all__ = [
    "DenseDepthConfig",
    "DenseDepthForDepthEstimation",
    "DenseDepthImageProcessor",
    "DepthEstimator",
    "convert_keras_weights",
    "load_depth_estimator",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with depth_packages():
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
