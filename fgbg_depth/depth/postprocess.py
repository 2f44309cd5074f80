"""From the network's output to metres at the size of the picture. Pure numpy.

DenseDepth predicts the inverse of depth, `raw = max_depth / depth`, at half the resolution of its input. The
original clips `max_depth / raw` to its range; the edge cases below follow from that and are kept.
"""

import numpy as np

MAX_DEPTH_M = 10.0  # range of the published indoor weights
MIN_DEPTH_M = 0.1


def raw_to_metres(raw, max_depth_m=MAX_DEPTH_M, min_depth_m=MIN_DEPTH_M):
    """Depth of a raw map: clip(max_depth_m / raw, min_depth_m, max_depth_m), all in float32.

    Args:
        raw: float array of any shape, the plain network output.
        max_depth_m, min_depth_m: range of the model [m].

    Returns:
        float32 of the same shape [m]. A raw value below zero (and -0) gives `min_depth_m`, +0 gives
        `max_depth_m`, 0 < raw < 1 gives `max_depth_m`, NaN stays NaN.
    """
    raw = np.asarray(raw, np.float32)
    with np.errstate(
        divide="ignore", over="ignore"
    ):  # the infinities of tiny values are clipped in the next step
        depth = np.float32(max_depth_m) / raw
    return np.clip(depth, np.float32(min_depth_m), np.float32(max_depth_m))


def resize_align_corners(maps, size):
    """Resample maps bilinearly with corners aligned: output pixel i lies at i * (n - 1) / (m - 1).

    Args:
        maps: (..., h, w) float.
        size: (H, W) of the result [pixels].

    Returns:
        (..., H, W) float32; a new array. A side of one pixel is repeated, and a result of one pixel takes the
        first. NaN spreads to the pixels that it touches.
    """
    maps = np.asarray(maps, np.float32)
    height, width = size
    return _resize_axis(_resize_axis(maps, height, axis=-2), width, axis=-1)


def _resize_axis(maps, target, axis):
    source = maps.shape[axis]
    if source == target:
        return maps.copy()
    # Positions in float64: in float32 the last pixel of a long side can miss its corner.
    position = np.arange(target) * ((source - 1) / max(target - 1, 1))
    below = np.minimum(position.astype(np.intp), source - 1)
    above = np.minimum(below + 1, source - 1)
    weight = (position - below).astype(np.float32)
    weight = weight[:, None] if axis == -2 else weight
    first, second = np.take(maps, below, axis=axis), np.take(maps, above, axis=axis)
    return first + (second - first) * weight
