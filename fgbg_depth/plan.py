"""What will be made: splits of the assets, cells, placements, the order on disk, and the shards.

Everything is arithmetic on (seed, sha256 of the assets, flip, k); nothing here opens a picture. The rows of a
400,000-row set are a few numpy arrays. Assets are ordered by id, so the order of a directory never matters.
"""

from dataclasses import dataclass, field

import numpy as np

from .config import SPLIT_NAMES
from .dropped import Dropped, in_order
from .errors import PlanError
from .keyed import key64, permutation
from .placements import place_cells
from .schema import ALL_SPLITS

KEY_SEPARATOR = "__"  # ids never contain it
FIRST_BATCH = 0


@dataclass(frozen=True)
class PlanAsset:
    """What the plan has to know of an asset.

    Attributes:
        id, sha256, group: see assets.Asset.
        width, height: of the source picture [pixels].
        batch: number of the `generate` run that brought it.
        split: "train", "validation", "test", or "all" for an asset that every split uses.
    """

    id: str
    sha256: str
    group: str
    width: int
    height: int
    batch: int = FIRST_BATCH
    split: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one (batch, split) in their order on disk; arrays of one length.

    Attributes:
        batch, split: what the rows belong to.
        background, foreground: int32, positions in the plan's asset tuples.
        flipped: bool.
        placement: int32, k.
        box: (N, 4) int32, placement boxes x, y, width, height [pixels].
        planned: rows that were planned at first; those of dropped pictures have left the arrays. None when none have.
        place: (N,) int64, ascending: each row's number among those; None when none have left.
    """

    batch: int
    split: str
    background: np.ndarray
    foreground: np.ndarray
    flipped: np.ndarray
    placement: np.ndarray
    box: np.ndarray
    planned: int | None = None
    place: np.ndarray | None = None

    def __len__(self):
        return len(self.placement)


@dataclass(frozen=True)
class ShardPlan:
    """One data file: rows start..stop of its (batch, split).

    Attributes:
        place: (start, stop) among the rows that were planned before any was dropped; None when that is the same.
    """

    batch: int
    split: str
    index: int
    start: int
    stop: int
    place: tuple | None = None

    @property
    def name(self):
        """Path below the set's folder, such as data/train/b000-00017.parquet."""
        return f"data/{self.split}/b{self.batch:03d}-{self.index:05d}.parquet"

    @property
    def footer_range(self):
        """The numbers of its rows as the file's footer tells them: (start, stop), those of dropped rows among them."""
        return self.place or (self.start, self.stop)

    @property
    def dropped(self):
        """How many of those rows were dropped with their pictures; None for none, as footers have it."""
        start, stop = self.footer_range
        return stop - start - len(self) or None

    def __len__(self):
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Plan:
    """All rows of a set, or of some of its batches.

    Attributes:
        recipe: config.Recipe.
        backgrounds, foregrounds: tuples of PlanAsset, ordered by id.
        rows: {(batch, split): Rows}, batches ascending, splits in their usual order; no empty ones.
        left_out: {batch: number of cells that no split may have} (hold_out = "both").
        placement_digits: digits of k in the keys.
        emptied: {(batch, split): rows that were planned at first} where all of them were dropped with their pictures.
    """

    recipe: object
    backgrounds: tuple
    foregrounds: tuple
    rows: dict
    left_out: dict
    placement_digits: int = field(default=2)
    emptied: dict = field(default_factory=dict)

    @property
    def num_rows(self):
        return sum(len(rows) for rows in self.rows.values())

    def shards(self, batches=None):
        """The data files of some batches (default: all), in the order of their names."""
        return [
            shard
            for (batch, split), rows in self.rows.items()
            if batches is None or batch in batches
            for shard in _filled_shards(batch, split, rows, self.recipe)
        ]

    def emptied_shards(self):
        """The data files of which nothing is left, as they were planned at first."""
        cut = [shard for (batch, split), planned in self.emptied.items() for shard in cut_shards(batch, split, planned, self.recipe)]
        for (batch, split), rows in self.rows.items():
            left = {shard.index for shard in _filled_shards(batch, split, rows, self.recipe)}
            cut += [s for s in cut_shards(batch, split, rows.planned or len(rows), self.recipe) if s.index not in left]
        return cut

    def key(self, rows, i):
        """The sample key of row i: <background>__<foreground>__plain|flip__<k>."""
        parts = (
            self.backgrounds[rows.background[i]].id,
            self.foregrounds[rows.foreground[i]].id,
            "flip" if rows.flipped[i] else "plain",
            f"{rows.placement[i]:0{self.placement_digits}d}",
        )
        return KEY_SEPARATOR.join(parts)


def cut_shards(batch, split, num_rows, recipe):
    """Cut the rows of one (batch, split) into files.

    The first file of a split is small, so that the first streamed sample is cheap; later batches are read after
    it and need none.
    """
    first = recipe.first_shard_rows if batch == FIRST_BATCH else recipe.rows_per_shard
    borders = [0, *range(first, num_rows, recipe.rows_per_shard), num_rows]
    return [ShardPlan(batch, split, i, *borders[i : i + 2]) for i in range(len(borders) - 1)]


def _filled_shards(batch, split, rows, recipe):
    """The files of one (batch, split) that have rows; where some were dropped, the borders stay between the same rows."""
    if rows.place is None:
        return cut_shards(batch, split, len(rows), recipe)
    planned = cut_shards(batch, split, rows.planned, recipe)
    borders = np.searchsorted(rows.place, [0, *(shard.stop for shard in planned)]).tolist()
    shards = [ShardPlan(batch, split, s.index, *borders[i : i + 2], (s.start, s.stop)) for i, s in enumerate(planned)]
    return [shard for shard in shards if len(shard)]


# --- splits ---------------------------------------------------------------------------------------------------


def deal_splits(newcomers, settled, parts, seed, kind):
    """Give each new asset its split.

    Groups are ranked by a keyed hash and dealt in that order, each to the split that lacks most of its share of the
    newcomers; while there are no more groups left than empty splits, the empty ones come first. A newcomer of a
    known group joins that group's split.

    Args:
        newcomers: PlanAsset list without splits.
        settled: PlanAsset list of earlier batches; they keep their split for ever.
        parts: (train, validation, test), sum 1.
        seed: the recipe's.
        kind: "background" or "foreground"; their hashes differ.

    Returns:
        {asset id: split name}.

    Raises:
        PlanError: a first batch with fewer groups than splits.
    """
    known = {asset.group: asset.split for asset in settled}
    groups = {}
    for asset in newcomers:
        groups.setdefault(asset.group, []).append(asset)
    splits = [name for name, part in zip(SPLIT_NAMES, parts, strict=True) if part > 0]
    dealt = dict.fromkeys(splits, 0)
    chosen = {group: known[group] for group in groups if group in known}
    open_groups = [group for group in groups if group not in known]
    if len(open_groups) < len(splits) and not settled:
        raise PlanError(
            f"{len(open_groups)} groups of {kind}s can't fill {len(splits)} splits without sharing a scene; add {kind}s "
            f"of other groups, set parts of `splits` to 0, or choose another `hold_out`"
        )
    # Rank by the group's own content, so that neither ids nor file names decide.
    rank = {g: key64("split", seed, kind, *sorted(a.sha256 for a in groups[g])) for g in open_groups}
    total = sum(len(groups[group]) for group in open_groups)
    quota = {name: part * total for name, part in zip(SPLIT_NAMES, parts, strict=True) if part > 0}
    ranked = sorted(open_groups, key=lambda group: (rank[group], group))
    for position, group in enumerate(ranked):
        empty = [name for name in splits if dealt[name] == 0]
        choices = empty if len(ranked) - position <= len(empty) else splits
        split = max(choices, key=lambda name: (round(quota[name] - dealt[name], 6), -splits.index(name)))
        chosen[group] = split
        dealt[split] += len(groups[group])
    return {asset.id: chosen[asset.group] for asset in newcomers}


def assign_splits(recipe, backgrounds, foregrounds, settled_backgrounds=(), settled_foregrounds=()):
    """Splits of a batch's new backgrounds and foregrounds by the recipe's `hold_out`; see deal_splits.

    Returns:
        ({background id: split}, {foreground id: split}); "all" where every split uses the asset, "train" for both
        kinds when nothing is held out.
    """
    if recipe.hold_out == "none":
        return {a.id: SPLIT_NAMES[0] for a in backgrounds}, {a.id: SPLIT_NAMES[0] for a in foregrounds}
    of_background = deal_splits(backgrounds, settled_backgrounds, recipe.splits, recipe.seed, "background")
    if recipe.hold_out == "background":
        return of_background, {a.id: ALL_SPLITS for a in foregrounds}
    of_foreground = deal_splits(foregrounds, settled_foregrounds, recipe.splits, recipe.seed, "foreground")
    return of_background, of_foreground


# --- rows -----------------------------------------------------------------------------------------------------


def make_plan(recipe, backgrounds, foregrounds, placed_alpha=None, batches=None, dropped=None):
    """Plan all rows.

    Args:
        recipe: config.Recipe.
        backgrounds, foregrounds: PlanAssets of all batches, with splits.
        placed_alpha: function (foreground position, (width, height)) -> (height, width) uint8, the cut-out's alpha at
            that size, not mirrored; needed where a visible mask can be empty: with `overhang` or `scale`.
        batches: numbers of the batches that are wanted (default: all).
        dropped: dropped.Dropped, or None. Pictures that are gone have no rows, and all others stay in the order, and in the files, that
            they were planned for before.

    Returns:
        Plan.

    Raises:
        PlanError: a cell has fewer legal offsets than placements, or nothing would be made.
    """
    dropped = dropped or Dropped()
    backgrounds = tuple(sorted(backgrounds, key=lambda a: a.id))
    foregrounds = tuple(sorted(foregrounds, key=lambda a: a.id))
    sides = _Side.of(backgrounds, dropped.of("background")), _Side.of(foregrounds, dropped.of("foreground"))
    cells, left_out = _cells(recipe, *sides, batches)
    living = ~cells["gone"]
    cells["key"] = np.zeros(living.size, np.uint64)
    cells["key"][living] = _cell_keys(recipe.seed, _some_cells(cells, living), backgrounds, foregrounds)
    boxes = np.zeros((living.size, recipe.placements, 4), np.int32)
    boxes[living] = place_cells(recipe, _some_cells(cells, living), foregrounds, placed_alpha)
    rows, emptied = {}, {}
    for batch in np.unique(cells["batch"]):
        for code, split in enumerate(SPLIT_NAMES):
            chosen = np.flatnonzero((cells["batch"] == batch) & (cells["split"] == code))
            if chosen.size:
                found = _rows(recipe, int(batch), split, chosen, cells, boxes)
                if len(found):
                    rows[int(batch), split] = found
                else:
                    emptied[int(batch), split] = found.planned
    plan = Plan(recipe, backgrounds, foregrounds, rows, left_out, max(2, len(str(recipe.placements - 1))), emptied)
    if plan.num_rows == 0:
        raise PlanError("these assets give no rows: no background and foreground share a split")
    return plan


@dataclass(frozen=True, eq=False)
class _Side:
    """All pictures of one kind in the order of ids, those that are gone too; arrays of one length.

    Attributes:
        position: among those that are there; -1 when it is gone.
        split: code of the split, -1 for "all".
        batch: that brought it.
        until: the last batch that has cells of it.
    """

    position: np.ndarray
    split: np.ndarray
    batch: np.ndarray
    until: np.ndarray

    @classmethod
    def of(cls, assets, tombstones):
        code = {name: i for i, name in enumerate(SPLIT_NAMES)} | {ALL_SPLITS: -1}
        position = {asset.id: i for i, asset in enumerate(assets)}
        ordered = in_order(assets, tombstones)
        return cls(
            np.array([position.get(getattr(a, "id", None), -1) for a in ordered], np.int64),
            np.array([code[a.split] for a in ordered], np.int8),
            np.array([a.batch for a in ordered], np.int32),
            np.array([getattr(a, "until", _FOR_EVER) for a in ordered], np.int32),
        )


_FOR_EVER = np.iinfo(np.int32).max


def _cells(recipe, backgrounds, foregrounds, batches):
    """All cells that some split may have, as columns, and the number of cells left out per batch.

    Cells of pictures that are gone are among them, marked "gone": their rows had a place in the order.
    """
    flips = 2 if recipe.flips else 1
    shape = (len(backgrounds.batch), len(foregrounds.batch), flips)
    b, f, flip = (grid.ravel() for grid in np.meshgrid(*map(np.arange, shape), indexing="ij"))
    of_background, of_foreground = backgrounds.split[b], foregrounds.split[f]
    batch = np.maximum(backgrounds.batch[b], foregrounds.batch[f])
    wanted = np.isin(batch, list(batches)) if batches is not None else np.ones(batch.shape, bool)
    wanted &= batch <= np.minimum(backgrounds.until[b], foregrounds.until[f])
    background, foreground = backgrounds.position[b], foregrounds.position[f]
    gone = (background < 0) | (foreground < 0)
    shared = (of_foreground == of_background) | (of_foreground == -1)
    left_out = {int(n): int(np.sum(wanted & ~shared & ~gone & (batch == n))) for n in np.unique(batch[wanted])}
    keep = wanted & shared
    columns = {"background": background, "foreground": foreground, "flip": flip, "batch": batch, "split": of_background, "gone": gone}
    return {name: column[keep] for name, column in columns.items()}, left_out


def _some_cells(cells, chosen):
    return {name: column[chosen] for name, column in cells.items()}


def _cell_keys(seed, cells, backgrounds, foregrounds):
    names_b, names_f = [a.sha256 for a in backgrounds], [a.sha256 for a in foregrounds]
    triples = zip(cells["background"].tolist(), cells["foreground"].tolist(), cells["flip"].tolist(), strict=True)
    return np.array([key64("cell", seed, names_b[b], names_f[f], flip) for b, f, flip in triples], np.uint64)


def _rows(recipe, batch, split, chosen, cells, boxes):
    """Rows of some cells, permuted: reading them in order is well mixed. Those of pictures that are gone are left out."""
    count, planned, place = recipe.placements, None, None
    order = permutation(chosen.size * count, key64("order", recipe.seed, batch, split))
    gone = cells["gone"][chosen[order // count]]
    if gone.any():
        planned, place = order.size, np.flatnonzero(~gone)
        order = order[place]
    cell, k = chosen[order // count], (order % count).astype(np.int32)
    return Rows(
        batch,
        split,
        cells["background"][cell].astype(np.int32),
        cells["foreground"][cell].astype(np.int32),
        cells["flip"][cell].astype(bool),
        k,
        boxes[cell, k],
        planned,
        place,
    )
