"""SOURCES.csv: licence, author, source and group of the pictures that lie beside it.

Columns `file`, `licence`, `author`, `source`, `group`, `url`, in any order; only `file` is needed, others are
ignored. UTF-8 with or without a byte order mark, comma between cells. `file` is a path from the folder of the
SOURCES.csv.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import AssetError
from .csv_table import read_csv

SOURCES_NAME = "SOURCES.csv"
TEXTS = ("licence", "author", "source", "group", "url")
COLUMNS = ("file", *TEXTS)
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
    table = read_csv(data, where, COLUMNS, ("file",), AssetError)
    rows, lines, problems = {}, {}, list(table.problems)
    for line, values in table.rows:
        name = lookup_name(values["file"])
        if not name or name == ".":
            problems.append((line, "no file is named"))
        elif name.startswith("/") or name[1:3] == ":/" or ".." in PurePosixPath(name).parts:
            problems.append((line, f"{name!r} leads out of the folder"))
        elif name in rows:
            problems.append((line, f"{name!r} was named before, in line {lines[name]}"))
        else:
            rows[name] = SourceRow(**{column: values[column] for column in TEXTS if column in values})
            lines[name] = line
    if problems:
        problems.sort()
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


def _some(names):
    shown = ", ".join(names[:_NAMES_IN_NOTE])
    return f"{shown} and {len(names) - _NAMES_IN_NOTE} more" if len(names) > _NAMES_IN_NOTE else shown
