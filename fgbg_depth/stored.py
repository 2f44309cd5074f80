"""A finished set as the source of another one: its pictures byte for byte, its source pictures, and whether it is whole.

Nothing here writes into the set that is read.
"""

import bisect
import dataclasses
from pathlib import Path

import numpy as np

from . import codec, schema
from .asset_tables import KINDS, table_path
from .composite import tight_box
from .errors import CodecError, DataError, FolderError
from .manifest import MANIFEST_NAME, PICTURE_LIBRARIES, read_manifest
from .shards import find_tables, footer_of, open_table, own_footer, read_footer, write_table
from .studio import inside_of

COPIED = (*schema.KEY_COLUMNS, "image", "mask")  # the columns that another depth model leaves as they are


class StoredRows:
    """Rows of one data file without their depth; one row group is in memory at a time.

    Rows that the file lacks, as another depth model failed on them, are composited anew.
    """

    def __init__(self, path, plan, shard, recipe, anew=None):
        """Open a data file.

        Args:
            path: the file.
            plan: plan.Plan that holds its rows.
            shard: plan.ShardPlan.
            recipe: config.Recipe.
            anew: function (row of the batch and split) as `picture`, for rows that the file lacks.
        """
        self._path, self._plan, self._shard, self._recipe, self._anew = path, plan, shard, recipe, anew
        self._rows = plan.rows[shard.batch, shard.split]
        self._file = open_table(path)
        self._numbers = stored_numbers(plan, shard, footer_of(self._file, path).left_out)
        facts = self._file.metadata
        self._starts = np.cumsum([0, *(facts.row_group(g).num_rows for g in range(facts.num_row_groups))]).tolist()
        self._group, self._values = None, None

    def __enter__(self):
        if self._starts[-1] != len(self._numbers):
            self._file.close()
            raise DataError(f"{self._path} has {self._starts[-1]:,} rows, expected {len(self._numbers):,}")
        return self

    def __exit__(self, *_):
        self._file.close()

    def picture(self, i):
        """One row by its number in its (batch, split): what a produce.ShardMaker asks for.

        Returns:
            (row as a dict of COPIED, pictures as encoded bytes; (image, mask): (S, S, 3) uint8 RGB and (S, S) uint8, decoded).

        Raises:
            DataError: the row isn't the planned one, or can't be read.
        """
        if i not in self._numbers:
            return self._anew(i)
        number = self._numbers[i]
        row = self._read(number)
        key = self._plan.key(self._rows, i)
        if row["key"] != key:
            raise DataError(f"{self._path}, row {number}: holds {row['key']!r}, where the plan has {key!r}")
        side = self._recipe.image_size
        image = self._decoded(row, number, "image", codec.decode_rgb, (side, side, 3))
        mask = self._decoded(row, number, "mask", codec.decode_gray, (side, side))
        bbox = list(tight_box(inside_of(mask, self._recipe)))
        if row["bbox"] != bbox:
            raise DataError(f"{self._path}, row {number}: bbox is {row['bbox']}, its mask has {bbox}")
        return row, (image, mask)

    def _read(self, number):
        group = bisect.bisect_right(self._starts, number) - 1
        if group != self._group:
            try:
                self._values = self._file.read_row_group(group, columns=list(COPIED)).to_pylist()
            except Exception as error:  # damaged pages may raise anything
                last = self._starts[group + 1] - 1
                raise DataError(f"{self._path}, rows {self._starts[group]} to {last}: can't be read: {error}") from error
            self._group = group
        row = self._values[number - self._starts[group]]
        return {name: (value or {}).get("bytes") if name in ("image", "mask") else value for name, value in row.items()}

    def _decoded(self, row, number, column, decode, shape):
        try:
            array = decode(row[column])
        except CodecError as error:
            raise DataError(f"{self._path}, row {number}, column {column}: {error}") from error
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"{self._path}, row {number}, column {column}: is {array.dtype} {array.shape}, expected uint8 {shape}")
        return array


def stored_numbers(plan, shard, left_out):
    """{row of the batch and split: its number in the data file}, in order; rows that were left out aren't among them."""
    rows, lacking = plan.rows[shard.batch, shard.split], set(left_out)
    held = (i for i in range(shard.start, shard.stop) if not lacking or plan.key(rows, i) not in lacking)
    return {i: number for number, i in enumerate(held)}


def same_rows(ours, theirs, columns):
    """True when two data files hold the same values in some columns, in all rows that both have; each may have left some out."""
    with open_table(ours) as a, open_table(theirs) as b:
        one_lacks, other_lacks = (set(footer_of(*pair).left_out) for pair in ((a, ours), (b, theirs)))
        one, other = (file.read(columns=list(columns)) for file in (a, b))
    return _without(one, other_lacks).equals(_without(other, one_lacks))


def _without(table, keys):
    """A table without some rows; `keys` is a set."""
    return table.filter([key not in keys for key in table.column("key").to_pylist()])


def same_columns(ours, theirs, columns):
    """True when two Parquet files hold the same values in some columns, by the same row groups."""
    with open_table(ours) as a, open_table(theirs) as b:
        if a.num_row_groups != b.num_row_groups:
            return False
        groups = range(a.num_row_groups)
        return all(a.read_row_group(g, columns=list(columns)).equals(b.read_row_group(g, columns=list(columns))) for g in groups)


def kept_versions(old, now):
    """Library versions of a file whose pictures are copied.

    Args:
        old: of the file that they are from.
        now: of the libraries that write it.

    Returns:
        `now`, but for those that make pictures: what is checked against a row made anew hangs on them.
    """
    return now | {name: old[name] for name in PICTURE_LIBRARIES if name in (old or {}) and name in now}


def copy_asset_tables(source, folder, batches, digest, lists, extra, versions):
    """Copy the source pictures of a set, with the footers of another recipe; tables that are there are compared.

    Args:
        source: the set that is read.
        folder: the set that is made.
        batches: numbers of its batches, ascending.
        digest: of the new recipe.
        lists: {batch: asset-list digest} under it.
        extra: what the footers shall hold beside: recipe and depth model.
        versions: library -> version, of those that write.

    Raises:
        FolderError: a table that is there holds something else.
        DataError: a table can't be read.
    """
    for batch in batches:
        for kind in KINDS:
            old, new = table_path(source, kind, batch), table_path(folder, kind, batch)
            if not old.is_file():
                continue  # a batch may bring pictures of one kind only
            columns, was = schema.asset_columns(kind), read_footer(old)
            footer = dataclasses.replace(
                was, recipe=digest, assets=lists[batch], extra=extra, versions=kept_versions(was.versions, versions)
            )
            if not new.is_file():
                write_table(new, columns, _groups(old, columns), lambda footer=footer: footer)
            elif not own_footer(new).same_work(footer) or not same_columns(new, old, columns):
                raise FolderError(_other_source(new, source))


def _groups(path, columns):
    """The row groups of a table as shards.write_table takes them."""
    pictures = schema.picture_columns(columns)
    with open_table(path) as file:
        for group in range(file.num_row_groups):
            try:
                table = file.read_row_group(group, columns=list(columns))
            except Exception as error:  # damaged pages may raise anything
                raise DataError(f"{path}, row group {group}: can't be read: {error}") from error
            lists = {name: table.column(name).to_pylist() for name in columns}
            yield {name: [v and v["bytes"] for v in values] if name in pictures else values for name, values in lists.items()}


def refuse_other_pictures(source, folder, shards, on_shard=None):
    """FolderError when a shard that is there holds other rows or pictures than the set that is read.

    Args:
        source, folder: the set that is read, and the one that is made.
        shards: plan.ShardPlans that are in both.
        on_shard: function (done, total), called after each.
    """
    for done, shard in enumerate(shards, 1):
        try:
            files = folder / shard.name, source / shard.name
            same = (same_rows if any(read_footer(file).left_out for file in files) else same_columns)(*files, COPIED)
        except DataError:
            raise
        except Exception as error:  # damaged pages may raise anything
            words = f"{folder / shard.name} can't be read: {error}. Delete this file and run the same command again to make it anew"
            raise DataError(words) from error
        if not same:
            raise FolderError(_other_source(folder / shard.name, source))
        if on_shard:
            on_shard(done, len(shards))


def _other_source(path, source):
    return f"{path} wasn't made from {source}: it holds other rows or pictures. Choose another --out. Nothing was changed"


def check_whole(folder):
    """See that a set is finished and none of its files is missing; no file is read but the manifest.

    Args:
        folder: the set's folder.

    Returns:
        the manifest.

    Raises:
        DataError: it is unfinished, or a file is missing, cut short or not listed.
    """
    folder, manifest = Path(folder), read_manifest(folder)
    listed = manifest["files"]
    tables = [path for config in schema.CONFIGS for path in find_tables(folder, config)]
    strange = [path for path in tables if path.relative_to(folder).as_posix() not in listed]
    if strange:
        raise DataError(
            f"{strange[0]} isn't listed in {MANIFEST_NAME}: a run of generate is unfinished there, or the file is strange. {_mend(folder)}"
        )
    for name, facts in listed.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing, and {MANIFEST_NAME} lists it. {_mend(folder)}")
        if path.stat().st_size != facts["bytes"]:
            found = f"{path} has {path.stat().st_size:,} bytes, {MANIFEST_NAME} says {facts['bytes']:,}"
            raise DataError(f"{found}. {_mend(folder)}")
    return manifest


def _mend(folder):
    return f"`fgbg-depth verify {folder}` says what mends it"
