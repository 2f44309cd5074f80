"""What a finished set says of itself: all the facts that its card shows, read from its own files.

Nothing is opened but footers, the asset tables without their pictures, and the three small text files.
"""

import functools
import json
from collections import Counter
from dataclasses import dataclass, field

from .. import schema
from ..asset_tables import KINDS, read_entries
from ..config import SPLIT_NAMES, Recipe
from ..dropped import Dropped, read_dropped
from ..errors import DataError
from ..folders import as_folder
from ..manifest import read_manifest
from ..near_duplicates import near_in_tables
from ..shards import find_tables, footer_of, open_table

DENSEDEPTH = "DenseDepthForDepthEstimation"  # the network class whose paper is cited
ASSET_SPLIT = "train"  # asset tables aren't split; `datasets` wants a name, and this is its own default


@dataclass(frozen=True)
class Size:
    """Size of one split of one config.

    Attributes:
        rows: number of rows.
        files: number of Parquet files.
        file_bytes: their bytes on disk.
        data_bytes: bytes of their columns before compression.
    """

    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    data_bytes: int = 0

    def plus(self, other):
        """The two together."""
        return Size(*(a + b for a, b in zip(self.as_tuple(), other.as_tuple(), strict=True)))

    def as_tuple(self):
        return self.rows, self.files, self.file_bytes, self.data_bytes


@dataclass(frozen=True)
class SetFacts:
    """All facts that the card is made from.

    Attributes:
        recipe: config.Recipe that made the set.
        recipe_toml: text of recipe.toml.
        manifest: dict of manifest.json.
        stats: dict of stats.json.
        sizes: {config: {split: Size}}, splits in their usual order.
        entries: {"background" and "foreground": asset_tables.Entry list}.
        batches: number of batches.
        dropped: dropped.Dropped, what was taken out of the set.
    """

    recipe: Recipe
    recipe_toml: str
    manifest: dict
    stats: dict
    sizes: dict
    entries: dict
    batches: int
    dropped: Dropped = field(default_factory=Dropped)

    @property
    def depth(self):
        """What is known of the depth model, or None."""
        return self.manifest["depth"]

    @property
    def cites_densedepth(self):
        """True when the depth network is that of the DenseDepth paper, in whatever size."""
        return self.depth is not None and self.depth.get("architecture") == DENSEDEPTH

    @property
    def is_metric(self):
        """True when stored depth can be turned into metres."""
        return self.depth is not None and self.depth["kind"] == "metric"

    @property
    def splits(self):
        return tuple(self.sizes["default"])

    @property
    def rows(self):
        return sum(size.rows for size in self.sizes["default"].values())

    @property
    def cells_left_out(self):
        return sum(self.manifest["cells_left_out"].values())

    @property
    def rows_left_out(self):
        """Rows that the set lacks, as the depth network failed on them."""
        return sum(self.manifest.get("rows_left_out", {}).values())

    @property
    def total_bytes(self):
        """Bytes of all Parquet files."""
        return sum(size.file_bytes for splits in self.sizes.values() for size in splits.values())

    @functools.cached_property
    def near(self):
        """NearDuplicates among the source pictures; they are decoded for it at the first call."""
        return near_in_tables(self.entries, self.recipe.key_color)

    def assets_per_split(self, kind):
        """{split or "all": (assets, groups)} of one kind, in the usual order."""
        plans = [entry.plan for entry in self.entries[kind]]
        count = Counter(plan.split for plan in plans)
        groups = {split: len({p.group for p in plans if p.split == split}) for split in count}
        return {s: (count[s], groups[s]) for s in (*SPLIT_NAMES, schema.ALL_SPLITS) if s in count}


def read_facts(folder):
    """Read the facts of a finished set.

    Args:
        folder: the set's folder; its manifest is there.

    Returns:
        SetFacts.

    Raises:
        DataError: something is missing or can't be read.
    """
    folder = as_folder(folder)
    manifest = read_manifest(folder)
    entries, footers = {}, {}
    for kind in KINDS:
        entries[kind], found = read_entries(folder, kind)
        footers.update(found)
    if not footers:
        raise DataError(f"{folder} holds no asset tables; expected backgrounds/ and foregrounds/ of a finished set")
    return SetFacts(
        _recipe(footers[max(footers)], folder),
        _read_text(folder / "recipe.toml"),
        manifest,
        _read_json(folder / "stats.json"),
        {config: _sizes(folder, config) for config in schema.CONFIGS},
        entries,
        len(footers),
        read_dropped(folder),
    )


def _recipe(footer, folder):
    try:
        return Recipe().replace(**footer.extra["recipe"])
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"{folder}: the recipe in the footers of the asset tables can't be read: {error}") from error


def _sizes(folder, config):
    sizes = {}
    for path in find_tables(folder, config):
        with open_table(path) as file:
            split = footer_of(file, path).split or ASSET_SPLIT
            facts = file.metadata
            data_bytes = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        size = Size(facts.num_rows, 1, path.stat().st_size, data_bytes)
        sizes[split] = sizes.get(split, Size()).plus(size)
    if not sizes:
        raise DataError(f"{folder} holds no Parquet file of the config {config!r}; finish the set with `fgbg-depth generate`")
    return {split: sizes[split] for split in SPLIT_NAMES if split in sizes}


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}; run `fgbg-depth generate` again to make it anew") from error


def _read_json(path):
    try:
        return json.loads(_read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is no valid JSON: {error}; run `fgbg-depth generate` again to make it anew") from error
