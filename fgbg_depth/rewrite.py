"""Data files and asset tables without some of the pictures: the rows that stay are copied as they are, byte for byte.

Each file is written anew under a temporary name and takes the place of the old one. That is compared with its hash before anything is
written, so that no damage gets a fresh hash. What is left of a file keeps its order, its row groups are filled up again, and the
statistics in its footer are those of before less those of the rows that go.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from . import codec, schema
from .errors import CodecError, DataError
from .files import sha256_of
from .finish import read_tally
from .plan import KEY_SEPARATOR
from .produce import millimetres_of
from .shards import footer_of, left_out_entry, open_table, read_footer, write_table
from .stats import Tally
from .studio import inside_of

ID_COLUMNS = ("background", "foreground")


@dataclass(frozen=True)
class Uses:
    """What a data file has of some pictures.

    Attributes:
        name: the file, below the set's folder.
        split: of its rows.
        rows: rows that use one of them.
        left: rows that don't.
        names: keys in its footer, of rows that were left out when it was made, that name one of them.
        file_bytes: size of the file [bytes].
    """

    name: str
    split: str
    rows: int
    left: int
    names: int
    file_bytes: int

    def __bool__(self):
        return bool(self.rows or self.names)


def find_uses(folder, path, ids):
    """Look through one data file.

    Args:
        folder: the set's folder.
        path: the file.
        ids: {kind: ids of the pictures}.

    Returns:
        Uses; false when the file has nothing of them.

    Raises:
        DataError: it can't be read.
    """
    try:
        with open_table(path) as table:
            footer = footer_of(table, path)
            used = _uses(table.read(columns=list(ID_COLUMNS)), ids)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} can't be read: {error}; `fgbg-depth verify {folder}` says what mends it") from error
    names = sum(_names_one(key, ids) for key in footer.left_out)
    rows = int(np.count_nonzero(used))
    return Uses(path.relative_to(folder).as_posix(), footer.split, rows, used.size - rows, names, path.stat().st_size)


def _uses(table, ids):
    """(N,) bool: rows that use one of the pictures."""
    return np.logical_or(*(_among(table.column(kind), ids.get(kind, ())) for kind in ID_COLUMNS))


def _among(column, wanted):
    return np.fromiter((value in wanted for value in column.to_pylist()), bool, len(column))


def _names_one(key, ids):
    return any(part in ids.get(kind, ()) for kind, part in zip(ID_COLUMNS, key.split(KEY_SEPARATOR), strict=False))


def check_source(folder, name, listed):
    """DataError when a file isn't the one that the manifest lists: its damage must not be written into a new one."""
    path, facts = Path(folder) / name, listed.get(name)
    if facts is None or path.stat().st_size != facts["bytes"] or sha256_of(path) != facts["sha256"]:
        raise DataError(
            f"{path} isn't as manifest.json lists it, so nothing can be taken out of it; `fgbg-depth verify {folder}` says what mends it"
        )


@dataclass(frozen=True)
class RewriteTask:
    """Writes data files without the rows of some pictures; see pool.run_pool.

    Attributes:
        folder: the set's folder.
        recipe: config.Recipe.
        relative: True when depth has no metres.
        ids: {kind: ids of the pictures}.
    """

    folder: Path
    recipe: object
    relative: bool
    ids: dict

    def open(self):
        return self._rewrite

    def _rewrite(self, uses, say):
        path = self.folder / uses.name
        footer = read_footer(path)
        keys = [key for key in footer.left_out if not _names_one(key, self.ids)]
        if not uses.left and not keys and not self.recipe.imported:  # files of an imported set are counted by their order: none may go
            path.unlink()
            say(uses.rows)
            return
        columns, gone = schema.data_columns(self.recipe.has_depth), Tally()
        with open_table(path) as table:
            groups = _filled(self._kept(table, uses.name, columns, gone, say), self.recipe.rows_per_group)
            write_table(path, columns, groups, lambda: self._footer(footer, gone, keys, uses))

    def _kept(self, table, name, columns, gone, say):
        """Rows that stay, as {column: list of values} of each row group; the others are counted in `gone`."""
        pictures = schema.picture_columns(columns)
        for group in range(table.num_row_groups):
            try:
                rows = table.read_row_group(group, columns=list(columns))
                used = _uses(rows, self.ids)
                kept = rows.filter(pa.array(~used))
                for row in rows.filter(pa.array(used)).to_pylist():
                    self._count(gone, row)
            except (pa.ArrowException, OSError, CodecError, ValueError) as error:
                raise DataError(f"{name}, row group {group}: {error}; `fgbg-depth verify {self.folder}` tells more") from error
            lists = {column: kept.column(column).to_pylist() for column in columns}
            yield {column: [v and v["bytes"] for v in values] if column in pictures else values for column, values in lists.items()}
            say(int(np.count_nonzero(used)))

    def _count(self, tally, row):
        image, mask = codec.decode_rgb(row["image"]["bytes"]), codec.decode_gray(row["mask"]["bytes"])
        levels = codec.decode_gray(row["depth"]["bytes"]) if self.recipe.has_depth else None
        tally.add(image, mask, inside_of(mask, self.recipe), levels, millimetres_of(row, levels, self.relative))

    def _footer(self, footer, gone, keys, uses):
        try:
            tally = read_tally(footer, self.folder / uses.name).take(gone).to_text()
        except ValueError as error:
            raise DataError(f"{uses.name}: {error}; `fgbg-depth verify {self.folder}` tells more") from error
        old_keys, new_keys = (left_out_entry(names) or {} for names in (footer.left_out, keys))
        extra = {name: value for name, value in (footer.extra or {}).items() if name not in old_keys} | new_keys
        footer = dataclasses.replace(footer, tally=tally, extra=extra or None)
        if self.recipe.imported:  # nobody planned its rows: they are counted as they are
            return dataclasses.replace(footer, stop=footer.stop - gone.rows)
        return dataclasses.replace(footer, dropped=(footer.dropped or 0) + gone.rows + uses.names)


def _filled(groups, size):
    """The same rows in groups of `size`, the last one smaller."""
    waiting, count = {}, 0
    for group in groups:
        waiting = {name: waiting.get(name, []) + values for name, values in group.items()}
        count = len(next(iter(waiting.values())))
        while count >= size:
            yield {name: values[:size] for name, values in waiting.items()}
            waiting = {name: values[size:] for name, values in waiting.items()}
            count -= size
    if count:
        yield waiting


def rewrite_asset_table(path, kind, hashes):
    """Write an asset table without some of its pictures; one that loses all of them stays, without a row, as it says what its batch was.

    Args:
        path: the table.
        kind: "background" or "foreground".
        hashes: sha256 of the pictures.
    """
    columns, footer, lost = schema.asset_columns(kind), read_footer(path), []
    pictures = schema.picture_columns(columns)

    def groups():
        with open_table(path) as table:
            for group in range(table.num_row_groups):
                rows = table.read_row_group(group, columns=list(columns))
                gone = _among(rows.column("sha256"), hashes)
                lost.append(int(np.count_nonzero(gone)))
                kept = rows.filter(pa.array(~gone))
                if kept.num_rows:
                    lists = {column: kept.column(column).to_pylist() for column in columns}
                    yield {column: [v and v["bytes"] for v in values] if column in pictures else values for column, values in lists.items()}

    write_table(path, columns, groups(), lambda: dataclasses.replace(footer, dropped=(footer.dropped or 0) + sum(lost)))
