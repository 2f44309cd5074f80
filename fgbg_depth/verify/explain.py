"""Find the rows and columns of a damaged data file, by making the whole file anew.

The file made anew is the undamaged one when its hash is the manifest's; then each differing byte is found and traced to its row
and column, or to the footer. Where that can't be had (other library versions, no depth model), rows are compared one by one.
"""

import contextlib
import dataclasses
import itertools
import tempfile
from pathlib import Path

import pyarrow as pa

from .. import codec, schema
from ..errors import CodecError, DepthModelError
from ..files import sha256_of
from ..finish import metadata_groups
from ..manifest import library_versions
from ..produce import millimetres_of
from ..shards import footer_of, open_table, write_table
from ..stats import Tally
from ..studio import inside_of
from .places import name_bytes
from .rebuild import row_differences, same_libraries, stored_rows
from .rows import planned_values, shard_footer

DEPTH_COLUMNS = ("depth", *schema.RANGE_COLUMNS)


def explain(basis, maker, predictor, shard, found):
    """Name the damaged rows and columns of one data file.

    Args:
        basis: Basis with a plan.
        maker: rebuild.Maker.
        predictor: model.Predictor.
        shard: plan.ShardPlan.
        found: Findings; holds what the row checks found in the file already.
    """
    listed, damaged = basis.listed.get(shard.name, {}), basis.folder / shard.name
    with _scratch_file() as path:
        for with_model in _attempts(basis, predictor, shard, found):
            reference = _Reference(basis, maker, predictor if with_model else None, shard)
            whole = reference.write(path)
            if whole and sha256_of(path) == listed.get("sha256"):
                if damaged.stat().st_size == path.stat().st_size:
                    name_bytes(damaged, path, shard.name, found)
                    return
                break  # another layout: no use in comparing bytes, and the rows are known
            if not reference.exact:
                break  # other libraries: no attempt can give the same bytes
    for number, column, words in reference.differ:
        if not found.about(shard.name, column, (number,)):
            found.add(shard.name, words, number, column)


def explain_metadata(basis, name, footer, found):
    """Name the damaged rows and columns of a metadata table, by writing it anew from the data files.

    Args:
        basis: Basis with a plan.
        name: the table, below the set's folder.
        footer: the Footer that it should have.
        found: Findings.
    """
    columns = schema.metadata_columns(basis.recipe.has_depth)
    shards = [basis.folder / shard.name for shard in basis.plan.shards({footer.batch}) if shard.split == footer.split]
    with _scratch_file() as path:
        try:
            write_table(path, columns, metadata_groups(shards, columns), lambda: footer)
        except (pa.ArrowException, OSError, ValueError):
            return  # a data file is damaged too, and found
        if sha256_of(path) == basis.listed[name].get("sha256") and path.stat().st_size == (basis.folder / name).stat().st_size:
            name_bytes(basis.folder / name, path, name, found)


@contextlib.contextmanager
def _scratch_file():
    """A path outside of the set, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fgbg-depth-") as scratch:
        yield Path(scratch) / "anew.parquet"


def _attempts(basis, predictor, shard, found):
    """Ways to get the depth columns, the cheaper first: False takes the stored ones, True runs the model."""
    if not basis.recipe.has_depth or not predictor.at_hand:
        return (False,)
    suspect = any(found.about(shard.name, column) for column in DEPTH_COLUMNS)
    return (True,) if suspect else (False, True)


class _Reference:
    """A data file made anew, and how the stored rows differ from it.

    Attributes:
        differ: list of (row, column, words).
        exact: True when the libraries are those that wrote the stored file, as far as its footer tells.
    """

    def __init__(self, basis, maker, predictor, shard):
        self._basis, self._maker, self._predictor, self._shard = basis, maker, predictor, shard
        self._tally, self._whole, self.differ, self.exact = Tally(), True, [], True
        self._number = {i: number for number, i in enumerate(basis.held(shard).tolist())}  # of the rows that the file holds

    def write(self, path):
        """Write it; returns False when something of it couldn't be made."""
        basis, shard, recipe = self._basis, self._shard, self._basis.recipe
        table, versions = _open(basis.folder / shard.name)
        try:
            numbers = range(len(self._number))
            stored = iter(stored_rows(table, shard.name, numbers, recipe.has_depth) if table else ())
            self.exact = versions is None or same_libraries(versions)
            rows = self._rows(stored)
            columns = schema.data_columns(recipe.has_depth)
            groups = iter(lambda: list(itertools.islice(rows, recipe.rows_per_group)), [])
            table_groups = ({name: [row[name] for row in group] for name in columns} for group in groups)
            write_table(path, columns, table_groups, lambda: self._footer(versions))
        finally:
            if table:
                table.close()
        return self._whole

    def _footer(self, versions):
        versions = versions or library_versions(self._basis.recipe.has_depth)
        return dataclasses.replace(shard_footer(self._basis, self._shard), tally=self._tally.to_text(), versions=versions)

    def _rows(self, stored):
        shard, size = self._shard, self._basis.recipe.depth_batch
        for start in range(shard.start, shard.stop, size):  # as the depth batches were cut
            part = range(start, min(start + size, shard.stop))
            planned = planned_values(self._basis.plan, shard, list(part))
            batch = [self._row({name: listed[n] for name, listed in planned.items()}, i, stored) for n, i in enumerate(part)]
            if self._predictor and self._whole:
                self._predict(batch, [n for n, i in enumerate(part) if i in self._number])
            for i, row in zip(part, batch, strict=True):
                if i in self._number:
                    self._count(row)
                    yield row

    def _row(self, row, i, stored):
        """One row, depth as it is stored; its stored pictures are compared. A row that the file lacks is made for its batch's sake."""
        made, number = self._maker.make_planned(self._shard, i), self._number.get(i)
        stored = {} if number is None else next(stored, (0, {}))[1]
        if made is None:
            self._whole = False
            return dict.fromkeys(schema.data_columns(self._basis.recipe.has_depth)) | row
        if stored.get("image") and stored.get("mask"):
            self.differ += [(number, column, words) for column, words in row_differences(stored, made, self.exact)]
        row |= made.values
        if self._basis.recipe.has_depth:
            row |= {name: stored.get(name) for name in DEPTH_COLUMNS}
        return row

    def _predict(self, batch, wanted):
        """Depth of a batch anew; `wanted` are the positions of rows that the file holds."""
        recipe, relative = self._basis.recipe, self._basis.relative
        try:
            maps = self._maps([codec.decode_rgb(row["image"]) for row in batch], wanted)
            for row, depth in ((batch[n], maps[n]) for n in wanted):
                levels, low, high = codec.quantise_depth(depth, recipe.depth_encoding)
                row["depth"] = codec.encode_gray(levels, recipe.depth_encoding)
                row["depth_min_m"], row["depth_max_m"] = (None, None) if relative else (float(low), float(high))
        except (CodecError, DepthModelError):
            self._whole = False

    def _maps(self, images, wanted):
        """Maps of a batch; those of rows that the file lacks may be anything."""
        try:
            return self._predictor.predict(images)
        except DepthModelError as error:
            bad = getattr(error, "indices", None)
            if not bad or set(bad) & set(wanted):
                raise
            return error.depth

    def _count(self, row):
        if not self._whole:
            return
        recipe, relative = self._basis.recipe, self._basis.relative
        try:
            image, mask = codec.decode_rgb(row["image"]), codec.decode_gray(row["mask"])
            levels = codec.decode_gray(row["depth"]) if recipe.has_depth else None
            self._tally.add(image, mask, inside_of(mask, recipe), levels, millimetres_of(row, levels, relative))
        except (CodecError, TypeError, ValueError):  # stored depth that is damaged itself
            self._whole = False


def _open(path):
    """(ParquetFile or None, the versions in its footer or None)."""
    try:
        table = open_table(path)
        return table, footer_of(table, path).versions
    except Exception:  # found already, with its reason
        return None, None
