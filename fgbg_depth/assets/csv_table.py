"""A CSV that tells of pictures, such as SOURCES.csv: UTF-8 with or without a byte order mark, commas, a header in any order. Pure."""

import csv
import io
from dataclasses import dataclass

_ALIASES = {"license": "licence"}


@dataclass(frozen=True)
class Table:
    """What such a file holds.

    Attributes:
        header: its columns in their order: known ones in lower case, others as they stand.
        rows: list of (line number, {column: text}); empty lines are left out, and texts have no spaces around them.
        problems: list of (line number, reason) of the lines that can't be read.
    """

    header: tuple
    rows: list
    problems: list


def read_csv(data, where, columns, needed, error):
    """Read the bytes of a table.

    Args:
        data: the file's bytes.
        where: how errors name the file.
        columns: names that are known; upper and lower case don't matter.
        needed: those of them that must be there.
        error: class of the errors that are raised.

    Returns:
        Table.

    Raises:
        error: it isn't UTF-8, or is empty; a column that is needed is missing, or a known one is there twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{where} isn't UTF-8 (byte {cause.start:,}); save it as UTF-8") from cause
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, rows, problems = (), [], []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not header:
                header = _header(cells, where, columns, needed, error)
            elif any(cells[len(header) :]):
                problems.append((reader.line_num, f"{len(cells)} cells, but {len(header)} columns; put quotes around commas"))
            else:
                rows.append((reader.line_num, {**dict.fromkeys(header, ""), **dict(zip(header, cells, strict=False))}))
    except csv.Error as cause:
        problems.append((reader.line_num, f"not CSV: {cause}"))
    if not header and not problems:
        words = f"{' and '.join(needed)} {'is' if len(needed) == 1 else 'are'} needed"
        raise error(f"{where} is empty; expected the columns {', '.join(columns)}, of which {words}")
    return Table(header, rows, problems)


def _header(cells, where, columns, needed, error):
    plain = [_ALIASES.get(cell.lower(), cell.lower()) for cell in cells]
    for column in needed:
        if column not in plain:
            hint = "; its cells seem to be parted by semicolons, expected commas" if ";" in cells[0] else ""
            raise error(f"{where} has no column {column!r} (its columns: {', '.join(cells)}){hint}")
    twice = [column for column in columns if plain.count(column) > 1]
    if twice:
        raise error(f"{where} has the column {twice[0]!r} more than once")
    return tuple(name if name in columns else cell for name, cell in zip(plain, cells, strict=True))
