"""`fgbg_depth.stream`: open a set on the Hub, or a folder, as a stream of rows."""

import inspect
from numbers import Integral

import numpy as np
from datasets import DatasetInfo, Features, IterableDataset, NamedSplit, SplitDict, SplitInfo

from ..errors import UsageError
from .catalog import open_catalog
from .rows import UnitRows
from .tables import Tables


def stream(repo, split="train", columns=None, *, config="default", revision=None, shuffle_seed=None):
    """Stream a set without a download: quick to the first row, exact to resume, and not lost when a connection drops.

    What comes back is a plain `datasets.IterableDataset`: `map`, `filter`, `take`, `with_format("torch")`, DataLoader workers,
    `split_dataset_by_node`, `set_epoch`, `state_dict` and `load_state_dict` work as ever. A state names the very next row: none
    is lost or repeated, with `shuffle_seed`, several workers and several nodes too. (`IterableDataset.shuffle` with a buffer
    forgets its buffer, as always.)

    Args:
        repo: a repo id on the Hub such as "user/set", or a set's folder.
        split: "train", "validation" or "test"; the configs of source pictures have "train" only.
        columns: names of the columns to read, None for all; the others aren't downloaded.
        config: "default", "metadata" (the same rows without pictures, at a small part of the bytes), "backgrounds" or "foregrounds".
        revision: of the repo: a tag such as "v1.0.0", a branch or a commit. It is resolved to a commit here, so all rows are of one
            version, whatever is pushed meanwhile.
        shuffle_seed: shuffle the row groups by this seed and the epoch (`set_epoch`); None takes the order of the files, which is
            mixed already, in epoch 0. (From `datasets` 5 on, `set_epoch` shuffles any stream in later epochs.)

    Returns:
        datasets.IterableDataset; pictures decode to PIL.

    Raises:
        UsageError: no such set, revision, config, split or column.
        TokenError: the token may not read it.
        DataError: it isn't a set of this package, or a damaged one; while reading, too.
        HubError: the Hub can't be reached for minutes; while reading, too. `state_dict()` then still names the next row.
    """
    if shuffle_seed is not None and (not isinstance(shuffle_seed, Integral) or shuffle_seed < 0):
        raise UsageError(f"shuffle_seed is {shuffle_seed!r}, expected a number from 0 up, or None")
    catalog = open_catalog(repo, config, split, revision)
    tables = Tables(catalog.files)
    first = catalog.tables[0]
    features = Features.from_arrow_schema(tables.footer(first).schema.to_arrow_schema())
    names = _chosen(columns, features, repo)
    rows = UnitRows(tables, catalog, names, tables.column_bytes(first, names))
    return _dataset(rows, Features({name: features[name] for name in names}), str(repo), shuffle_seed)


def _chosen(columns, features, repo):
    if columns is None:
        return list(features)
    if isinstance(columns, str):
        raise UsageError(f"columns is {columns!r}, expected a list such as [{columns!r}]")
    unknown = [name for name in columns if name not in features]
    if unknown or not columns:
        raise UsageError(f"{repo} has no column {unknown[0]!r}; it has {', '.join(features)}" if unknown else "columns is empty")
    return [name for name in features if name in columns]


def _dataset(rows, features, name, shuffle_seed):
    catalog, more = rows.catalog, {}
    if shuffle_seed is not None:
        generator = np.random.default_rng(int(shuffle_seed))
        if "shuffling" in inspect.signature(IterableDataset.__init__).parameters:
            # Versions before 5 reorder in each epoch, the first too, but only what they know to be shuffled.
            from datasets.iterable_dataset import ShufflingConfig

            more["shuffling"] = ShufflingConfig(generator=generator, _original_seed=int(shuffle_seed))
        else:
            rows = rows.shuffle_data_sources(generator)
    splits = SplitDict()
    for split, count in catalog.rows.items():
        splits.add(SplitInfo(split, num_bytes=catalog.sizes[split], num_examples=count))
    info = DatasetInfo(features=features, splits=splits, config_name=catalog.config, dataset_name=name.rstrip("/").split("/")[-1])
    return IterableDataset(rows, info=info, split=NamedSplit(catalog.split), **more)
