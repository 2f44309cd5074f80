"""Exact statistics: integer histograms of the decoded stored pixels, merged without error.

One `Tally` belongs to one shard; its numbers are whole, so the sum of all shards' tallies is the tally of the set, in
any order. Means, deviations and quantiles come from the sums at the very end, in exact rational arithmetic. Values
are in [0, 1], as torchvision's ToTensor gives them; metres are counted in bins of 1 mm.
"""

import base64
import json
import lzma
import math
from fractions import Fraction

import cv2
import numpy as np

LEVELS = 256
HEATMAP_CELLS = 28  # side of the placement heat map
AREA_BINS = 100  # bins of 1 % of the canvas
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
METRE_BIN_M = Fraction(1, 1000)
METRE_PLOT_BINS_MM = 50  # stats.json shows metres in bins of 5 cm; the footers keep each millimetre
_ONCE = np.ones(1, np.int64)
CONSOLIDATE_AT = 1 << 18  # sparse entries that are kept before equal bins are added up (4 MB)


class Sparse:
    """Counts of integers of any size, such as millimetres; most are zero."""

    def __init__(self, bins=(), counts=()):
        self._bins, self._counts = [np.asarray(bins, np.int64)], [np.asarray(counts, np.int64)]
        self._pending = 0

    def add(self, bins, counts):
        self._bins.append(bins[counts > 0])
        self._counts.append(counts[counts > 0])
        self._pending += len(bins)
        if self._pending > CONSOLIDATE_AT:
            self.items()

    def take(self, bins, counts):
        """Take counts out again; ValueError when they aren't all there."""
        mine, left = self.items()
        at = np.searchsorted(mine, bins)
        if np.any(at >= mine.size) or np.any(mine[at] != bins):
            raise ValueError("a tally holds values that the whole doesn't have")
        left = left.copy()
        left[at] -= counts
        if np.any(left < 0):
            raise ValueError("a tally counts more than the whole")
        self._bins, self._counts = [mine[left > 0]], [left[left > 0]]

    def items(self):
        """(bins, counts): ascending int64 bins without repeats, counts above zero."""
        bins, inverse = np.unique(np.concatenate(self._bins), return_inverse=True)
        counts = np.zeros(bins.size, np.int64)
        np.add.at(counts, inverse, np.concatenate(self._counts))
        self._bins, self._counts, self._pending = [bins], [counts], 0
        return bins, counts


class Tally:
    """Whole-number statistics of some rows; everything else is computed from them.

    Attributes:
        rows: number of rows.
        image, image_inside: (3, 256) int64, levels of R, G, B; of all pixels, and of those inside the mask.
        mask: (256,) int64.
        depth, depth_inside: Sparse over stored levels (0..255, or 0..65535 for "metric16").
        metres, metres_inside: Sparse over millimetres; empty without metric depth.
        area: Sparse over the number of mask pixels of a row.
        heat: (28, 28) int64, mask pixels in each cell of the canvas.
        size: side of the canvas [pixels]; 0 as long as there is no row.

    A pixel is inside the mask where mask >= the recipe's threshold (binary masks: where it is 255).
    """

    ARRAYS = ("image", "image_inside", "mask", "heat")
    SPARSE = ("depth", "depth_inside", "metres", "metres_inside", "area")

    def __init__(self):
        self.rows = self.size = self.full_scale = 0
        self.image, self.image_inside = np.zeros((3, LEVELS), np.int64), np.zeros((3, LEVELS), np.int64)
        self.mask = np.zeros(LEVELS, np.int64)
        self.heat = np.zeros((HEATMAP_CELLS, HEATMAP_CELLS), np.int64)
        self._heat_px = None
        for name in self.SPARSE:
            setattr(self, name, Sparse())

    def add(self, image, mask, inside, depth=None, millimetres=None, box=None):
        """Count one row.

        Args:
            image: (S, S, 3) uint8 RGB, decoded.
            mask: (S, S) uint8, decoded.
            inside: (S, S) uint8, not zero inside the mask.
            depth: (S, S) uint8 or uint16, decoded, or None.
            millimetres: (levels,) int64, whole millimetres at each level, or None for relative depth.
            box: x, y, width, height of the smallest box around `inside` [pixels], or None to look for it.
        """
        if self.size not in (0, mask.shape[0]):
            raise ValueError(f"rows of {mask.shape[0]} px and of {self.size} px in one tally")
        self.rows, self.size = self.rows + 1, mask.shape[0]
        box = _slices(cv2.boundingRect(inside) if box is None else box)  # nothing outside of it is inside the mask
        for channel in range(3):
            self.image[channel] += _count(image, channel)
            self.image_inside[channel] += _count(image[box], channel, inside[box])
        part = mask[box if inside is mask else _slices(cv2.boundingRect(mask))]
        self.mask += _count(part, 0)
        self.mask[0] += mask.size - part.size
        self.area.add(np.array([cv2.countNonZero(inside[box])]), _ONCE)
        if self._heat_px is None:
            self._heat_px = np.zeros(mask.shape, np.int64)
        self._heat_px[box] += inside[box] > 0
        if depth is not None:
            self._add_depth(depth, depth[box], inside[box], millimetres)

    def _add_depth(self, depth, part, inside, millimetres):
        full_scale = int(np.iinfo(depth.dtype).max)
        if self.full_scale not in (0, full_scale):
            raise ValueError("depth maps of 8 and of 16 bits in one tally")
        self.full_scale = full_scale
        for suffix, array, mask in (("", depth, None), ("_inside", part, inside)):
            if full_scale < LEVELS:
                levels, counts = np.arange(LEVELS), _count(array, 0, mask)
            else:
                levels, counts = np.unique(array if mask is None else array[mask > 0], return_counts=True)
                levels = levels.astype(np.int64)
            getattr(self, "depth" + suffix).add(levels, counts)
            if millimetres is not None:
                getattr(self, "metres" + suffix).add(millimetres[levels], counts)

    def _settle(self):
        """Bring the pixel-wise heat sums into the 28 x 28 cells; pixel p of S belongs to cell p * 28 // S."""
        if self._heat_px is not None:
            cell = np.arange(self.size) * HEATMAP_CELLS // self.size
            np.add.at(self.heat, (cell[:, None], cell[None, :]), self._heat_px)
            self._heat_px = None

    def merge(self, other):
        """Add another tally to this one; returns self."""
        if self.rows and other.rows and (self.size, self.full_scale) != (other.size, other.full_scale):
            raise ValueError("tallies of unlike sets can't be merged")
        self._settle()
        other._settle()
        self.rows += other.rows
        self.size, self.full_scale = self.size or other.size, self.full_scale or other.full_scale
        for name in self.ARRAYS:
            getattr(self, name).__iadd__(getattr(other, name))
        for name in self.SPARSE:
            getattr(self, name).add(*getattr(other, name).items())
        return self

    def take(self, part):
        """Take the rows of another tally, which were counted in this one, out again; returns self.

        Raises:
            ValueError: they weren't.
        """
        self._settle()
        part._settle()
        if part.rows and (self.size, self.full_scale) != (part.size, part.full_scale):
            raise ValueError("tallies of unlike sets can't be taken apart")
        self.rows -= part.rows
        for name in self.ARRAYS:
            getattr(self, name).__isub__(getattr(part, name))
        if self.rows < 0 or any(np.any(getattr(self, name) < 0) for name in self.ARRAYS):
            raise ValueError("a tally counts more than the whole")
        for name in self.SPARSE:
            getattr(self, name).take(*getattr(part, name).items())
        return self

    # --- as text in a footer ---

    def to_text(self):
        """A short ASCII text that `from_text` reads back exactly; equal tallies give equal texts."""
        self._settle()
        parts = [np.array([self.rows, self.size, self.full_scale])]
        parts += [getattr(self, name).ravel() for name in self.ARRAYS]
        for name in self.SPARSE:
            bins, counts = getattr(self, name).items()
            parts += [np.array([bins.size]), np.diff(bins, prepend=0), counts]
        return base64.b85encode(_pack(np.concatenate(parts))).decode()

    @classmethod
    def from_text(cls, text):
        """Read what `to_text` wrote; ValueError when it is damaged."""
        try:
            numbers = _unpack(base64.b85decode(text))
            tally, at = cls(), 3
            tally.rows, tally.size, tally.full_scale = (int(v) for v in numbers[:3])
            for name in cls.ARRAYS:
                shape = getattr(tally, name).shape
                setattr(tally, name, numbers[at : at + math.prod(shape)].reshape(shape).copy())
                at += math.prod(shape)
            for name in cls.SPARSE:
                count = int(numbers[at])
                bins, counts = numbers[at + 1 : at + 1 + count], numbers[at + 1 + count : at + 1 + 2 * count]
                setattr(tally, name, Sparse(np.cumsum(bins), counts))
                at += 1 + 2 * count
        except (ValueError, IndexError, lzma.LZMAError) as error:
            raise ValueError(f"the statistics in a footer can't be read: {error}") from error
        if at != numbers.size:
            raise ValueError(f"the statistics in a footer have {numbers.size} numbers, expected {at}")
        return tally

    def __eq__(self, other):
        return isinstance(other, Tally) and self.to_text() == other.to_text()

    __hash__ = None


def _slices(box):
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)


def _count(array, channel, mask=None):
    """Exact 256-bin histogram of one channel; float32 counts are whole below 2**24 pixels."""
    if array.size == 0:
        return np.zeros(LEVELS, np.int64)
    if array.shape[0] * array.shape[1] >= 1 << 24:
        values = array[..., channel] if array.ndim == 3 else array
        return np.bincount(values[mask > 0] if mask is not None else values.ravel(), minlength=LEVELS)
    return cv2.calcHist([array], [channel], mask, [LEVELS], [0, LEVELS]).reshape(-1).astype(np.int64)


def _pack(numbers):
    """Compress int64 numbers: first the lowest byte of each, then the next, as the high ones are nearly all zero."""
    planes = numbers.astype("<i8").view(np.uint8).reshape(-1, 8).T
    return lzma.compress(planes.tobytes(), preset=6)


def _unpack(data):
    planes = np.frombuffer(lzma.decompress(data), np.uint8).reshape(8, -1)
    return np.ascontiguousarray(planes.T).view("<i8")[:, 0].astype(np.int64)


# --- from whole numbers to statistics -------------------------------------------------------------------------


def moments(bins, counts, unit):
    """Mean, population deviation, range and quantiles of counted values.

    Args:
        bins: ascending integers.
        counts: how often each occurs.
        unit: Fraction; the value of a bin is bin * unit.

    Returns:
        dict with mean, std, count, min, max and quantiles. A quantile is the smallest value that at least this part of
        all values doesn't exceed (numpy's "inverted_cdf"). Without a value, all but count are None.
    """
    occurring = [(int(b), int(c)) for b, c in zip(bins, counts, strict=True) if c]
    total = sum(c for _, c in occurring)
    if total == 0:
        return {"mean": None, "std": None, "count": 0, "min": None, "max": None, "quantiles": None}
    first = sum(b * c for b, c in occurring)
    second = sum(b * b * c for b, c in occurring)
    variance = Fraction(total * second - first * first, total * total) * unit * unit
    running = np.cumsum([c for _, c in occurring])
    at = {q: int(np.searchsorted(running, math.ceil(Fraction(str(q)) * total))) for q in QUANTILES}
    return {
        "mean": float(Fraction(first, total) * unit),
        "std": math.sqrt(variance),
        "count": total,
        "min": float(occurring[0][0] * unit),
        "max": float(occurring[-1][0] * unit),
        "quantiles": {str(q): float(occurring[i][0] * unit) for q, i in at.items()},
    }


def summarise(tally):
    """The statistics of one split, as in stats.json.

    Args:
        tally: Tally.

    Returns:
        {"image": ..., "mask": ..., and with depth "depth", "depth_m"}: each with mean, std, count, min, max, quantiles
        and a histogram; "image" holds three values each (R, G, B); "image", "depth" and "depth_m" also hold the
        same for "inside" and "outside" the mask; "mask" holds "area" and "placement_heatmap".
    """
    tally._settle()
    level = Fraction(1, LEVELS - 1)
    result = {"image": _image_summary(tally, level), "mask": _mask_summary(tally, level)}
    if tally.full_scale:
        result["depth"] = _sparse_summary(tally.depth, tally.depth_inside, Fraction(1, tally.full_scale))
        if tally.full_scale == LEVELS - 1:
            result["depth"]["histogram"] = _dense(*tally.depth.items(), LEVELS)
        bins, counts = tally.metres.items()
        if bins.size:
            result["depth_m"] = _sparse_summary(tally.metres, tally.metres_inside, METRE_BIN_M)
            plot = bins // METRE_PLOT_BINS_MM
            if int(plot[-1]) < 10_000:  # beyond 500 m a table of 5 cm bins helps nobody
                result["depth_m"]["histogram"] = _dense(plot, counts, int(plot[-1]) + 1)
                result["depth_m"]["histogram_bin_m"] = METRE_PLOT_BINS_MM / 1000
    return result


def _image_summary(tally, unit):
    def three(histograms):
        each = [moments(range(LEVELS), h, unit) for h in histograms]
        joined = {name: [one[name] for one in each] for name in each[0] if name not in ("count", "quantiles")}
        quantiles = {str(q): [one["quantiles"] and one["quantiles"][str(q)] for one in each] for q in QUANTILES}
        return {**joined, "count": each[0]["count"], "quantiles": quantiles}

    return {
        **three(tally.image),
        "inside": three(tally.image_inside),
        "outside": three(tally.image - tally.image_inside),
        "histogram": tally.image.tolist(),
    }


def _mask_summary(tally, unit):
    pixels = tally.size * tally.size
    bins, counts = tally.area.items()
    area = moments(bins, counts, Fraction(1, max(1, pixels)))
    area["histogram"] = _dense(np.minimum(bins * AREA_BINS // max(1, pixels), AREA_BINS - 1), counts, AREA_BINS)
    cell = np.bincount(np.arange(tally.size) * HEATMAP_CELLS // max(1, tally.size), minlength=HEATMAP_CELLS)
    cell_px = np.outer(cell, cell) * max(1, tally.rows)
    heat = tally.heat / np.maximum(cell_px, 1)
    return {
        **moments(range(LEVELS), tally.mask, unit),
        "histogram": tally.mask.tolist(),
        "area": area,
        "placement_heatmap": heat.tolist(),
    }


def _sparse_summary(everywhere, inside, unit):
    bins, counts = everywhere.items()
    inside_bins, inside_counts = inside.items()
    outside_counts = counts.copy()
    outside_counts[np.searchsorted(bins, inside_bins)] -= inside_counts
    return {
        **moments(bins, counts, unit),
        "inside": moments(inside_bins, inside_counts, unit),
        "outside": moments(bins, outside_counts, unit),
    }


def _dense(bins, counts, size):
    out = np.zeros(size, np.int64)
    np.add.at(out, bins, counts)
    return out.tolist()


def stats_json(tallies):
    """The text of stats.json.

    Args:
        tallies: {split: Tally} in the usual order of the splits.

    Returns:
        JSON text; "all" holds the splits together.
    """
    together = Tally()
    for tally in tallies.values():
        together.merge(tally)
    table = {split: summarise(tally) for split, tally in tallies.items()} | {"all": summarise(together)}
    return json.dumps(table, indent=1) + "\n"
