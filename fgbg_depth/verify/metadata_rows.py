"""The metadata tables: their own shell, and their rows against those of the data files, which they repeat without pictures."""

from .. import schema
from ..finish import METADATA_GROUP_ROWS, metadata_path
from ..shards import Footer, left_out_entry, open_table
from .findings import Findings
from .tables import check_hash, group_starts, open_checked, read_group


def metadata_footers(basis):
    """{file: Footer that it should have} of all planned metadata tables."""
    footers, lacking = {}, {}
    for shard in basis.shards().values() if basis.lacking else ():
        lacking.setdefault((shard.batch, shard.split), []).extend(basis.lacking.get(shard.name, ()))
    for (batch, split), rows in basis.plan.rows.items() if basis.plan else ():
        name = metadata_path(basis.folder, batch, split).relative_to(basis.folder).as_posix()
        left_out = left_out_entry([basis.plan.key(rows, i) for i in lacking.get((batch, split), ())])
        footers[name] = Footer("metadata", batch, split, 0, 0, len(rows), basis.digest, basis.lists[batch], extra=left_out)
    return footers


def check_metadata_table(basis, name, expected):
    """Check a metadata table but for its values, which are compared with each data file.

    Returns:
        (list of Finding, hash_good as `tables.check_hash` says).
    """
    found = Findings()
    hash_good = check_hash(basis, name, found)
    opened = open_checked(basis, name, "metadata", expected, METADATA_GROUP_ROWS, found)
    if opened:
        with opened[0] as table:
            starts = group_starts(table)
            for group, first in enumerate(starts[:-1]):
                read_group(table, name, group, first, list(schema.metadata_columns(basis.recipe.has_depth)), found)
    return found.listed(), hash_good


class MetadataRows:
    """The metadata table's rows that belong to one data file."""

    def __init__(self, basis, shard):
        self._path = metadata_path(basis.folder, shard.batch, shard.split)
        self._name = self._path.relative_to(basis.folder).as_posix()
        self._columns = list(schema.metadata_columns(basis.recipe.has_depth))
        before = [s for s in basis.plan.shards({shard.batch}) if s.split == shard.split and s.start < shard.start] if basis.lacking else []
        self._offset = shard.start - sum(len(basis.lacking.get(s.name, ())) for s in before)
        self._basis, self._group = basis, (None, {})
        self._good = None
        try:
            self._table = open_table(self._path)
            self._starts = group_starts(self._table)
        except Exception:  # reported with the metadata table itself
            self._table = None

    def compare(self, values, data_name, first, count, data_hash_good, found):
        """Compare some rows, column by column, and find those that differ, in the file that is to blame."""
        if self._table is None:
            return
        start = self._offset + first
        for column in self._columns:
            mine = values.get(column)
            theirs = self._slice(column, start, start + count)
            if mine is None or theirs is None or mine == theirs:
                continue
            if len(theirs) < len(mine):
                found.add(self._name, f"ends before row {start + len(theirs)}, which {data_name} has", None, column)
            blame_data = data_hash_good is False and self._hash_good()
            for i, (a, b) in enumerate(zip(mine, theirs, strict=False)):
                if a != b and not (a != a and b != b):  # NaN is reported as such
                    if blame_data and not found.about(data_name, column, (first + i,)):
                        found.add(data_name, f"is {a!r}, {self._name} has {b!r} in row {start + i}", first + i, column)
                    elif not blame_data:
                        found.add(self._name, f"is {b!r}, {data_name} has {a!r} in row {first + i}", start + i, column)

    def _slice(self, column, start, stop):
        """Values of rows start..stop; None when they can't be read. Row groups are read once, as rows come in order."""
        out = []
        for group, first in enumerate(self._starts[:-1]):
            end = self._starts[group + 1]
            if first < stop and end > start:
                values = self._read(group).get(column)
                if values is None:
                    return None
                out += values[max(start - first, 0) : stop - first]
        return out

    def _read(self, group):
        if self._group[0] != group:
            # What can't be read is found by the table's own check; these findings are dropped.
            self._group = (group, read_group(self._table, self._name, group, self._starts[group], self._columns, Findings()))
        return self._group[1]

    def _hash_good(self):
        if self._good is None:
            self._good = check_hash(self._basis, self._name, Findings()) is not False
        return self._good

    def close(self):
        if self._table is not None:
            self._table.close()
