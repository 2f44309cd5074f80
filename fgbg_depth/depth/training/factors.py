"""How much of a network's error in metres is one factor for the whole picture, and how much of that its lens and its room explain. Pure.

A picture doesn't say how wide its lens was: a near thing through a wide lens looks like a far one through a narrow lens. So the factor
of a view (median of predicted / true depth) is set against log tan(field of view / 2), which is what a pinhole camera gives for it.
"""

import numpy as np

from fgbg_depth.depth.training.metrics import depth_errors, valid_pixels
from fgbg_depth.errors import DataError

FEWEST_ROOMS = 3  # a line is fitted on all rooms but one


def factor_figures(names, predicted_m, true_m, lenses):
    """delta1 as it would be if a part of each view's factor were known.

    Args:
        names: list of "NNNNN_V": the room is what stands before the underscore.
        predicted_m, true_m: (N, H, W) float [m].
        lenses: {name: horizontal field of view [degrees]}.

    Returns:
        dict of floats: `deviation` of the log factor; `correlation` with log tan(field of view / 2), and `explained`, the share of its
        variance; delta1 as predicted (`metres`), and with known `lens` (a line fitted on the other rooms), `room` (its views' mean
        factor), `lens_and_room`, `view` (each one's own factor).

    Raises:
        DataError: a view has no lens, a lens is no angle, or there are too few rooms.
    """
    missing = [name for name in names if name not in lenses]
    if missing:
        raise DataError(f"{len(missing)} views have no field of view, first {missing[0]}; expected one for each view that is measured")
    degrees = np.array([lenses[name] for name in names], np.float64)
    if not ((degrees > 0) & (degrees < 180)).all():
        wrong = int(np.argmin((degrees > 0) & (degrees < 180)))
        raise DataError(f"{names[wrong]}: a field of view of {degrees[wrong]} degrees, expected more than 0 and less than 180")
    rooms = np.array([name.split("_")[0] for name in names])
    if len(set(rooms)) < FEWEST_ROOMS:
        raise DataError(f"{len(set(rooms))} rooms; expected at least {FEWEST_ROOMS}, as each is told by a line through the others")
    factor = np.array([_log_factor(p, t) for p, t in zip(predicted_m, true_m, strict=True)])
    wide = np.log(np.tan(np.radians(degrees) / 2))
    by_lens = _by_other_rooms(wide, factor, rooms)
    known = {
        "metres": np.zeros(len(names)),
        "lens": by_lens,
        "room": _room_means(factor, rooms),
        "lens_and_room": by_lens + _room_means(factor - by_lens, rooms),
        "view": factor,
    }
    figures = {"deviation": factor.std(), "correlation": np.corrcoef(factor, wide)[0, 1]}
    figures["explained"] = 1 - (factor - by_lens).var() / factor.var()
    for name, part in known.items():
        maps = zip(predicted_m, part, true_m, strict=True)
        figures[name] = np.mean([depth_errors(p * np.exp(-f), t)["delta1"] for p, f, t in maps])
    return {name: float(value) for name, value in figures.items()}


def _log_factor(predicted_m, true_m):
    valid = valid_pixels(true_m)
    return np.median(np.log(predicted_m[valid] / true_m[valid]))


def _room_means(values, rooms):
    return np.array([values[rooms == room].mean() for room in rooms])


def _by_other_rooms(x, y, rooms):
    """y of each view by the line that fits the views of all other rooms best (least squares)."""
    told = np.empty_like(y)
    for room in sorted(set(rooms)):
        others = rooms != room
        slope, start = np.polyfit(x[others], y[others], 1)
        told[~others] = slope * x[~others] + start
    return told
