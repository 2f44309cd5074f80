"""The statistics that the set of 2020 was published with, and how a set compares with them."""

from typing import NamedTuple

# As its README gave them, in 0 to 1: R, G, B of the composites, the masks, the depth maps.
PUBLISHED = {
    "image R": (0.6045, 0.2815),
    "image G": (0.5874, 0.2813),
    "image B": (0.5730, 0.2814),
    "mask": (0.0563, 0.2252),
    "depth": (0.3743, 0.1962),
}
ROWS, ASSETS, SIDE_PX = 400_000, 100, 224


class Compared(NamedTuple):
    """One column: what was published and what is counted here."""

    column: str
    published_mean: float
    mean: float
    published_std: float
    std: float


def is_that_set(rows, backgrounds, foregrounds, side_px):
    """True when the numbers of a set are those of the set of 2020."""
    return (rows, backgrounds, foregrounds, side_px) == (ROWS, ASSETS, ASSETS, SIDE_PX)


def compare(summary):
    """Compare statistics with the published ones.

    Args:
        summary: {column: {"mean", "std", ...}} as one split of stats.json has it.

    Returns:
        list of Compared; depth only where the set has it.
    """
    values = {f"image {c}": (summary["image"]["mean"][i], summary["image"]["std"][i]) for i, c in enumerate("RGB")}
    values |= {name: (summary[name]["mean"], summary[name]["std"]) for name in ("mask", "depth") if name in summary}
    return [Compared(name, PUBLISHED[name][0], mean, PUBLISHED[name][1], std) for name, (mean, std) in values.items()]


def table(compared):
    """The comparison as lines of text."""
    lines = [f"{'column':<8}  {'mean 2020':>9}  {'here':>7}  {'differ':>7}  {'std 2020':>9}  {'here':>7}  {'differ':>7}"]
    for c in compared:
        means = f"{c.published_mean:>9.4f}  {c.mean:>7.4f}  {c.mean - c.published_mean:>+7.4f}"
        lines.append(f"{c.column:<8}  {means}  {c.published_std:>9.4f}  {c.std:>7.4f}  {c.std - c.published_std:>+7.4f}")
    return lines
