"""Damage for finished sets, ways to make hashes and statistics fit it, and what `verify` reports.

The names of files and rows are those of the fixtures `original` and `damaged` (set_fixtures.py).
"""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from real_runs import call

from fgbg_depth import codec, schema
from fgbg_depth.card.write import write_card
from fgbg_depth.croissant import write_croissant
from fgbg_depth.errors import DataError
from fgbg_depth.files import write_text
from fgbg_depth.finish import split_tallies
from fgbg_depth.manifest import build_manifest, manifest_text
from fgbg_depth.produce import millimetres_of
from fgbg_depth.shards import footer_of, write_table
from fgbg_depth.stats import Tally, stats_json
from fgbg_depth.verify.places import Places

SHARD, OTHER_SHARD = "data/train/b000-00001.parquet", "data/train/b000-00002.parquet"
METADATA = "metadata/train/b000.parquet"
BACKGROUNDS, FOREGROUNDS = "backgrounds/b000.parquet", "foregrounds/b000.parquet"
ALL_ROWS = 1000  # more than any set here has
ROW = 5  # of a shard of 24 rows in groups of 8

# --- the command ---


def verify(folder, *flags, code=1):
    """Run `verify`, which must end with an exit code; returns the JSON report."""
    ended = call("verify", folder, "--json", "--quiet", "--workers", "1", *flags)
    assert ended.code == code, ended.err + ended.out
    return json.loads(ended.out)


def found(report, file, row=None, column=None, words=""):
    """The one finding about a place whose problem has some words."""
    there = [f for f in report["findings"] if (f["file"], f["row"], f["column"]) == (file, row, column) and words in f["problem"]]
    assert len(there) == 1, report["findings"]
    return there[0]


def files_of(report):
    """Names of all files with a finding."""
    return {finding["file"] for finding in report["findings"]}


# --- damage ---


def copy_of(folder, target):
    """A copy of a set that may be damaged."""
    shutil.copytree(folder, target)
    return Path(target)


def flip_bit(path, offset, bit=0):
    """Flip one bit of a file; a negative offset counts from its end."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def spans(path):
    """List of (start, stop, column, rows) of the values of a Parquet file, by `places`."""
    with pq.ParquetFile(path) as table:
        places = Places(table, path)
    return [(start, stop, column, rows) for start, (stop, (column, rows, _)) in zip(places._starts, places._spans, strict=True)]


def value_of(path, column, row):
    """Offset of the first byte of a picture, and its length [bytes]."""
    start, stop = next((start, stop) for start, stop, c, rows in spans(path) if c == column and list(rows) == [row])
    return start + 4, stop - start - 4  # 4 bytes of length lie before it


def replace_text(path, old, new):
    """Replace one piece of text that is there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def rewrite(folder, name, change, recipe=None, relative=False, group_rows=None, **footer_changes):
    """Write a Parquet file of a set anew with other content.

    Args:
        folder, name: the set and the file in it.
        change: function (columns), which may change the dict {column: list of values}; pictures are encoded bytes.
        recipe: config.Recipe; with it the statistics in the footer are counted anew.
        relative: True when the set's depth has no metres.
        group_rows: rows of a row group; None leaves the first one's size.
        footer_changes: fields of the Footer.
    """
    path = Path(folder) / name
    with pq.ParquetFile(path) as file:
        footer, group_rows = footer_of(file, path), group_rows or file.metadata.row_group(0).num_rows
        values = {n: file.read(columns=[n]).column(n).to_pylist() for n in file.schema_arrow.names}
    columns = schema.config_columns(footer.config, "depth_min_m" in values)
    values = {n: [v["bytes"] for v in listed] if columns[n] == schema.PICTURE else listed for n, listed in values.items()}
    change(values)
    if recipe is not None:
        footer = dataclasses.replace(footer, tally=count(values, recipe, relative).to_text())
    footer = dataclasses.replace(footer, **footer_changes)
    total = len(next(iter(values.values())))
    groups = [{n: listed[start : start + group_rows] for n, listed in values.items()} for start in range(0, total, group_rows)]
    write_table(path, columns, groups, lambda: footer)


def cell(column, row, value):
    """A change for `rewrite`: one value."""

    def change(values):
        values[column][row] = value

    return change


def drop_last_rows(count):
    """A change for `rewrite`: the last rows go."""

    def change(values):
        for listed in values.values():
            del listed[-count:]

    return change


def pixel(values, column, row, change):
    """Change the decoded pixels of one picture and store it anew."""
    if column == "image":
        array = codec.decode_rgb(values[column][row]).copy()
        change(array)
        values[column][row] = codec.encode_image(array, "jpeg", 90)
    else:
        array = codec.decode_gray(values[column][row]).copy()
        change(array)
        values[column][row] = codec.encode_mask(array)


def white(array, size=1):
    """Invert the pixels of the upper left corner."""
    array[:size, :size] = 255 - array[:size, :size]


def count(values, recipe, relative=False):
    """The Tally of some rows."""
    tally = Tally()
    for i in range(len(values["key"])):
        row = {name: listed[i] for name, listed in values.items()}
        image, mask = codec.decode_rgb(row["image"]), codec.decode_gray(row["mask"])
        levels = codec.decode_gray(row["depth"]) if "depth" in row else None
        tally.add(image, mask, (mask >= recipe.mask_threshold).astype(np.uint8), levels, millimetres_of(row, levels, relative))
    return tally


def refit(folder):
    """Write statistics, manifest, croissant.json and card anew, so that they fit whatever the tables hold."""
    folder = Path(folder)
    old = json.loads((folder / "manifest.json").read_text())
    facts = {name: value for name, value in old.items() if name not in ("files", "format")}
    with contextlib.suppress(ValueError, DataError):  # where no sum can be had the numbers stay as they are
        write_text(folder / "stats.json", stats_json(split_tallies(folder)))
    write_text(folder / "manifest.json", manifest_text(build_manifest(folder, facts)))
    write_croissant(folder)
    write_card(folder)
