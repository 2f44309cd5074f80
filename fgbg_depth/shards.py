"""Parquet files as a set has them: how they are written, and what their footers say.

Layout, with the reason for each choice:

* picture columns PLAIN and uncompressed: JPEG and PNG bytes don't compress again, and a dictionary of them is waste;
* column statistics for numbers only: those of picture bytes would make the footer five times as large, and rows lie in a random order,
  so the range of the ids is the same everywhere;
* row groups of 100 rows, so that a reader can take a small part;
* page index on, as the Hub's own writer does;
* the `datasets` features in the schema's metadata, so that a file alone is typed.

A footer also holds, as JSON under "fgbg_depth", what the file is: recipe digest, asset-list digest, batch, row range and the
partial statistics. The files are the state of a set; there is no other.
"""

import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from . import schema
from .errors import DataError
from .files import whole_file
from .folders import as_folder, is_remote

FOOTER_KEY = "fgbg_depth"
BAD_DEPTH = "bad_depth"  # in a footer's `extra`
WORK_NAMES = ("config", "batch", "split", "index", "start", "stop", "recipe", "assets", "dropped")  # of a Footer: which rows it has
SCALAR_COMPRESSION = "zstd"  # keys and boxes shrink to a third; every reader of the last years knows it
DICTIONARY_COLUMNS = ("background", "foreground", "split", "group", "licence", "author", "source", "url")
METADATA_GROUP_ROWS = 10_000  # of the tables without pictures: about 300 kB, so that a reader takes few, large pieces
NO_STATISTICS = (schema.PICTURE, schema.BOX, pa.string())


@dataclass(frozen=True)
class Footer:
    """What a file says of itself.

    Attributes:
        config: "default", "metadata", "backgrounds" or "foregrounds".
        batch, split, index, start, stop: which rows; split is "" in asset files.
        recipe: digest of the recipe.
        assets: digest of the batch's asset list.
        tally: text of the partial statistics, "" where there are none.
        versions: library -> version that wrote the file.
        extra: further JSON values: the asset files hold the whole recipe; a data file without some of its planned rows has their
            keys as "bad_depth".
        dropped: rows of start..stop that were taken out of the file again, as their pictures were (see dropped.py); None for none.
    """

    config: str
    batch: int
    split: str
    index: int
    start: int
    stop: int
    recipe: str
    assets: str
    tally: str = ""
    versions: dict | None = None
    extra: dict | None = None
    dropped: int | None = None

    def to_json(self):
        return json.dumps({k: v for k, v in self.__dict__.items() if v is not None}, sort_keys=True, separators=(",", ":"))

    def same_work(self, other):
        """True when both footers name the same rows of the same recipe and assets."""
        return all(getattr(self, name) == getattr(other, name) for name in WORK_NAMES)

    @property
    def left_out(self):
        """Keys of planned rows that the file doesn't hold, as the network gave no depth for them: a tuple, mostly empty."""
        keys = self.extra.get(BAD_DEPTH) if isinstance(self.extra, dict) else None
        return tuple(keys) if isinstance(keys, list) else ()


def left_out_entry(keys):
    """The `extra` of a data file's Footer: None where no planned row was left out, so that the footer says nothing of it."""
    return {BAD_DEPTH: list(keys)} if keys else None


def write_table(path, columns, groups, finish, only_new=False):
    """Write one Parquet file, whole or not at all.

    Args:
        path: the file.
        columns: name -> Arrow type, the order on disk.
        groups: iterable of {name: list of values}; each becomes a row group. A picture's value is its encoded bytes.
        finish: function () -> Footer, called after the last group, when the statistics are known.
        only_new: see files.whole_file.

    Returns:
        the Footer.
    """
    arrow = schema.arrow_schema(columns)
    with whole_file(path, only_new) as temp, pq.ParquetWriter(temp, arrow, **writer_options(columns)) as writer:
        for group in groups:
            arrays = [_array(group[name], kind) for name, kind in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=arrow), row_group_size=max(1, len(arrays[0])))
        footer = finish()
        writer.add_key_value_metadata({FOOTER_KEY: footer.to_json()})
    return footer


def _array(values, kind):
    if kind == schema.PICTURE:
        values = [None if v is None else {"bytes": v, "path": None} for v in values]
    return pa.array(values, kind)


def writer_options(columns):
    """Arguments of pyarrow's ParquetWriter for columns, name -> Arrow type."""
    pictures = schema.picture_columns(columns)
    leaves = []
    for name, kind in columns.items():
        if kind == schema.PICTURE:
            leaves += [f"{name}.bytes", f"{name}.path"]
        else:
            leaves.append(f"{name}.list.element" if kind == schema.BOX else name)
    raw = [leaf for leaf in leaves if leaf.split(".")[0] in pictures]
    return {
        "compression": {leaf: "NONE" if leaf in raw else SCALAR_COMPRESSION for leaf in leaves},
        "use_dictionary": [name for name in columns if name in DICTIONARY_COLUMNS],
        "write_statistics": [name for name, kind in columns.items() if kind not in NO_STATISTICS],
        "write_page_index": True,
        "store_schema": True,
    }


def read_footer(path):
    """Read what a file says of itself; its rows aren't touched.

    Raises:
        DataError: it is no Parquet file, is cut short, or wasn't written by this package.
    """
    with open_table(path) as file:
        return footer_of(file, path)


def own_footer(path):
    """As `read_footer`, for a file that a run can make anew: the error says so."""
    try:
        return read_footer(path)
    except DataError as error:
        raise DataError(f"{error}. Delete this file and run the same command again to make it anew") from error


def open_table(path):
    """Open a Parquet file; DataError when it is none, or is cut short."""
    try:
        source = path.open("rb") if is_remote(path) else path
        return pq.ParquetFile(source, memory_map=False, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def read_columns(path, columns):
    """Some columns of a whole Parquet file as a pyarrow.Table; in S3 their bytes are fetched together."""
    if not is_remote(path):
        return pq.read_table(path, columns=list(columns), partitioning=None)
    source = path.open("rb")
    with pq.ParquetFile(source, pre_buffer=False) as file:
        groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
        chunks = (group.column(i) for group in groups for i in range(group.num_columns))
        source.prefetch([_span(chunk) for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns])
        return file.read(columns=list(columns))


def _span(chunk):
    """(start, stop) of a column chunk's bytes."""
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    return start, start + chunk.total_compressed_size


def footer_of(file, path):
    """The Footer of an open pyarrow.parquet.ParquetFile."""
    text = (file.metadata.metadata or {}).get(FOOTER_KEY.encode())
    if text is None:
        raise DataError(f"{path}: the footer has no {FOOTER_KEY!r} entry; fgbg_depth didn't write this file")
    try:
        return Footer(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: the {FOOTER_KEY!r} entry of the footer can't be read: {error}") from error


def find_tables(folder, config):
    """All Parquet files of one config below a set's folder, sorted by path; hidden files don't count."""
    top = {"default": "data"}.get(config, config)
    return sorted(p for p in (as_folder(folder) / top).rglob("*.parquet") if not p.name.startswith("."))
