"""Near-duplicates among pictures: a perceptual hash, and all pairs of pictures whose hashes are close.

The hash is the usual one by cosine transform (pHash: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010), larger than usual: the picture as 64 x 64 gray, its 16 x 16 lowest frequencies, one bit for each that is above
their median. Copies that were rescaled, recompressed, brightened or cropped by a few per cent keep most bits; distinct pictures
share half of them. Mirrored copies are found by the hash of the mirrored picture. Colour plays no part: a recoloured copy counts.

A cut-out is trimmed to what is visible and put on gray; its alpha gets a hash of its own, and both must be close. So neither
margins nor hidden colours matter, and two people of one outline aren't taken for one.

Sums are of integers and frequencies are rounded, so that a hash is the same on every machine.
"""

import functools
from typing import NamedTuple

import numpy as np

SIDE = 64  # cells per side of the small gray picture
FREQUENCIES = 16  # lowest frequencies per side, the constant one included
BITS = FREQUENCIES**2
# Largest distance [bits] of near-duplicates. Measured in docs/pictures.md: copies stay below, distinct pictures above 93.
MAX_DISTANCE = 72
ROUND_DIGITS = 6  # frequencies that cancel out exactly come out as 1e-13, of either sign
FLAT_LEVELS = 1.0  # largest frequency [8-bit levels, as `_frequencies` scales them] of a picture in which there is nothing to compare
_MIRROR = np.where(np.arange(FREQUENCIES) % 2, -1.0, 1.0)  # what mirroring does to the frequencies of a row
GROUND = 128  # gray behind a cut-out [8-bit levels]
BLOCK_ROWS = 1024  # pictures compared with all others at once: 40 MB for each of 10,000
MAX_PAIRS = 1000  # pairs that are kept; all are counted. A folder of film frames would give millions


class Near(NamedTuple):
    """Two pictures that are alike: their numbers, first < second, the distance [bits], whether one is mirrored."""

    first: int
    second: int
    distance: int
    mirrored: bool


def fingerprint(pixels):
    """Hash of a picture.

    Args:
        pixels: (H, W, 3) uint8 RGB, or (H, W, 4) uint8 RGBA with straight alpha.

    Returns:
        (2, P, 256) bool: of the picture and of the mirrored one; P = 1, or 2 with alpha: gray, alpha. None for a picture
        that is the same gray everywhere: there is nothing to compare.
    """
    gray = _gray(pixels)
    planes = [gray]
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3].astype(np.int32)
        rows, columns = (np.flatnonzero((2 * alpha >= max(alpha.max(), 1)).any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        seen = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        planes = [(gray * alpha + GROUND * (255 - alpha))[seen], alpha[seen]]
    found = [_frequencies(plane) for plane in planes]
    if len(planes) == 1 and np.abs(found[0].ravel()[1:]).max() < FLAT_LEVELS:
        return None
    return np.stack([[_bits(one * mirror) for one in found] for mirror in (1, _MIRROR)])


def near_pairs(prints, max_distance=MAX_DISTANCE, wanted=None):
    """All pairs of pictures that are alike.

    Args:
        prints: list of what `fingerprint` gave, None among them; all of one kind.
        max_distance: [bits].
        wanted: function (first, second) of two arrays of numbers to an array of bool: pairs that come first; or None.

    Returns:
        (pairs, count, count of wanted ones): list of Near, at most MAX_PAIRS, wanted ones first, then by distance and numbers; the
        numbers of all pairs.
    """
    numbers = np.array([i for i, one in enumerate(prints) if one is not None], np.int64)
    if len(numbers) < 2:
        return [], 0, 0
    signs = np.stack([prints[i] for i in numbers]).astype(np.float32) * 2 - 1  # (N, 2, P, 256), -1 and 1
    best, count, special = [], 0, 0
    for start in range(0, len(numbers), BLOCK_ROWS):
        rows = signs[start : start + BLOCK_ROWS, 0]
        plain, mirrored = (_distances(rows, signs[start:, way]) for way in (0, 1))
        distances = np.minimum(plain, mirrored)
        first, second = np.nonzero(np.triu(distances <= max_distance, 1))
        distance, is_mirrored = distances[first, second], (mirrored < plain)[first, second]
        first, second = numbers[start + first], numbers[start + second]
        chosen = np.zeros(len(first), bool) if wanted is None else wanted(first, second)
        count, special = count + len(first), special + int(chosen.sum())
        order = np.lexsort((second, first, distance, ~chosen))[:MAX_PAIRS]
        block = [(not chosen[i], int(distance[i]), int(first[i]), int(second[i]), bool(is_mirrored[i])) for i in order]
        best = sorted(best + block)[:MAX_PAIRS]
    return [Near(first, second, distance, mirrored) for _, distance, first, second, mirrored in best], count, special


def _distances(rows, others):
    """(M, P, 256) and (N, P, 256) of -1 and 1 to (M, N) float32: differing bits of the plane that differs most. Exact integers."""
    return np.stack([(BITS - rows[:, p] @ others[:, p].T) / 2 for p in range(rows.shape[1])]).max(axis=0)


def _gray(pixels):
    """Luma by the weights of ITU-R BT.601 in 256ths, (H, W) uint16, 0..255."""
    red, green, blue = (pixels[..., channel].astype(np.uint16) for channel in range(3))
    return (77 * red + 150 * green + 29 * blue + 128) >> 8  # at most 65,408: 16 bits do


def _frequencies(plane):
    """(16, 16) float64: the lowest frequencies of a plane of integers that is first averaged to 64 x 64 cells."""
    height, width = plane.shape
    cells = _cut(_cut(plane, height).T, width).T / (height * width)
    return np.round(_cosines() @ cells @ _cosines().T, ROUND_DIGITS)


def _cut(plane, side):
    """(side, N) integers to (64, N): 64 times the sums over 64 equal strips, whose borders may cut pixels. Exact."""
    if side < SIDE:
        times = -(-SIDE // side)
        return _cut(np.repeat(plane, times, axis=0), side * times) // times  # divides without a remainder
    whole, part = np.divmod(np.arange(SIDE) * side, SIDE)  # strip i begins at pixel whole[i], after part[i] / 64 of it
    before = part[:, None] * plane[whole].astype(np.int64)
    sums = SIDE * np.add.reduceat(plane, whole, axis=0, dtype=np.int64) - before
    sums[:-1] += before[1:]
    return sums


@functools.cache
def _cosines():
    """(16, 64): the first rows of the orthonormal cosine transform (type II), divided by 8 so that a constant stays what it is."""
    row, cell = np.mgrid[0:FREQUENCIES, 0:SIDE]
    waves = np.cos(np.pi * (2 * cell + 1) * row / (2 * SIDE)) * np.sqrt(2 / SIDE)
    waves[0] = np.sqrt(1 / SIDE)
    return waves / np.sqrt(SIDE)


def _bits(frequencies):
    values = frequencies.ravel()
    return values > np.median(values[1:])  # without the constant one, which is larger than all others
