"""From log-odds of "this pixel is wanted" to a cut-out: soft alpha, cleaned edge colours, trimmed to what is visible. Pure."""

import cv2
import numpy as np

CLEAR_BELOW, OPAQUE_ABOVE = 0.05, 0.95  # [probability] a network is never quite sure: what lies outside becomes 0 or 1, evenly stretched
SURE = 0.5  # [probability] from which a pixel counts as found
LEAST_PART = 0.001  # of the photo: less is noise, not a person
RADII = (0.09, 0.025)  # of the two passes that estimate the foreground's colour [part of the longer side]
POWER = 4  # of the weights: pixels that are nearly sure count most, so that little of the other side gets into an average
EPSILON = 1e-6  # of a weight: where nothing sure is near, the average is black and the photo's own colour decides


def alpha_of(log_odds):
    """Soft alpha of log-odds.

    Args:
        log_odds: (H, W) float32.

    Returns:
        (H, W) float32, 0..1: the probability, stretched so that 0.05 becomes 0 and 0.95 becomes 1.
    """
    probability = 1 / (1 + np.exp(-np.clip(log_odds.astype(np.float32), -30, 30)))
    return np.clip((probability - CLEAR_BELOW) / (OPAQUE_ABOVE - CLEAR_BELOW), 0, 1)


def largest_piece(alpha):
    """Alpha with all but the largest connected piece cleared; pieces are joined where alpha is above zero."""
    count, labels = cv2.connectedComponents((alpha > 0).astype(np.uint8))
    if count <= 2:
        return alpha
    mass = np.bincount(labels.ravel(), alpha.ravel().astype(np.float64), count)
    mass[0] = 0
    return np.where(labels == mass.argmax(), alpha, 0).astype(np.float32)


def why_nothing(alpha):
    """Why an alpha makes no cut-out, "" when it does."""
    found = float((alpha >= SURE).mean())
    if found < LEAST_PART:
        return f"nothing was found: {found:.3%} of the photo, the largest alpha is {alpha.max():.2f}"
    if alpha.min() > 0:
        return "all of the photo was found: that would be a rectangle, no cut-out"
    return ""


def clean_colours(rgb, alpha):
    """Estimate the foreground's own colour where alpha is soft, so that no fringe of the old background comes along.

    Blurred fusion after M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: foreground and background are averaged
    near each pixel, weighted by alpha and by its complement (here by their fourth powers); what the photo differs from the mixture
    of the two is put on the foreground. Two passes, wide and narrow.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32, 0..1.

    Returns:
        (H, W, 3) uint8 RGB; unchanged where alpha is 1, black where it is 0.
    """
    photo, weight = rgb.astype(np.float32), alpha[..., None].astype(np.float32)
    of_front, of_back = weight**POWER, (1 - weight) ** POWER
    front = back = photo
    for radius in RADII:
        side = 2 * max(1, round(radius * max(alpha.shape))) + 1

        def blurred(plane, side=side):
            return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT).reshape(*alpha.shape, -1)

        mean_front = blurred(front * of_front) / (blurred(of_front) + EPSILON)
        mean_back = blurred(back * of_back) / (blurred(of_back) + EPSILON)
        front = np.clip(mean_front + weight * (photo - weight * mean_front - (1 - weight) * mean_back), 0, 255)
        back = mean_back
    front = np.where(weight == 1, photo, front)
    return np.where(weight == 0, 0, np.rint(front)).astype(np.uint8)


def cut(rgb, alpha, margin_px=2, keep_size=False):
    """A cut-out of a photo.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32, 0..1, somewhere above zero.
        margin_px: clear pixels that stay around what is visible, as far as the photo goes.
        keep_size: leave it as large as the photo.

    Returns:
        (h, w, 4) uint8 RGBA, straight alpha.
    """
    alpha8 = np.rint(alpha * 255).astype(np.uint8)
    box = _box(alpha8, round(RADII[0] * max(alpha8.shape)))  # what is farther away has no say in the colours
    rgba = np.zeros((*alpha8.shape, 4), np.uint8)
    rgba[box] = np.dstack([clean_colours(rgb[box], alpha8[box] / np.float32(255)), alpha8[box]])
    return rgba if keep_size else np.ascontiguousarray(rgba[_box(alpha8, margin_px)])


def _box(alpha8, margin_px):
    """Slices of rows and columns around what is visible, as far as the array goes."""
    rows, columns = np.flatnonzero(alpha8.any(axis=1)), np.flatnonzero(alpha8.any(axis=0))
    return tuple(slice(max(0, side[0] - margin_px), side[-1] + 1 + margin_px) for side in (rows, columns))
