"""manifest.json: each data file with rows, bytes and sha256, the recipe's digest and the library versions.

It holds no clock time and no version, and doesn't list the card, so it is the same however often it is made. The data
files are all Parquet files, stats.json and recipe.toml; and dropped.json, where pictures were taken out.
"""

import importlib.metadata
import json

from . import schema
from .dropped import DROPPED_NAME
from .errors import DataError
from .files import size_and_sha256
from .folders import as_folder
from .shards import find_tables, open_table

MANIFEST_NAME = "manifest.json"
OTHER_FILES = ("recipe.toml", "stats.json")
OPTIONAL_FILES = (DROPPED_NAME,)
FORMAT = 1
VERSIONED = ("pillow", "numpy", "opencv", "pyarrow")
VERSIONED_DEPTH = ("torch", "transformers")
PICTURE_LIBRARIES = ("pillow", "numpy", "opencv")  # those that make and encode composites
_DISTRIBUTIONS = {"opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")}


def library_versions(has_depth):
    """Versions of the libraries whose builds can move a byte: {name: version}."""
    versions = {}
    for name in VERSIONED + (VERSIONED_DEPTH if has_depth else ()):
        for distribution in _DISTRIBUTIONS.get(name, (name,)):
            try:
                versions[name] = importlib.metadata.version(distribution)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return versions


def build_manifest(folder, facts, on_file=None):
    """Hash and count all data files of a folder.

    Args:
        folder: the set's folder.
        facts: further entries: recipe digest, lists, depth model, library versions.
        on_file: function (done, total), called after each file.

    Returns:
        dict, ready for `write_manifest`.
    """
    folder = as_folder(folder)
    tables = [(config, path) for config in schema.CONFIGS for path in find_tables(folder, config)]
    files = {}
    others = [*OTHER_FILES, *(name for name in OPTIONAL_FILES if (folder / name).is_file())]
    total = len(tables) + len(others)
    for done, (config, path) in enumerate(tables, 1):
        with open_table(path) as table:
            rows = table.metadata.num_rows
        files[path.relative_to(folder).as_posix()] = {"config": config, "rows": rows, **_facts_of(path)}
        if on_file:
            on_file(done, total)
    for done, name in enumerate(others, len(tables) + 1):
        files[name] = _facts_of(folder / name)
        if on_file:
            on_file(done, total)
    return {"format": FORMAT, **facts, "files": dict(sorted(files.items()))}


def _facts_of(path):
    size_bytes, sha256 = size_and_sha256(path)
    return {"bytes": size_bytes, "sha256": sha256}


def manifest_text(manifest):
    """The text of manifest.json."""
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"


def read_manifest(folder):
    """The manifest of a finished set.

    Raises:
        DataError: there is none, or it isn't one of ours.
    """
    path = as_folder(folder) / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing: the set is unfinished, or {folder} holds none. Run `fgbg-depth generate` to finish it"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
        raise DataError(f"{path}: expected a manifest of format {FORMAT}")
    return manifest
