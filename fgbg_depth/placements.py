"""Where the cut-outs go: a keyed choice of legal offsets for each cell (background, foreground, flip).

Candidate number j of a cell is drawn uniformly from its legal offsets by a keyed hash of (cell, j). A
candidate whose position is taken already, or whose visible mask is empty (possible only where the cut-out may hang over
the border), is passed over; the k-th that remains is placement k. So every choice of distinct offsets is equally likely.
"""

import functools

import numpy as np

from .errors import PlanError
from .keyed import counter_hash, first_occurrences, unit_interval
from .resize import contained_size

SPARE_CANDIDATES = 4  # drawn beyond the placements at first; few are passed over
MAX_CANDIDATES = 100  # blocks of candidates per cell before a drawn size is given up: far more than chance needs


def legal_offsets(width, height, image_size, overhang):
    """Every offset at which a box may lie, row by row.

    Args:
        width, height: of the box [pixels].
        image_size: side of the canvas [pixels].
        overhang: largest part of the box's area that may leave the canvas, [0, 1).

    Returns:
        (N, 2) int32 x, y; borders included; N = 0 when the box doesn't fit.
    """
    xs, ys = np.arange(1 - width, image_size), np.arange(1 - height, image_size)
    inside_x = np.minimum(xs + width, image_size) - np.maximum(xs, 0)
    inside_y = np.minimum(ys + height, image_size) - np.maximum(ys, 0)
    # A hair of slack: 0.25 of an area must mean a quarter, whatever 1 - 0.25 rounds to.
    legal = inside_y[:, None] * inside_x[None, :] >= (1 - overhang) * width * height - 1e-9 * width * height
    rows, columns = np.nonzero(legal)
    return np.stack([xs[columns], ys[rows]], axis=1).astype(np.int32)


def placed_size(recipe, asset, draw=None):
    """(width, height) of a cut-out on the canvas [pixels]; `draw` in [0, 1) chooses it where the recipe has a scale."""
    if recipe.scale is None:
        if recipe.foreground_fit == "stretch":
            return recipe.foreground_size
        return contained_size(asset.width, asset.height, *recipe.foreground_size)
    low, high = recipe.scale
    side = max(1, round((low + (high - low) * float(draw)) * recipe.image_size))
    if recipe.foreground_fit == "stretch":
        box_width, box_height = recipe.foreground_size
        return contained_size(box_width, box_height, side, side)
    return contained_size(asset.width, asset.height, side, side)


def place_cells(recipe, cells, foregrounds, placed_alpha):
    """Placement boxes of all cells.

    Args:
        recipe: config.Recipe.
        cells: columns "foreground" (positions), "flip" (0 or 1) and "key" (uint64), of one length.
        foregrounds: PlanAssets by position.
        placed_alpha: see plan.make_plan.

    Returns:
        (cells, placements, 4) int32 x, y, width, height [pixels].

    Raises:
        PlanError: a cell has fewer legal, visible offsets than placements.
    """
    legal_of = functools.cache(lambda size: legal_offsets(*size, recipe.image_size, recipe.overhang))
    out = np.empty((cells["key"].size, recipe.placements, 4), np.int32)
    for f, asset in enumerate(foregrounds):
        for flip in (0, 1):
            mine = np.flatnonzero((cells["foreground"] == f) & (cells["flip"] == flip))
            if mine.size == 0:
                continue
            empty_of = functools.cache(lambda size, f=f, flip=flip: _emptiness(recipe, placed_alpha, f, flip, size))
            place = _place_fixed if recipe.scale is None else _place_scaled
            out[mine] = place(recipe, cells["key"][mine], asset, legal_of, empty_of)
    return out


def _place_fixed(recipe, keys, asset, legal_of, empty_of):
    """Placements of the cells of one cut-out at one size: (cells, placements, 4) int32."""
    need, size = recipe.placements, placed_size(recipe, asset)
    legal, empty_at = legal_of(size), empty_of(size)
    _enough(int(np.sum(~empty_at(legal))), recipe, asset, size)
    boxes = np.empty((keys.size, need, 4), np.int32)
    boxes[..., 2:] = size
    todo, count = np.arange(keys.size), need + SPARE_CANDIDATES
    while todo.size:
        index = (counter_hash(keys[todo, None], 2 * np.arange(count) + 1) % np.uint64(len(legal))).astype(np.int64)
        good = first_occurrences(index) & ~empty_at(legal[index])
        rank = np.cumsum(good, axis=1) - 1
        enough = rank[:, -1] >= need - 1
        cell, j = np.nonzero(good & (rank < need) & enough[:, None])
        boxes[todo[cell], rank[cell, j], :2] = legal[index[cell, j]]
        todo, count = todo[~enough], 2 * count
    return boxes


def _place_scaled(recipe, keys, asset, legal_of, empty_of):
    """Placements of the cells of one cut-out whose sizes are drawn: (cells, placements, 4) int32."""
    boxes = np.empty((keys.size, recipe.placements, 4), np.int32)
    block = recipe.placements + SPARE_CANDIDATES
    for cell, key in enumerate(keys):
        taken, start = {}, 0  # {(x, y): box} in the order of k
        while len(taken) < recipe.placements:
            if start > MAX_CANDIDATES * block:
                _enough(len(taken), recipe, asset, recipe.scale)
            draws = counter_hash(key, np.arange(2 * start, 2 * (start + block)))
            for size_draw, offset_draw in zip(unit_interval(draws[0::2]).tolist(), draws[1::2].tolist(), strict=True):
                size = placed_size(recipe, asset, size_draw)
                legal = legal_of(size)
                if len(legal) == 0 or len(taken) == recipe.placements:
                    continue
                offset = legal[offset_draw % len(legal)]
                if tuple(offset.tolist()) not in taken and not empty_of(size)(offset):
                    taken[tuple(offset.tolist())] = (*offset.tolist(), *size)
            start += block
        boxes[cell] = list(taken.values())
    return boxes


def _never_empty(offsets):
    return np.zeros(offsets.shape[:-1], bool)


def _emptiness(recipe, placed_alpha, f, flip, size):
    """A function (..., 2) offsets -> bool, "no mask pixel is on the canvas"."""
    if recipe.overhang == 0 and recipe.scale is None:
        return _never_empty  # the whole cut-out is on the canvas; that it has mask pixels at all is checked with the assets
    if placed_alpha is None:
        raise ValueError("recipes with overhang or scale need placed_alpha")
    visible = placed_alpha(f, size) >= recipe.mask_threshold
    if not visible.any():
        return lambda offsets: np.ones(offsets.shape[:-1], bool)
    if recipe.overhang == 0:
        return _never_empty
    visible = visible[:, ::-1] if flip else visible
    summed = np.pad(visible.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    width, height = size

    def empty_at(offsets):
        x, y = offsets[..., 0], offsets[..., 1]
        left, right = np.clip(-x, 0, width), np.clip(recipe.image_size - x, 0, width)
        top, bottom = np.clip(-y, 0, height), np.clip(recipe.image_size - y, 0, height)
        return summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left] == 0

    return empty_at


def _enough(have, recipe, asset, size):
    if have < recipe.placements:
        raise PlanError(
            f"foreground {asset.id!r} at {tuple(size)} has {have} legal, visible offsets on a canvas of {recipe.image_size} px, "
            f"but placements = {recipe.placements}; lower `placements` or the cut-out's size, or raise `overhang`"
        )
