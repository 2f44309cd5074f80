"""What there is to stream: the files of one split of a set, and the units that their rows are handed out in.

A unit is a run of rows of one file, a row group wherever that is known. Units are what is shuffled and dealt out to nodes and
workers. They are worked out from the manifest and the recipe, so no data file is opened for it.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import schema
from ..config import RECIPE_NAME, SPLIT_NAMES, Recipe
from ..errors import DataError, UsageError
from ..manifest import FORMAT, MANIFEST_NAME
from ..shards import METADATA_GROUP_ROWS
from .folder_files import FolderFiles
from .hub_files import HubFiles

ASSET_SPLIT = "train"  # tables without splits have this one, as `load_dataset` has it
ASSET_UNIT_ROWS = 10  # source pictures are large, and their row groups end by size


@dataclass(frozen=True)
class File:
    """A Parquet file of a set: path in it, size [bytes], rows, and sha256 of its content."""

    path: str
    size: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class Catalog:
    """One split of one config at one revision.

    Attributes:
        files: HubFiles at a commit, or FolderFiles.
        config, split: names.
        tables: tuple of File, in the order in which `load_dataset` reads them.
        units: (n, 3) int64: index of the file, first row, row after the last.
        rows: {split: rows} and sizes: {split: bytes} of all splits of the config.
    """

    files: object
    config: str
    split: str
    tables: tuple
    units: np.ndarray
    rows: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)

    def digest(self):
        """Text that changes with the content of the split, and with how it is cut into units."""
        content = json.dumps([[table.sha256, table.rows] for table in self.tables]).encode()
        return hashlib.sha256(content + self.units.astype("<i8").tobytes()).hexdigest()[:32]


def open_catalog(repo, config, split, revision=None):
    """Find out what there is to stream.

    Args:
        repo: a repo id on the Hub, or a set's folder.
        config: "default", "metadata", "backgrounds" or "foregrounds".
        split: "train", "validation" or "test"; source pictures have "train" only.
        revision: of the repo: a tag, a branch or a commit; it is resolved to a commit here, once and for all.

    Returns:
        Catalog.

    Raises:
        UsageError: there is no such set, revision, config or split.
        DataError: it is no set of this package, or not a whole one.
        HubError: the Hub can't be reached.
    """
    if config not in schema.CONFIGS:
        raise UsageError(f"config {config!r}: expected one of {', '.join(schema.CONFIGS)}")
    files, manifest = open_files(repo, revision)
    tables = tables_of(manifest, config, files.name)
    split = str(split)
    if split not in tables:
        raise UsageError(f"config {config!r} of {repo} has no split {split!r}; it has {', '.join(tables) or 'none'}")
    found = tuple(tables[split])
    units = cut_into_units([table.rows for table in found], _unit_rows(files, manifest, config))
    rows = {name: sum(table.rows for table in those) for name, those in tables.items()}
    sizes = {name: sum(table.size for table in those) for name, those in tables.items()}
    return Catalog(files, config, split, found, units, rows, sizes)


def read_listed(files, manifest, path):
    """The bytes of a small file that the manifest lists, such as stats.json.

    Raises:
        DataError: it isn't listed, or isn't as the manifest says.
    """
    facts = manifest["files"].get(path)
    try:
        file = File(path, int(facts["bytes"]), 0, str(facts["sha256"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{MANIFEST_NAME} of {files.name}: the entry of {path} is missing, or can't be read") from error
    data = files.read(file, 0, file.size)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DataError(f"{path} of {files.name} isn't the file that {MANIFEST_NAME} lists: its sha256 is another")
    return data


def cut_into_units(rows_of_files, unit_rows):
    """Cut files into units of so many rows; the last one of a file may be smaller.

    Args:
        rows_of_files: rows of each file.
        unit_rows: rows of a unit.

    Returns:
        (n, 3) int64: index of the file, first row, row after the last.
    """
    units = [
        (number, start, min(start + unit_rows, rows)) for number, rows in enumerate(rows_of_files) for start in range(0, rows, unit_rows)
    ]
    return np.array(units, dtype=np.int64).reshape(-1, 3)


def open_files(repo, revision=None):
    """Open a set: (HubFiles at a commit or FolderFiles, its manifest). Arguments and errors are those of `open_catalog`."""
    if Path(repo).is_dir():
        if revision is not None:
            raise UsageError(f"{repo} is a folder; a revision ({revision!r}) is for repos on the Hub")
        files = FolderFiles(Path(repo).resolve())
        try:
            text = (files.folder / MANIFEST_NAME).read_bytes()
        except FileNotFoundError:
            raise DataError(f"{files.folder / MANIFEST_NAME} is missing: the set is unfinished, or {repo} holds none") from None
        except OSError as error:
            raise DataError(f"{files.folder / MANIFEST_NAME} can't be read: {error}") from error
        return files, _manifest(text, files.name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(repo)) or str(repo).startswith("."):
        raise UsageError(f"{repo} is neither a folder nor a repo id such as user/set")
    text, commit = HubFiles(str(repo), revision).read_small(MANIFEST_NAME)
    files = HubFiles(str(repo), commit)
    return files, _manifest(text, files.name)


def _manifest(text, name):
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise DataError(f"{MANIFEST_NAME} of {name} can't be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
        raise DataError(f"{MANIFEST_NAME} of {name}: expected a manifest of format {FORMAT}; was the set made by a newer fgbg_depth?")
    return manifest


def tables_of(manifest, config, name):
    """{split: [File]} of a config, splits in the usual order, files sorted by path."""
    tables = {}
    for path, facts in sorted(manifest["files"].items()):
        if facts.get("config") != config:
            continue
        parts = path.split("/")
        split = parts[1] if len(parts) > 2 else ASSET_SPLIT
        try:
            tables.setdefault(split, []).append(File(path, int(facts["bytes"]), int(facts["rows"]), str(facts["sha256"])))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{MANIFEST_NAME} of {name}: the entry of {path} can't be read: {error!r}") from error
    order = [*SPLIT_NAMES, *tables]
    return dict(sorted(tables.items(), key=lambda item: order.index(item[0])))


def _unit_rows(files, manifest, config):
    if config == "metadata":
        return METADATA_GROUP_ROWS
    if config != "default":
        return ASSET_UNIT_ROWS
    return _rows_per_group(files, manifest)


def _rows_per_group(files, manifest):
    """Rows of a row group, by the recipe in the set. A wrong number costs bytes, not rows, so one that can't be read is guessed."""
    usual = Recipe.__dataclass_fields__["rows_per_group"].default
    facts = manifest["files"].get(RECIPE_NAME)
    if facts is None:
        return usual
    text = files.read(File(RECIPE_NAME, int(facts["bytes"]), 0, str(facts["sha256"])), 0, int(facts["bytes"]))
    try:
        rows = tomllib.loads(text.decode("utf-8")).get("rows_per_group", usual)
    except ValueError:
        return usual
    return rows if isinstance(rows, int) and rows > 0 else usual
