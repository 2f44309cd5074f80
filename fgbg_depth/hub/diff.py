"""Compare two sets row by row: which keys came, went and changed, and in which columns.

Rows are known by their key and compared over the columns of the metadata tables. Pictures are the same where the data files
have the same hash; elsewhere they are compared byte by byte if both sets are on disk, and counted as not compared if one isn't.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass

import pyarrow.parquet as pq

from .. import schema
from ..errors import DataError

KEYS_SHOWN = 10  # of each kind, in a report
DIGEST_BYTES = 8  # of a row in memory; two different rows of one key clash once in 10**19
_BATCH = re.compile(r"(?:data|metadata)/(?P<split>[^/]+)/b(?P<batch>\d+)")


@dataclass(frozen=True, slots=True)  # there may be some hundred thousand
class Row:
    """What is kept of a row: a digest of its metadata, its split, the data file it is in and its number there."""

    digest: bytes
    split: str
    file: str
    number: int


@dataclass(frozen=True)
class Diff:
    """How set B differs from set A.

    Attributes:
        added, removed, changed: sorted keys.
        same: number of rows that are equal as far as they were compared.
        columns: {column: number of changed rows in which it differs}.
        not_compared: number of rows of both sets whose pictures weren't compared.
        same_recipe: whether both were made by the same recipe.
    """

    added: tuple
    removed: tuple
    changed: tuple
    same: int
    columns: dict
    not_compared: int
    same_recipe: bool

    def to_dict(self):
        """As JSON values."""
        lists = {"added": list(self.added), "removed": list(self.removed), "changed": list(self.changed)}
        return {**lists, "same": self.same, "columns": self.columns, "not_compared": self.not_compared, "same_recipe": self.same_recipe}


def diff_sets(a, b):
    """Compare two sets.

    Args:
        a, b: sides.Side.

    Returns:
        Diff.

    Raises:
        DataError: a table can't be read, or a key is there twice.
    """
    rows_a, rows_b = _rows(a), _rows(b)
    both = sorted(rows_a.keys() & rows_b.keys())
    hashes = [{name: facts["sha256"] for name, facts in side.tables("default").items()} for side in (a, b)]
    pictures = [key for key in both if hashes[0][rows_a[key].file] != hashes[1][rows_b[key].file]]
    told = [key for key in both if (rows_a[key].digest, rows_a[key].split) != (rows_b[key].digest, rows_b[key].split)]
    columns = _changed_columns(a, b, rows_a, rows_b, told)
    if a.is_local and b.is_local:
        for key, names in _changed_pictures(a, b, rows_a, rows_b, pictures).items():
            columns.setdefault(key, set()).update(names)
        not_compared = 0
    else:
        not_compared = len(pictures)
    changed = sorted(columns)
    return Diff(
        tuple(sorted(rows_b.keys() - rows_a.keys())),
        tuple(sorted(rows_a.keys() - rows_b.keys())),
        tuple(changed),
        len(both) - len(changed),
        dict(sorted(Counter(name for names in columns.values() for name in names).items())),
        not_compared,
        a.manifest.get("recipe_digest") == b.manifest.get("recipe_digest"),
    )


def _rows(side):
    """{key: Row} of a side, from its metadata tables."""
    files, found = _data_files(side), {}
    for name in side.tables("metadata"):
        split, batch = _place(name)
        where = iter(files.get((split, batch), ()))
        for values in _read(side.path(name), name):
            file, number = next(where, (None, 0))
            key = values.pop("key", None)
            if file is None or key is None:
                raise DataError(f"{side.name}: {name} has more rows than the data files beside it; run `fgbg-depth verify` on it")
            if key in found:
                raise DataError(f"{side.name}: the key {key!r} is there twice; run `fgbg-depth verify` on it")
            found[key] = Row(_digest(values), split, file, number)
    return found


def _data_files(side):
    """{(split, batch): (data file, number of the row in it) for each row, in the order of the metadata table}."""
    files = {}
    for name, facts in side.tables("default").items():
        files.setdefault(_place(name), []).append((name, facts["rows"]))
    return {place: [(name, i) for name, rows in sorted(pairs) for i in range(rows)] for place, pairs in files.items()}


def _place(name):
    match = _BATCH.match(name)
    if not match:
        raise DataError(f"{name} isn't named as the tables of a set are")
    return match["split"], int(match["batch"])


def _read(path, name, columns=None):
    """Rows of a Parquet file as dicts, a row group at a time."""
    try:
        with pq.ParquetFile(path) as table:
            for group in range(table.num_row_groups):
                yield from table.read_row_group(group, columns=columns).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{name} can't be read: {error}") from error


def _digest(values):
    return hashlib.blake2b(repr(sorted(values.items())).encode(), digest_size=DIGEST_BYTES).digest()


def _changed_columns(a, b, rows_a, rows_b, keys):
    """{key: names of the metadata columns that differ}."""
    wanted, before, found = set(keys), {}, {}
    for name in a.tables("metadata"):
        for row in _read(a.path(name), name):
            if row["key"] in wanted:
                before[row["key"]] = {column: _digest({column: value}) for column, value in row.items()}
    for name in b.tables("metadata"):
        for row in _read(b.path(name), name):
            if row["key"] in wanted:
                old = before.pop(row["key"])
                now = {column: _digest({column: value}) for column, value in row.items()}
                found[row["key"]] = {column for column in {**old, **now} if old.get(column) != now.get(column)}
    for key in keys:
        if rows_a[key].split != rows_b[key].split:
            found[key].add("split")
    return found


def _changed_pictures(a, b, rows_a, rows_b, keys):
    """{key: names of the picture columns whose bytes differ}, read from both sets on disk."""
    digests = []
    for side, rows in ((a, rows_a), (b, rows_b)):
        by_file, found = {}, {}
        for key in keys:
            by_file.setdefault(rows[key].file, {})[rows[key].number] = key
        for file, numbers in sorted(by_file.items()):
            path = side.path(file)
            columns = [name for name in schema.picture_columns(schema.data_columns(True)) if name in pq.read_schema(path).names]
            for number, row in enumerate(_read(path, file, columns)):
                if number in numbers:
                    found[numbers[number]] = {name: _picture_digest(row[name]) for name in columns}
        digests.append(found)
    first, second = digests
    return {key: names for key in keys if (names := {n for n in {**first[key], **second[key]} if first[key].get(n) != second[key].get(n)})}


def _picture_digest(picture):
    return None if picture is None else hashlib.blake2b(picture["bytes"] or b"", digest_size=DIGEST_BYTES).digest()
