"""From light to a picture, and from metres to stored millimetres."""

import numpy as np

from fgbg_depth.errors import DataError

LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709, linear RGB to luminance
MIDDLE = 0.25  # luminance that the geometric mean of a picture is brought to before the curve
MAX_BRIGHT = 3.5  # luminance that the brightest 8 % may get: more of a window would burn out
MM_LIMIT = 65_535  # of 16 bits


def develop(linear, exposure):
    """A display picture with automatic exposure and a filmic curve.

    The curve is Narkowicz's fit of the ACES film curve ("ACES Filmic Tone Mapping Curve", 2016).

    Args:
        linear: (H, W, 3) float, linear RGB, not negative.
        exposure: factor on the automatic exposure; 1 is usual.

    Returns:
        (H, W, 3) uint8 sRGB (gamma 2.2).
    """
    luminance = linear @ LUMA
    mean = float(np.exp(np.log(np.clip(luminance, 1e-4, None)).mean()))
    gain = min(MIDDLE / mean, MAX_BRIGHT / max(float(np.percentile(luminance, 92)), 1e-3))
    x = np.clip(linear, 0, None) * gain * exposure
    y = np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    return (y ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def depth_to_mm(depth_m):
    """Depth as it is stored.

    Args:
        depth_m: (H, W) [m].

    Returns:
        (H, W) uint16 [mm], rounded.

    Raises:
        DataError: a value isn't positive and finite, or doesn't fit into 16 bits.
    """
    depth_mm = np.round(np.asarray(depth_m, np.float64) * 1000)
    if not (np.isfinite(depth_mm).all() and depth_mm.min() >= 1 and depth_mm.max() <= MM_LIMIT):
        low, high = np.nanmin(depth_m), np.nanmax(depth_m)
        raise DataError(f"depth of {low:.3f} to {high:.3f} m can't be stored; expected 0.001 to {MM_LIMIT / 1000} m everywhere")
    return depth_mm.astype(np.uint16)
