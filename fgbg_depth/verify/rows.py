"""One data file, checked row by row: against the plan, its own pictures, its statistics, and the metadata table."""

import hashlib
from dataclasses import dataclass

import numpy as np

from .. import schema
from ..errors import CodecError
from ..produce import millimetres_of
from ..shards import Footer, left_out_entry
from ..stats import Tally
from ..studio import inside_of
from .findings import Findings
from .metadata_rows import MetadataRows
from .pictures import box_problems, decode_checked, level_problem, mask_problem, range_problems
from .recount import RANGES, tally_differences
from .tables import check_hash, group_starts, open_checked, read_group

TALLY_WORDS = "the footer's statistics are not those of its decoded rows"
PLANNED = ("key", "background", "foreground", "flipped", "placement", "placement_box")


@dataclass(frozen=True)
class ShardFacts:
    """What came out of one data file.

    Attributes:
        name: the file.
        split: the split of its folder.
        rows: rows that it has; 0 when it can't be opened.
        key_hashes: (rows,) uint64, of the keys that could be read, and their row numbers `key_rows`.
        backgrounds, foregrounds: ids of the assets that its rows use.
        findings: list of Finding.
        hash_good: as `tables.check_hash` says.
        suspects: columns whose statistics differ from the footer's.
    """

    name: str
    split: str
    rows: int
    key_hashes: np.ndarray
    key_rows: np.ndarray
    backgrounds: frozenset
    foregrounds: frozenset
    findings: list
    hash_good: bool | None
    suspects: tuple


def check_shard(basis, name, shard, say):
    """Check one data file.

    Args:
        basis: Basis.
        name: the file, below the set's folder.
        shard: its plan.ShardPlan, or None when there is no plan.
        say: function (rows), called after each row group.

    Returns:
        ShardFacts.
    """
    check = _ShardCheck(basis, name, shard)
    return check.run(say)


def shard_footer(basis, shard):
    """The Footer that a planned data file has, without statistics and versions."""
    numbers = (shard.batch, shard.split, shard.index, *shard.footer_range)
    rows = basis.plan.rows[shard.batch, shard.split]
    left_out = left_out_entry([basis.plan.key(rows, i) for i in basis.lacking.get(shard.name, ())])
    return Footer("default", *numbers, basis.digest, basis.lists[shard.batch], extra=left_out, dropped=shard.dropped)


def planned_values(plan, shard, part):
    """The planned columns of some rows of a data file.

    Args:
        plan: plan.Plan.
        shard: plan.ShardPlan.
        part: (N,) int64, rows of its (batch, split).

    Returns:
        {column: list of values} for PLANNED.
    """
    rows = plan.rows[shard.batch, shard.split]
    return {
        "key": [plan.key(rows, i) for i in part],
        "background": [plan.backgrounds[b].id for b in rows.background[part]],
        "foreground": [plan.foregrounds[f].id for f in rows.foreground[part]],
        "flipped": rows.flipped[part].tolist(),
        "placement": rows.placement[part].tolist(),
        "placement_box": [box if box[2] else None for box in rows.box[part].tolist()],  # no width: an imported row's, not known
    }


def key_hash(key):
    """64 bits of a key, to look for repeats in little memory; equal hashes are then compared as text."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


class _ShardCheck:
    def __init__(self, basis, name, shard):
        self._basis, self._name, self._shard = basis, name, shard
        self._held = basis.held(shard) if shard else None
        self._found, self._tally, self._counted = Findings(), Tally(), True
        self._hashes, self._hash_rows = [], []
        self._used = {"background": set(), "foreground": set()}

    def run(self, say):
        basis, name, suspects, rows = self._basis, self._name, (), 0
        hash_good = check_hash(basis, name, self._found)
        expected = shard_footer(basis, self._shard) if self._shard else None
        opened = open_checked(basis, name, "default", expected, basis.recipe.rows_per_group, self._found)
        if opened:
            table, footer = opened
            rows = table.metadata.num_rows
            with table:
                try:
                    self._check_groups(table, hash_good, say)
                except Exception as error:  # a damaged schema can turn any column into anything
                    self._found.add(name, f"its rows can't be checked: {type(error).__name__}: {error}")
                    self._counted = False
            suspects = self._check_tally(footer)
        elif self._shard:
            say(len(self._shard))
        return ShardFacts(
            name,
            name.split("/")[1],
            rows,
            np.array(self._hashes, np.uint64),
            np.array(self._hash_rows, np.int64),
            frozenset(self._used["background"]),
            frozenset(self._used["foreground"]),
            self._found.listed(),
            hash_good,
            suspects,
        )

    def _check_groups(self, table, hash_good, say):
        columns = list(schema.data_columns(self._basis.recipe.has_depth))
        metadata = MetadataRows(self._basis, self._shard) if self._shard else None
        starts = group_starts(table)
        for group, first in enumerate(starts[:-1]):
            values = read_group(table, self._name, group, first, columns, self._found)
            count = starts[group + 1] - first
            self._check_planned(values, first, count)
            self._remember(values, first)
            for i in range(count):
                self._check_row({column: listed[i] for column, listed in values.items()}, first + i)
            self._counted = self._counted and len(values) == len(columns)
            if metadata:
                metadata.compare(values, self._name, first, count, hash_good, self._found)
            say(count)
        if metadata:
            metadata.close()

    def _check_planned(self, values, first, count):
        if self._shard is None:
            return
        planned = planned_values(self._basis.plan, self._shard, self._held[first : first + count])
        strange = set()  # rows whose key is another's: their other columns are too
        for column in PLANNED:
            if column not in values or values[column] == planned[column]:
                continue
            for i, (found, expected) in enumerate(zip(values[column], planned[column], strict=False)):
                if found != expected and i not in strange:
                    self._found.add(self._name, f"is {found!r}, the plan has {expected!r} here", first + i, column)
                    if column == "key":
                        strange.add(i)

    def _remember(self, values, first):
        for i, key in enumerate(values.get("key", ())):
            if not isinstance(key, str):
                self._found.add(self._name, f"is {key!r}, expected a text", first + i, "key")
            else:
                self._hashes.append(key_hash(key))
                self._hash_rows.append(first + i)
        for kind, used in self._used.items():
            used.update(value for value in values.get(kind, ()) if isinstance(value, str))

    def _check_row(self, row, number):
        recipe, relative = self._basis.recipe, self._basis.relative
        pictures = {}
        for column in ("image", "mask", "depth"):
            if column in row:
                try:
                    pictures[column] = decode_checked(row[column], column, recipe)
                except CodecError as error:
                    self._found.add(self._name, str(error), number, column)
        problems = []
        mask, levels = pictures.get("mask"), pictures.get("depth")
        if mask is not None:
            words = mask_problem(mask, recipe)
            problems += [("mask", words)] if words else []
            problems += box_problems(mask, row.get("bbox"), row.get("mask_area"), recipe)
        ranges_good = all(name in row for name in RANGES)
        if ranges_good:
            of_range = range_problems(row["depth_min_m"], row["depth_max_m"], recipe, relative)
            problems, ranges_good = problems + of_range, not of_range
            if levels is not None and ranges_good:
                words = level_problem(levels, row["depth_min_m"], row["depth_max_m"], recipe)
                problems += [("depth", words)] if words else []
        for column, words in problems:
            self._found.add(self._name, words, number, column)
        whole = "image" in pictures and mask is not None and (not recipe.has_depth or (levels is not None and ranges_good))
        if whole:
            millimetres = millimetres_of(row, levels, relative)
            self._tally.add(pictures["image"], mask, inside_of(mask, recipe), levels, millimetres)
        self._counted = self._counted and whole

    def _check_tally(self, footer):
        """Compare the statistics in the footer with those just counted; returns the columns that differ."""
        try:
            stored = Tally.from_text(footer.tally)
        except ValueError as error:
            self._found.add(self._name, str(error))
            return ("rows",)
        if not self._counted:
            return ()  # some row is damaged, and named; the sum can't agree
        suspects = tally_differences(self._tally, stored)
        for column in suspects:
            self._found.add(self._name, TALLY_WORDS, None, None if column == "rows" else column)
        return tuple(suspects)
