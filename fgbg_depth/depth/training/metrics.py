"""Depth errors as pure functions of arrays: the usual figures of monocular depth, and the score of a pasted person.

Definitions follow Eigen, Puhrsch, Fergus, "Depth Map Prediction from a Single Image", 2014 (arXiv 1406.2283),
section 4.2, with log10 as in the DenseDepth paper (arXiv 1812.11941), section 4.3:

    delta_k = share of pixels with max(p / t, t / p) < 1.25 ** k
    abs_rel = mean(|p - t| / t)
    rmse    = sqrt(mean((p - t) ** 2))        [m]
    log10   = mean(|log10 p - log10 t|)

Each figure is taken per picture; `mean_errors` averages pictures, so that each counts alike.
"""

import numpy as np

from fgbg_depth.errors import DataError

MIN_DEPTH_M = 0.1  # nearest depth that DenseDepth tells apart: raw 100
MAX_DEPTH_M = 10.0  # farthest one: raw 1
RING_INNER_PX, RING_OUTER_PX = 3, 14  # the ring around a cut-out: beyond its soft edge, and about a leg's width
ERROR_NAMES = ("delta1", "delta2", "delta3", "abs_rel", "rmse_m", "log10")


def valid_pixels(true_m):
    """Pixels that count: finite and in 0.1 .. 10 m, both ends included.

    Args:
        true_m: (H, W) float [m].

    Returns:
        (H, W) bool.
    """
    true_m = np.asarray(true_m)
    return np.isfinite(true_m) & (true_m >= MIN_DEPTH_M) & (true_m <= MAX_DEPTH_M)


def depth_errors(pred_m, true_m, align_median=False):
    """Errors of one predicted map against the true one.

    Args:
        pred_m: (H, W) float [m], finite and above 0; clipped to 0.1 .. 10 m here.
        true_m: (H, W) float [m]; pixels outside 0.1 .. 10 m are left out.
        align_median: scale the prediction first by median(true) / median(pred) over the valid pixels. It shows what
            remains once the scale is given, which one picture without its field of view can't tell fully.

    Returns:
        dict of floats: delta1, delta2, delta3, abs_rel, rmse_m, log10.

    Raises:
        DataError: the shapes differ, no pixel is valid, or the prediction isn't finite and positive.
    """
    pred_m, true_m = np.asarray(pred_m, np.float64), np.asarray(true_m, np.float64)
    if pred_m.shape != true_m.shape:
        raise DataError(f"predicted depth is {pred_m.shape}, true depth {true_m.shape}; they must be equal: resample first")
    valid = valid_pixels(true_m)
    if not valid.any():
        raise DataError(f"no pixel of the true depth lies in {MIN_DEPTH_M} .. {MAX_DEPTH_M} m; is it in metres?")
    p, t = pred_m[valid], true_m[valid]
    if not (np.isfinite(p).all() and (p > 0).all()):
        raise DataError("predicted depth holds values that are NaN, infinite, 0 or negative; metres above 0 are expected")
    if align_median:
        p = p * (np.median(t) / np.median(p))
    p = np.clip(p, MIN_DEPTH_M, MAX_DEPTH_M)
    ratio = np.maximum(p / t, t / p)
    return {
        "delta1": float(np.mean(ratio < 1.25)),
        "delta2": float(np.mean(ratio < 1.25**2)),
        "delta3": float(np.mean(ratio < 1.25**3)),
        "abs_rel": float(np.mean(np.abs(p - t) / t)),
        "rmse_m": float(np.sqrt(np.mean((p - t) ** 2))),
        "log10": float(np.mean(np.abs(np.log10(p / t)))),
    }


def mean_errors(errors):
    """Mean of each figure over pictures.

    Args:
        errors: list of dicts with equal keys, one per picture; not empty.

    Returns:
        dict of floats with the same keys.
    """
    if not errors:
        raise DataError("no picture was measured; the list of errors is empty")
    return {name: float(np.mean([e[name] for e in errors])) for name in errors[0]}


def ring_around(mask, inner_px=RING_INNER_PX, outer_px=RING_OUTER_PX):
    """Pixels from `inner_px` to `outer_px` beyond a mask's edge (square neighbourhood, inside the picture).

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) bool, disjoint from the mask.
    """
    return _grow(mask, outer_px) & ~_grow(mask, inner_px - 1)


def person_scores(composite_m, background_m, mask):
    """Whether a pasted person came out nearer than what is behind.

    Args:
        composite_m: (H, W) float [m], depth predicted for the composite.
        background_m: (H, W) float [m], depth predicted for the same background without the person.
        mask: (H, W) bool, where the person is; not empty.

    Returns:
        dict: `before_wall` (bool): the median over the mask in the composite is less than the median of the background's
        own prediction over the same pixels; `before_ring` (bool): it is less than the composite's median over the ring
        around the mask; `ratio` (float): person's median over the background's, below 1 is nearer; `outline` (float): how
        well the person's edges in the map follow the cut-out, see `outline_iou`.

    Raises:
        DataError: the mask is empty or fills the picture, so that nothing can be compared.
    """
    mask = np.asarray(mask, bool)
    ring = ring_around(mask)
    if not mask.any() or not ring.any():
        raise DataError(f"the mask covers {int(mask.sum())} of {mask.size} pixels; a person and a surrounding are needed")
    person = float(np.median(composite_m[mask]))
    wall = float(np.median(background_m[mask]))
    return {
        "before_wall": person < wall,
        "before_ring": person < float(np.median(composite_m[ring])),
        "ratio": person / wall,
        "outline": outline_iou(composite_m, background_m, mask),
    }


def outline_iou(composite_m, background_m, mask):
    """How well what came nearer has the shape of the cut-out.

    A pixel came nearer if the logarithm of its depth fell by more than half of the median fall over the mask; pixels up to
    RING_OUTER_PX beyond the mask are looked at. Blurred edges, lost arms and a halo all make it smaller.

    Args:
        composite_m, background_m, mask: as `person_scores` has them.

    Returns:
        intersection over union of these pixels and the mask, in [0, 1]; 0 when the person didn't come nearer at all.
    """
    fall = np.log(background_m) - np.log(composite_m)
    level = float(np.median(fall[mask])) / 2
    if level <= 0:
        return 0.0
    nearer = (fall > level) & _grow(mask, RING_OUTER_PX)
    return float((nearer & mask).sum() / (nearer | mask).sum())


def _grow(mask, radius_px):
    """Dilate a (H, W) bool mask by a square of `radius_px` on all sides, one axis after the other."""
    for axis in (0, 1):
        counts = np.cumsum(mask, axis=axis)
        size = mask.shape[axis]
        high = np.minimum(np.arange(size) + radius_px, size - 1)
        low = np.arange(size) - radius_px - 1
        before = np.take(counts, np.maximum(low, 0), axis=axis)
        before = np.where(np.expand_dims(low < 0, 1 - axis), 0, before)
        mask = np.take(counts, high, axis=axis) - before > 0
    return mask
