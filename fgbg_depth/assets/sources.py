"""SOURCES.csv: licence, author, source and group of the pictures that lie beside it.

Columns `file`, `licence`, `author`, `source`, `group`, `url`, in any order; only `file` is needed, others are
ignored. UTF-8 with or without a byte order mark, comma between cells. `file` is a path from the folder of the
SOURCES.csv.
"""

import csv
import io
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import AssetError

SOURCES_NAME = "SOURCES.csv"
COLUMNS = ("file", "licence", "author", "source", "group", "url")
_ALIASES = {"license": "licence"}
_NAMES_IN_NOTE = 5  # a note names so many files and counts the rest


@dataclass(frozen=True)
class SourceRow:
    """What a SOURCES.csv says of one picture; "" where it says nothing."""

    licence: str = ""
    author: str = ""
    source: str = ""
    group: str = ""
    url: str = ""


def parse_sources(data, where=SOURCES_NAME):
    """Read the bytes of a SOURCES.csv.

    Args:
        data: the file's bytes.
        where: how errors name the file.

    Returns:
        dict of posix path (NFC, "./" removed, as `lookup_name` gives it) to (line number, SourceRow).

    Raises:
        AssetError: lists all lines that are wrong: no column `file`, too many cells, a file twice, a path out
            of the folder.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AssetError(f"{where} isn't UTF-8 (byte {error.start:,}); save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, problems, lines, header = {}, [], {}, None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _header(cells, where)
                continue
            line = reader.line_num
            if any(cells[len(header) :]):
                problems.append(
                    (line, f"{len(cells)} cells, but {len(header)} columns; put quotes around commas")
                )
                continue
            values = {name: cell for name, cell in zip(header, cells, strict=False) if name in COLUMNS}
            name = lookup_name(values.pop("file", ""))
            if not name or name == ".":
                problems.append((line, "no file is named"))
            elif name.startswith("/") or name[1:3] == ":/" or ".." in PurePosixPath(name).parts:
                problems.append((line, f"{name!r} leads out of the folder"))
            elif name in rows:
                problems.append((line, f"{name!r} was named before, in line {lines[name]}"))
            else:
                rows[name] = SourceRow(**values)
                lines[name] = line
    except csv.Error as error:
        problems.append((reader.line_num, f"not CSV: {error}"))
    if header is None and not problems:
        raise AssetError(
            f"{where} is empty; expected the columns {', '.join(COLUMNS)}, of which only file is needed"
        )
    if problems:
        listed = "\n".join(f"  line {line}: {reason}" for line, reason in problems)
        raise AssetError(
            f"{where} can't be used:\n{listed}",
            [(where, f"line {line}: {reason}") for line, reason in problems],
        )
    return {name: (lines[name], row) for name, row in rows.items()}


def lookup_name(path):
    """The form in which paths are compared: "/" between parts, no "./", Unicode NFC (macOS takes letters apart)."""
    return str(PurePosixPath(unicodedata.normalize("NFC", path.replace("\\", "/")))) if path else ""


def match_sources(tables, files):
    """Bind the rows of all SOURCES.csv files to the pictures.

    Args:
        tables: dict of a SOURCES.csv's own posix path to what `parse_sources` gave.
        files: posix paths of all pictures, also of those that can't be used.

    Returns:
        (dict of file to SourceRow, list of notes on rows without a file and files without a row).

    Raises:
        AssetError: two tables name one picture.
    """
    by_name = {lookup_name(file): file for file in files}
    rows, owner, notes = {}, {}, []
    for where, table in sorted(tables.items()):
        unused = []
        for name, (line, row) in table.items():
            file = by_name.get(lookup_name(str(PurePosixPath(where).parent / name)))
            if file is None:
                unused.append(name)
            elif file in rows:
                raise AssetError(
                    f"{where} line {line}: {file!r} is named in {owner[file]} too; keep one of the rows"
                )
            else:
                rows[file], owner[file] = row, f"{where} line {line}"
        if unused:
            notes.append(f"{where}: rows without a file: {_some(unused)}")
    without = [file for file in files if file not in rows]
    if tables and without:
        notes.append(f"files without a row in {SOURCES_NAME}: {_some(without)}")
    return rows, notes


def _header(cells, where):
    names = [_ALIASES.get(cell.lower(), cell.lower()) for cell in cells]
    if "file" not in names:
        hint = "; its cells seem to be parted by semicolons, expected commas" if ";" in cells[0] else ""
        raise AssetError(f"{where} has no column 'file' (its columns: {', '.join(cells)}){hint}")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise AssetError(f"{where} has the column {twice[0]!r} more than once")
    return names


def _some(names):
    shown = ", ".join(names[:_NAMES_IN_NOTE])
    return f"{shown} and {len(names) - _NAMES_IN_NOTE} more" if len(names) > _NAMES_IN_NOTE else shown
