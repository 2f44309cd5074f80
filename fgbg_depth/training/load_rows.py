"""A set's rows with their pictures undecoded, from the disk or as a stream: `Collate` decodes them once, where it is quickest."""

from ..errors import UsageError
from .collate import PICTURES, RANGE

COLUMNS = ("key", *RANGE, *PICTURES)  # what training takes; a set without depth has fewer of them


def open_rows(name, split="train", streaming=False, columns=None, *, revision=None, shuffle_seed=None):
    """Open a set for training.

    Args:
        name: a set's folder, or a repo id on the Hub.
        split: "train", "validation" or "test".
        streaming: False gives a `datasets.Dataset`: any row at any time, after a repo was downloaded and, once, written to the cache.
            True gives `fgbg_depth.stream`: rows as they come, at once, with exact resume.
        columns: names of the columns; None takes those of `COLUMNS` that the set has.
        revision: of the repo: a tag, a branch or a commit.
        shuffle_seed: of a stream: shuffle its row groups. Rows on disk are shuffled by `Loader`.

    Returns:
        datasets.Dataset or datasets.IterableDataset, whose pictures are {"bytes", "path"}.

    Raises:
        UsageError: no such set, split or column.
        DataError, HubError: of a stream, as `fgbg_depth.stream` raises them.
    """
    from datasets import Image

    rows = _stream(name, split, revision, shuffle_seed) if streaming else _table(name, split, revision, shuffle_seed)
    if rows.features is None:
        raise UsageError(f"{name} doesn't say what columns it has; is it a set of this package?")
    if columns is None:
        columns = [column for column in COLUMNS if column in rows.features]
    unknown = [column for column in columns if column not in rows.features]
    if unknown or not columns:
        raise UsageError(f"{name} has {f'no column {unknown[0]!r}' if unknown else 'none of them'}; it has {', '.join(rows.features)}")
    # A stream is opened again: only now is it known what there is, and nothing else is to be fetched.
    rows = _stream(name, split, revision, shuffle_seed, columns) if streaming else rows.select_columns(list(columns))
    for column, feature in list(rows.features.items()):
        if isinstance(feature, Image):
            rows = rows.cast_column(column, Image(decode=False))
    return rows


def _stream(name, split, revision, shuffle_seed, columns=None):
    from ..streaming import stream

    return stream(name, split, columns, revision=revision, shuffle_seed=shuffle_seed)


def _table(name, split, revision, shuffle_seed):
    from datasets import load_dataset

    if shuffle_seed is not None:
        raise UsageError("shuffle_seed is for streams; rows on disk are shuffled by Loader(..., seed=)")
    try:
        return load_dataset(str(name), split=split, revision=revision)
    except (FileNotFoundError, ValueError) as error:  # no such set; no such split
        raise UsageError(f"{name}, split {split!r}, can't be loaded: {error}") from error
