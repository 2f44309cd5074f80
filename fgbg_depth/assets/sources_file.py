"""Writing SOURCES.csv: the form that `sources.py` reads, with the sha256 of each file beside it."""

import csv
import io

from ..errors import AssetError
from .csv_table import read_csv
from .sources import COLUMNS, SOURCES_NAME, lookup_name, parse_sources

WRITTEN = (*COLUMNS, "sha256")


def read_table(folder):
    """The rows of a folder's SOURCES.csv with all their columns.

    Returns:
        {posix path: {column: text}}, in their order; {} without a file.

    Raises:
        AssetError: the file can't be used, see `parse_sources`.
    """
    path = folder / SOURCES_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AssetError(f"{path} can't be read: {error.strerror}") from error
    parse_sources(data, str(path))  # has the words for what is wrong
    table = read_csv(data, str(path), WRITTEN, ("file",), AssetError)
    return {lookup_name(row["file"]): row for _, row in table.rows}


def table_bytes(rows):
    """The bytes of a SOURCES.csv.

    Args:
        rows: list of {column: text}; columns beside the usual ones come behind them, in the order in which they turn up.
    """
    extra = dict.fromkeys(name for row in rows for name in row if name and name not in WRITTEN)
    columns = [*(name for name in WRITTEN if name != "group" or any(row.get("group") for row in rows)), *extra]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return out.getvalue().encode()
