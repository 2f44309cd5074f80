"""The plan of a set that was imported: its rows are those that were found, so they are read from its own tables.

A set made by `generate` can be planned anew from its source pictures. An imported one can't: its recipe's field `imported` says so, and
holds the digest of the tree that was read. Some of its pictures may have turned out to be unusable while a data file was made, so a
file's rows are known only when it is there; its footer counts them from 0.
"""

from dataclasses import dataclass, field

import numpy as np

from .asset_tables import KINDS
from .config import SPLIT_NAMES
from .errors import DataError
from .folders import as_folder
from .plan import FIRST_BATCH, Plan, Rows, ShardPlan
from .shards import find_tables, open_table

MODEL_NAME = "imported"  # stands for the depth model of a set whose maps were read from a tree
_COLUMNS = ("background", "foreground", "flipped", "placement", "placement_box")


class ImportedShard(ShardPlan):
    """One data file of an imported set; start and stop are its place among the rows of its split."""

    @property
    def footer_range(self):
        """Its footer was written when nobody knew the rows before it."""
        return 0, len(self)


@dataclass(frozen=True, eq=False)
class ImportedPlan(Plan):
    """Rows as they were found.

    Attributes:
        counts: {(batch, split): tuple of the number of rows of each data file}.
    """

    counts: dict = field(default_factory=dict)

    def shards(self, batches=None):
        """The data files, in the order of their names."""
        found = []
        for (batch, split), counts in self.counts.items():
            borders = np.cumsum([0, *counts]).tolist()
            if batches is None or batch in batches:
                found += [ImportedShard(batch, split, i, *borders[i : i + 2]) for i in range(len(counts))]
        return found


def read_plan(folder, recipe, assets, trusted=None, rows_of=None):
    """Read the rows of an imported set.

    Args:
        folder: the set's folder.
        recipe: config.Recipe.
        assets: {kind: PlanAssets}.
        trusted: function (path) -> True when a metadata table can be believed; its rows are then taken from it, else from the data
            files. None: there is no such table yet.
        rows_of: {data file: rows} as the manifest lists them, for files that can't be opened.

    Returns:
        ImportedPlan.

    Raises:
        DataError: a file can't be read, or a row names a picture that the set doesn't have.
    """
    folder, rows_of = as_folder(folder), rows_of or {}
    assets = {kind: tuple(sorted(assets[kind], key=lambda a: a.id)) for kind in KINDS}
    files = {split: [path for path in find_tables(folder, "default") if path.parent.name == split] for split in SPLIT_NAMES}
    rows, counts = {}, {}
    for split in (s for s in SPLIT_NAMES if files[s]):
        counts[FIRST_BATCH, split] = tuple(_count(path, folder, rows_of) for path in files[split])
        metadata = folder / "metadata" / split / f"b{FIRST_BATCH:03d}.parquet"
        sources = [metadata] if trusted and trusted(metadata) else files[split]
        rows[FIRST_BATCH, split] = _rows(split, sources, assets)
        if len(rows[FIRST_BATCH, split]) != sum(counts[FIRST_BATCH, split]):
            raise DataError(f"{sources[0]} has {len(rows[FIRST_BATCH, split]):,} rows, the data files {sum(counts[FIRST_BATCH, split]):,}")
    digits = max(2, len(str(recipe.placements - 1)))
    return ImportedPlan(recipe, *(assets[kind] for kind in KINDS), rows, {FIRST_BATCH: 0}, digits, counts=counts)


def _count(path, folder, rows_of):
    name = path.relative_to(folder).as_posix()
    if name in rows_of:
        return rows_of[name]
    with open_table(path) as table:
        return table.metadata.num_rows


def _rows(split, paths, assets):
    columns = {name: [] for name in _COLUMNS}
    position = {kind: {asset.id: i for i, asset in enumerate(assets[kind])} for kind in KINDS}
    for path in paths:
        with open_table(path) as table:
            try:
                values = table.read(columns=list(_COLUMNS))
                for kind in KINDS:
                    columns[kind] += [position[kind][asset_id] for asset_id in values.column(kind).to_pylist()]
                columns["flipped"] += values.column("flipped").to_pylist()
                columns["placement"] += values.column("placement").to_pylist()
                # A box without a width stands for one that isn't known.
                columns["placement_box"] += [box or (0, 0, 0, 0) for box in values.column("placement_box").to_pylist()]
            except KeyError as error:
                raise DataError(f"{path}: a row names the picture {error}, which the asset tables don't have") from error
            except Exception as error:  # damaged pages may raise anything
                raise DataError(f"{path} can't be read: {error}") from error
    return Rows(
        FIRST_BATCH,
        split,
        np.array(columns["background"], np.int32),
        np.array(columns["foreground"], np.int32),
        np.array(columns["flipped"], bool),
        np.array(columns["placement"], np.int32),
        np.array(columns["placement_box"], np.int32).reshape(-1, 4),
    )


def depth_facts(digest):
    """What is known of the depth model of a set whose maps were read from a tree.

    Args:
        digest: of the tree; it stands where the digest of a model's weights would.
    """
    return {"name": MODEL_NAME, "kind": "relative", "weights_digest": digest}
