# ruff: noqa: PTH100, PTH111, PTH112, PTH116 - a path here may be a URL, which pathlib would break
"""The loading script of fgbg_depth sets, for the `datasets` library.

It yields the rows and features of a set's Parquet files, in their order. `load_dataset("DIR")` reads a set without it;
this is for those who load by script (`datasets` below 4, by path) or want a builder class to import and build on. Which
files a config has, and how many rows, is read from the set's manifest.json, so an unfinished set is never taken for a
whole one. README.md beside this file shows how to use it.

The file stands alone: `datasets` copies it away when it loads it by path, so it imports nothing of this package.
"""

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.table import table_cast
from datasets.utils.file_utils import xopen

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1
CONFIGS = {
    "default": "Composite, mask and depth with all metadata.",
    "metadata": "The same rows without pictures.",
    "backgrounds": "The background pictures.",
    "foregrounds": "The foreground cut-outs with their masks.",
}
SPLIT_NAMES = ("train", "validation", "test")  # the usual order; a manifest is sorted by name
ONLY_SPLIT = "train"  # what `datasets` calls the split of files that lie in no folder of a split
BATCH_ROWS = 100  # rows held at once: about 2.5 MB of 224 x 224 samples
CACHE_KEY_DIGITS = 16
_FILE_NAME = re.compile(r"(?P<folder>data|metadata|backgrounds|foregrounds)/((?P<split>\w+)/)?[\w-]+\.parquet")


@dataclass
class FgbgDepthConfig(datasets.BuilderConfig):
    """One table of a set.

    Attributes:
        columns: names of the columns to read; None reads all. They come in the order of the files.
    """

    columns: list | None = None


class FgbgDepth(datasets.ArrowBasedBuilder):
    """Builder of the configs `default`, `metadata`, `backgrounds` and `foregrounds` of a set.

    Args:
        config_name: one of the configs.
        data_dir: where the set is: a folder, `hf://datasets/user/set@revision`, or another URL that fsspec opens.
        columns: names of the columns to read; None reads all.
        **kwargs: as of `datasets.DatasetBuilder`: cache_dir, token, storage_options and others.

    Raises:
        ValueError: data_dir isn't given, its manifest isn't one of fgbg_depth, or a column is unknown.
        FileNotFoundError: data_dir holds no finished set, or a file of the set is missing.
    """

    BUILDER_CONFIG_CLASS = FgbgDepthConfig
    BUILDER_CONFIGS = [FgbgDepthConfig(name=name, description=text) for name, text in CONFIGS.items()]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = "default"

    def __init__(
        self,
        cache_dir=None,
        dataset_name=None,
        config_name=None,
        hash=None,
        *,
        data_dir=None,
        data_files=None,
        token=None,
        storage_options=None,
        **kwargs,
    ):
        if data_files is not None:
            raise ValueError("data_files isn't taken: give data_dir; the set's manifest.json lists its files")
        self._base = _base_of(data_dir)
        text = _read_manifest(self._base, datasets.DownloadConfig(token=token, storage_options=storage_options or {}))
        self._files = _files_of(self._base, text)
        # `datasets` keeps what it prepared under this key: a set that was appended to must not meet its old rows there.
        key = hashlib.sha256((hash or "").encode() + text).hexdigest()[:CACHE_KEY_DIGITS]
        access = {"token": token, "storage_options": storage_options}
        super().__init__(cache_dir, dataset_name, config_name, key, data_dir=self._base, **access, **kwargs)

    def _info(self):
        splits = self._files[self.config.name]
        path = _join(self._base, next(iter(splits.values()))[0][0])
        with self._open(path) as file, _readable(path):
            features = datasets.Features.from_arrow_schema(pq.read_schema(file))
        known = datasets.SplitDict()
        for split, files in splits.items():
            num_bytes, rows = (sum(facts[name] for _, facts in files) for name in ("bytes", "rows"))
            known.add(datasets.SplitInfo(split, num_bytes=num_bytes, num_examples=rows))
        features = _selected(features, self.config.columns)
        return datasets.DatasetInfo(description=CONFIGS[self.config.name], features=features, splits=known)

    def _split_generators(self, dl_manager):
        generators = []
        for split, files in self._files[self.config.name].items():
            paths = [_join(self._base, name) for name, _ in files]
            if not _is_remote(self._base):
                for path, (_, facts) in zip(paths, files, strict=True):
                    _check_file(path, facts["bytes"])
            elif not dl_manager.is_streaming:
                try:
                    paths = dl_manager.download(paths)
                except FileNotFoundError as error:
                    raise FileNotFoundError(f"{self._base}: a file that {MANIFEST_NAME} lists is missing: {error}") from error
            # Only lists are dealt out to processes and workers, at least one file to each.
            rows = [facts["rows"] for _, facts in files]
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"files": list(paths), "rows": rows}))
        return generators

    def _generate_tables(self, files, rows):
        schema = self.info.features.arrow_schema
        for shard, (path, num_rows) in enumerate(zip(files, rows, strict=True)):
            with self._open(path) as file, _readable(path):
                table = pq.ParquetFile(file, pre_buffer=False)
                if table.metadata.num_rows != num_rows:
                    raise ValueError(f"{path} has {table.metadata.num_rows} rows, but {MANIFEST_NAME} lists it with {num_rows}")
                number = 0
                for group in range(table.num_row_groups):
                    # No threads: a reader that stops half-way and leaves the interpreter would trip over them.
                    for batch in table.iter_batches(BATCH_ROWS, [group], columns=schema.names, use_threads=False):
                        yield _key(shard, number), table_cast(pa.Table.from_batches([batch]), schema)
                        number += 1

    def _open(self, path):
        access = datasets.DownloadConfig(token=self.token, storage_options=self.storage_options)
        try:
            return xopen(path, "rb", download_config=access)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{path} is missing, but {MANIFEST_NAME} lists it") from error


def _base_of(data_dir):
    """data_dir as an absolute path or a URL, without a slash at its end."""
    if not data_dir:
        raise ValueError('data_dir is missing: pass the folder or URL of a set, such as data_dir="DIR"')
    base = os.fspath(data_dir)
    if not _is_remote(base):
        return os.path.abspath(os.path.expanduser(base))
    return base.rstrip("/")


def _is_remote(path):
    return "://" in path


def _join(base, name):
    return f"{base}/{name}"


def _read_manifest(base, access):
    """The bytes of a set's manifest."""
    path = _join(base, MANIFEST_NAME)
    try:
        with xopen(path, "rb", download_config=access) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if not _is_remote(base) and not os.path.isdir(base):
            raise FileNotFoundError(f"data_dir is {base}, but there is no such folder") from error
        raise FileNotFoundError(
            f"{path} is missing: data_dir holds no fgbg_depth set, or an unfinished one; `fgbg-depth generate` finishes it"
        ) from error


def _files_of(base, text):
    """The files of a manifest: {config: {split: [(name, {"rows", "bytes", ...}), ...]}}, each list sorted by name."""
    path = _join(base, MANIFEST_NAME)
    try:
        manifest = json.loads(text)
        if manifest["format"] != MANIFEST_FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}, this script reads {MANIFEST_FORMAT}")
        tables = {name: facts for name, facts in manifest["files"].items() if name.endswith(".parquet")}
        found = {config: {} for config in CONFIGS}
        for name, facts in sorted(tables.items()):
            # The pattern is strict, so that no manifest can lead a reader out of the set.
            match = _FILE_NAME.fullmatch(name)
            if match is None:
                raise ValueError(f"it lists {name!r}, which is no place for a file of a set")
            if not isinstance(facts["rows"], int) or not isinstance(facts["bytes"], int):
                raise ValueError(f"rows and bytes of {name!r} aren't whole numbers")
            found[facts["config"]].setdefault(match["split"] or ONLY_SPLIT, []).append((name, facts))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no manifest of a fgbg_depth set: {type(error).__name__}: {error}") from error
    empty = [config for config, splits in found.items() if not splits]
    if empty:
        raise ValueError(f"{path} lists no file of {', '.join(empty)}")
    return {config: dict(sorted(splits.items(), key=_split_rank)) for config, splits in found.items()}


def _split_rank(item):
    name = item[0]
    return (SPLIT_NAMES.index(name) if name in SPLIT_NAMES else len(SPLIT_NAMES), name)


def _check_file(path, num_bytes):
    """Refuse a local file that is missing or was cut short, before any row is read."""
    try:
        found = os.stat(path).st_size
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing, but {MANIFEST_NAME} lists it; `fgbg-depth verify` names all damage") from error
    if found != num_bytes:
        raise ValueError(f"{path} has {found} bytes, but {MANIFEST_NAME} lists it with {num_bytes}; `fgbg-depth verify` names all damage")


def _selected(features, columns):
    """The features of some columns, in the order of the file."""
    if columns is None:
        return features
    unknown = [name for name in columns if name not in features]
    if unknown or not columns:
        raise ValueError(f"columns is {columns!r}; expected some of {', '.join(features)}")
    return datasets.Features({name: feature for name, feature in features.items() if name in columns})


@contextlib.contextmanager
def _readable(path):
    """Name the file when Arrow can't read it."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} can't be read as Parquet: {error}") from error


def _key(shard, number):
    """The key of a table: newer versions of `datasets` count the rows of each file by it, older ones take any text."""
    kind = getattr(datasets.builder, "Key", None)
    return f"{shard}_{number}" if kind is None else kind(shard, number)
