"""fgbg_depth: composites of foregrounds over backgrounds, with exact masks and depth, as data sets for the Hub.

Importing this package loads none of the heavy libraries; each name below loads what it needs when it is first used.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "Recipe": "config",
    "depth_to_metres": "codec",
    "load_depth_estimator": "depth",
    "load_recipe": "config",
    "load_stats": "load",
    "stream": "streaming",
}

__all__ = ["Recipe", "__version__", "depth_to_metres", "load_depth_estimator", "load_recipe", "load_stats", "stream"]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
