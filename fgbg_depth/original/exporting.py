"""From a finished set to the tree of 2020: loose files, or one zip for each background.

Composites that are stored as JPEG go out byte for byte. Masks and depth maps are JPEG there, so they are encoded; or, without loss, every
picture keeps its stored bytes. What is there, whole and under its name, is done: a run that was killed goes on. annotations.txt comes
last. Memory doesn't grow with the number of rows, but for the lines of annotations.txt, which are sorted.
"""

import csv
import io
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ..asset_tables import KINDS, AssetReader, read_entries
from ..assets.containers import sniff_format
from ..assets.scan import IMPLICIT_GROUP
from ..assets.sources import SOURCES_NAME
from ..errors import FolderError, UsageError
from ..files import locked, sha256_of, storage_errors, swept, temp_path, whole_file, write_bytes, write_text
from ..manifest import MANIFEST_NAME
from ..pool import run_pool
from ..produce import usable_cores
from ..progress import Quiet
from ..shards import find_tables, open_table
from ..stored import check_whole
from ..verify.basis import recipe_of_set
from . import annotations
from .encoding import encode_for_tree, range_in_metres, suffix_of
from .names import CUTOUT_MASKS, FOLDER_OF, RowName, written_names
from .zips import write_zips

MARK_NAME = "export.json"  # says which set a tree is from, and how it was written
FORMAT = 1
ADVICE = "What was written is kept: run the same command again to go on"
_METADATA = ("background", "foreground", "flipped", "placement", "bbox", "placement_box")
_RANGES = ("depth_min_m", "depth_max_m")
_EXTENSION = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}


@dataclass(frozen=True)
class Exported:
    """What an export did: rows of the set, pictures or zips written now, bytes of the tree, seconds."""

    folder: Path
    rows: int
    written: int
    zips: int
    total_bytes: int
    seconds: float


@dataclass(frozen=True)
class Writing:
    """How rows become files of a tree.

    Attributes:
        source, folder: the set and the tree.
        names: {"background", "foreground": {id: name in the tree}}.
        has_depth: the set has depth maps.
        lossless: every picture keeps its stored bytes.
        stretches: depth maps are stored in millimetres, and go out with 8 bits over their own range.
    """

    source: Path
    folder: Path
    names: dict
    has_depth: bool
    lossless: bool
    stretches: bool = False

    @property
    def roles(self):
        return ("image", "mask", *(("depth",) if self.has_depth else ()))

    def stem(self, row):
        """The name of a row's pictures, without a suffix."""
        names = (self.names[kind][row[kind]] for kind in KINDS)
        return RowName(*names, row["flipped"], row["placement"]).stem

    def path(self, role, row, suffix):
        """Where a picture lies, below the top of the tree."""
        return f"{FOLDER_OF[role]}/{self.names['background'][row['background']]}/{self.stem(row)}{suffix}"

    def columns(self):
        """Columns of the data files that are read."""
        return [*_METADATA[:4], *self.roles]

    def rows(self, name, columns):
        """Rows of one table below the set's folder as dicts; pictures as bytes. One row group is in memory at a time."""
        with open_table(self.source / name) as table:
            for group in range(table.num_row_groups):
                for row in table.read_row_group(group, columns=columns).to_pylist():
                    yield {c: v["bytes"] if c in ("image", "mask", "depth") else v for c, v in row.items()}


def export_original(source, folder, zipped=False, lossless=False, num_workers=None, progress=None):
    """Write the tree of a set, or go on with one.

    Args:
        source: a finished set; nothing is written there.
        folder: where the tree shall be.
        zipped: one zip for each background, in place of loose files.
        lossless: every picture as it is stored (PNG masks and depth maps), in place of JPEG throughout.
        num_workers: processes; None takes one for each processor. Zips are written by one.
        progress: progress.Quiet or a subclass.

    Returns:
        Exported.

    Raises:
        UsageError: a folder is none, or they lie in each other.
        DataError: the set is unfinished or damaged.
        FolderError: the folder isn't empty, and holds no tree of this set, written in this way.
    """
    started, progress = time.monotonic(), progress or Quiet()
    source, folder = Path(source), Path(folder)
    _check_arguments(source, folder, num_workers)
    manifest = check_whole(source)
    entries = {kind: read_entries(source, kind)[0] for kind in KINDS}
    ids = {kind: [entry.plan.id for entry in entries[kind]] for kind in KINDS}
    names = {"background": {i: i for i in ids["background"]}, "foreground": written_names(ids["foreground"])}
    encoding = recipe_of_set(source)[0].depth_encoding if manifest["depth"] else None
    writing = Writing(source, folder, names, encoding is not None, lossless, encoding == "metric16" and not lossless)
    data = [name for name, facts in manifest["files"].items() if facts.get("config") == "default"]
    total = sum(manifest["files"][name]["rows"] for name in data)
    with locked(folder) as folder, swept(folder), storage_errors(folder):
        _claim(source, folder, zipped, lossless)
        for kind in KINDS:
            _write_assets(writing, kind, entries[kind])
        if zipped:
            written = write_zips(writing, data, progress)
        else:
            written = _write_loose(writing, data, total, num_workers or usable_cores(), progress)
        with progress.task("annotations", None):
            os.sync()
            rows = _write_annotations(writing)
    zips = len(names["background"]) if zipped else 0
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Exported(folder, rows, written, zips, size, time.monotonic() - started)


def _check_arguments(source, folder, num_workers):
    if not source.is_dir():
        raise UsageError(f"{source} is no folder; name the folder of a finished set")
    here, there = source.resolve(), folder.resolve()
    if there.is_relative_to(here) or here.is_relative_to(there):
        raise UsageError(f"{folder} and {source} lie in each other; choose another OUT")
    if num_workers is not None and num_workers < 1:
        raise UsageError(f"--workers is {num_workers}, expected at least 1")


def _claim(source, folder, zipped, lossless):
    """Mark an empty folder as the tree of this set; FolderError for one that holds something else."""
    mark = {"format": FORMAT, "manifest_sha256": sha256_of(source / MANIFEST_NAME), "zip": zipped, "lossless": lossless}
    path = folder / MARK_NAME
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FolderError(f"{path} can't be read: {error}; choose another OUT. Nothing was changed") from error
        if found != mark:
            words = f"{folder} is the tree of another set, or was written with other flags ({found})"
            raise FolderError(f"{words}; choose another OUT. Nothing was changed")
        return
    strange = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if strange:
        words = f"{folder} isn't empty ({', '.join(strange[:5])}) and holds no tree of this set"
        raise FolderError(f"{words}; choose another OUT. Nothing was changed")
    write_text(path, json.dumps(mark, sort_keys=True) + "\n")


# --- source pictures ---


def _write_assets(writing, kind, entries):
    """inp_bg and inp_fg with a SOURCES.csv each, and inp_fg_masks."""
    reader, top, lines = AssetReader(entries), writing.folder / FOLDER_OF[kind], []
    for entry in sorted(entries, key=lambda e: (e.table, e.row_group, e.row)):
        data, name = reader.stored_bytes(entry.plan.id), writing.names[kind][entry.plan.id]
        file = name + _EXTENSION[sniff_format(data)]
        write_bytes(top / file, data)
        group = "" if entry.plan.group.startswith(IMPLICIT_GROUP) else entry.plan.group
        lines.append((file, entry.licence, entry.author, entry.source, group, entry.url))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "licence", "author", "source", "group", "url"))
    table.writerows(sorted(lines))
    write_text(top / SOURCES_NAME, text.getvalue())
    if kind == "foreground":
        for path in find_tables(writing.source, "foregrounds"):
            _write_cutout_masks(writing, path)


def _write_cutout_masks(writing, path):
    with open_table(path) as table:
        for group in range(table.num_row_groups):
            for row in table.read_row_group(group, columns=["id", "mask"]).to_pylist():
                data = encode_for_tree("mask", row["mask"]["bytes"], writing.lossless)
                name = writing.names["foreground"][row["id"]] + suffix_of(data)
                write_bytes(writing.folder / CUTOUT_MASKS / name, data)


# --- rows as loose files ---


@dataclass(frozen=True)
class _LooseTask:
    """Writes the rows of single data files; an item is a file's name."""

    writing: Writing

    def open(self):
        return lambda name, say: _write_file(self.writing, name, say)


def _write_loose(writing, data, total, workers, progress):
    """Write the pictures that aren't there; returns how many were written."""
    written, done = [0], [0]
    with progress.task("write rows", total, unit="rows") as bar:

        def on_rows(count):
            done[0] += count
            bar.update(done[0])

        def on_result(_, count):
            written[0] += count

        run_pool(_LooseTask(writing), data, workers, on_result, on_rows, ADVICE)
    return written[0]


def _write_file(writing, name, say):
    written = count = 0
    for count, row in enumerate(writing.rows(name, writing.columns()), 1):
        for role in writing.roles:
            written += _write_picture(writing, role, row)
        if count % 100 == 0:
            say(100)
    say(count % 100)
    return written


def _write_picture(writing, role, row):
    """1 when a picture was written, 0 when it was there.

    It appears whole, but isn't flushed alone: that takes more time than all the rest. All are flushed together before annotations.txt is
    written; what a power failure leaves empty before that is written again.
    """
    suffix = suffix_of(row[role]) if writing.lossless else ".jpg"
    path = writing.folder / writing.path(role, row, suffix)
    if path.is_file() and path.stat().st_size:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = temp_path(path)
    temp.write_bytes(encode_for_tree(role, row[role], writing.lossless))
    temp.replace(path)
    return 1


# --- annotations ---


def _write_annotations(writing):
    """Write annotations.txt, sorted by name; returns the number of rows."""
    columns, config = [*_METADATA, *(_RANGES if writing.has_depth else ())], "metadata"
    if writing.stretches:
        columns, config = [*columns, "depth"], "default"
    rows = []
    for path in find_tables(writing.source, config):
        for row in writing.rows(path.relative_to(writing.source), columns):
            if writing.stretches:
                row |= dict(zip(_RANGES, range_in_metres(row["depth"]), strict=True))
            rows.append(_line(writing, row, path.parent.name))
    rows.sort()
    with whole_file(writing.folder / annotations.ANNOTATIONS_NAME) as temp, open(temp, "w", encoding="utf-8", newline="\n") as file:
        file.write(annotations.HEADER + "\n")
        file.writelines(line + "\n" for *_, line in rows)
    return len(rows)


def _line(writing, row, split):
    """(what a row is sorted by, its line)."""
    name = writing.stem(row) + ".jpg"
    where = row["background"], row["foreground"], row["flipped"], row["placement"]
    return (*where, annotations.line_of(name, row | {"split": split}))
