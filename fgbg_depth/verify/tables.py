"""The shell of a Parquet file: hash, footer, schema and row groups; and its columns, read so that damage is pinned down."""

import itertools
import json

import pyarrow as pa
import pyarrow.compute as pc

from .. import schema
from ..errors import StorageError
from ..files import sha256_of
from ..shards import WORK_NAMES, footer_of, open_table

MAX_ENTRY_BYTES = 48 << 10  # of a footer: schema, and statistics, of which a model of up to 10 m fills 40 kB
MAX_GROUP_BYTES = 2 << 10  # of a footer, for each row group
FOOTER_RANGE_M = 10.0  # for models that see farther, a count for each millimetre takes more, and no bound is promised
MAGIC = b"PAR1"
TRAILER_BYTES = 8  # the footer's length and the magic number


def check_hash(basis, name, found):
    """Compare a file with the manifest.

    Returns:
        True when size and hash are those of the manifest, False when they aren't, None when it isn't listed.
    """
    facts, path = basis.listed.get(name), basis.folder / name
    if facts is None:
        return None
    size = path.stat().st_size
    if size != facts.get("bytes"):
        what = "is cut short" if isinstance(facts.get("bytes"), int) and size < facts["bytes"] else "has changed"
        found.add(name, f"{what}: it has {size:,} bytes, the manifest says {facts.get('bytes')!r}")
        return False
    sha256 = sha256_of(path)
    if sha256 != facts.get("sha256"):
        found.add(name, f"its bytes have changed: sha256 {sha256[:12]}..., the manifest says {str(facts.get('sha256'))[:12]}...")
        return False
    return True


def open_checked(basis, name, config, expected, group_rows, found):
    """Open a table and check all but its rows.

    Args:
        basis: Basis.
        name: the file, below the set's folder.
        config: "default", "metadata", "backgrounds" or "foregrounds".
        expected: the Footer that it should have; its statistics and versions aren't compared. None when it isn't known.
        group_rows: rows of each row group but the last, or None.
        found: Findings.

    Returns:
        (pyarrow.parquet.ParquetFile, Footer), or None when it can't be read; the caller closes the file.
    """
    path = basis.folder / name
    try:
        table = open_table(path)
        footer = footer_of(table, name)
    except StorageError:
        raise
    except Exception as error:  # a damaged footer may raise anything
        found.add(name, f"can't be opened: {_short(error, path, name)}")
        return None
    _check_footer(table, footer, name, expected, found)
    _check_schema(table, name, schema.config_columns(config, basis.recipe.has_depth), found)
    _check_groups(table, name, group_rows, found)
    size = footer_bytes(path)
    farthest = (basis.depth or {}).get("max_depth_m") or (FOOTER_RANGE_M if basis.depth is None else float("inf"))
    limit = MAX_ENTRY_BYTES + MAX_GROUP_BYTES * table.num_row_groups
    if size > limit and farthest <= FOOTER_RANGE_M:
        found.add(name, f"its footer has {size:,} bytes, expected at most {limit:,}")
    listed_rows = basis.listed.get(name, {}).get("rows", table.metadata.num_rows)
    if listed_rows != table.metadata.num_rows:
        found.add(name, f"has {table.metadata.num_rows:,} rows, the manifest says {listed_rows!r}")
    return table, footer


def footer_bytes(path):
    """Length of a Parquet file's footer, trailer included [bytes]."""
    with path.open("rb") as file:
        file.seek(-TRAILER_BYTES, 2)
        return int.from_bytes(file.read(4), "little") + TRAILER_BYTES


def _check_footer(table, footer, name, expected, found):
    if not isinstance(footer.versions, dict | None) or not isinstance(footer.tally, str):
        found.add(name, "the footer's entry is malformed")
    if expected is not None and not footer.same_work(expected):
        differ = [n for n in WORK_NAMES if getattr(footer, n) != getattr(expected, n)]
        words = ", ".join(f"{n} {getattr(footer, n)!r} (expected {getattr(expected, n)!r})" for n in differ)
        found.add(name, f"the footer is that of other work: {words}")
    if expected is not None and footer.left_out != expected.left_out:
        found.add(name, f"its footer leaves out {len(footer.left_out):,} rows for their depth, expected {len(expected.left_out):,}")
    rows = table.metadata.num_rows
    if isinstance(footer.start, int) and isinstance(footer.stop, int):
        told = footer.stop - footer.start - (footer.dropped if isinstance(footer.dropped, int) else 0) - len(footer.left_out)
        if rows != told:
            found.add(name, f"has {rows:,} rows, but its footer says {told:,}")


def _check_schema(table, name, columns, found):
    expected = schema.arrow_schema(columns)
    actual = table.schema_arrow
    if not actual.equals(expected):
        missing = [n for n in expected.names if n not in actual.names]
        strange = [n for n in actual.names if n not in expected.names]
        other = [n for n in expected.names if n in actual.names and actual.field(n).type != expected.field(n).type]
        sorts = (("lacks", missing), ("has", strange), ("has other types for", other))
        words = [f"{what} {', '.join(names)}" for what, names in sorts if names]
        found.add(name, f"its columns aren't those of the config: {'; '.join(words) or 'another order'}")
    text = (actual.metadata or {}).get(b"huggingface")
    try:
        same = json.loads(text) == json.loads(expected.metadata[b"huggingface"])
    except (TypeError, ValueError):
        same = False
    if not same:
        found.add(name, "the `datasets` features in its schema aren't those of the config")


def _check_groups(table, name, group_rows, found):
    if group_rows is None:
        return
    sizes = [table.metadata.row_group(g).num_rows for g in range(table.num_row_groups)]
    total = sum(sizes)
    expected = [min(group_rows, total - start) for start in range(0, total, group_rows)]
    if sizes != expected:
        at = next(g for g, pair in enumerate(itertools.zip_longest(sizes, expected)) if pair[0] != pair[1])
        found.add(name, f"its row groups should have {group_rows:,} rows each; from group {at} on they don't")


def group_starts(table):
    """Number of the first row of each row group, and the number of rows at the end."""
    starts = [0]
    for group in range(table.num_row_groups):
        starts.append(starts[-1] + table.metadata.row_group(group).num_rows)
    return starts


def read_group(table, name, group, first_row, columns, found):
    """Read some columns of one row group; a column that can't be read is found and left out.

    Args:
        table: ParquetFile.
        name: its name, for findings.
        group: number of the row group.
        first_row: number of its first row in the file.
        columns: names; those that the file lacks are left out.
        found: Findings.

    Returns:
        {column: list of values}; a picture's value is its encoded bytes.
    """
    columns = [column for column in columns if column in table.schema_arrow.names]
    try:
        return _values(table.read_row_group(group, columns=columns))
    except StorageError:
        raise
    except Exception:  # which column it is comes out below
        values = {}
    for column in columns:
        try:
            values |= _values(table.read_row_group(group, columns=[column]))
        except Exception as error:  # damaged pages may raise anything
            last = first_row + table.metadata.row_group(group).num_rows - 1
            found.add(name, f"rows {first_row} to {last} can't be read: {_short(error, name)}", first_row, column)
    return values


def _values(table):
    table.validate(full=True)
    values = {}
    for column in table.column_names:
        array = table.column(column)
        if array.type == schema.PICTURE:
            paths = pc.struct_field(array, "path")
            if paths.null_count != len(paths):
                raise pa.ArrowInvalid("a stored picture has a path beside its bytes")
            array = pc.struct_field(array, "bytes")
        values[column] = array.to_pylist()
    return values


def _short(error, *paths):
    """An error's words, without the names that the finding gives anyway."""
    text = f"{error or type(error).__name__}"
    for path in paths:
        text = text.removeprefix(f"{path}: ")
    return text[:300]
