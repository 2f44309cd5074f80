"""Read the statistics of a set, from a folder, from S3 or from the Hub."""

import json

from .errors import DataError, UsageError
from .folders import as_folder, is_remote
from .s3 import check_folder

STATS_NAME = "stats.json"


def load_stats(name, split="train", revision=None):
    """Statistics of a set, such as the means and deviations to normalise by.

    Args:
        name: a set's folder, also in S3 ("s3://bucket/folder"), or its repo id on the Hub.
        split: "train", "validation", "test", "all", or None for the whole table.
        revision: of the repo: a tag such as "v1.0.0", a branch or a commit. Not for folders.

    Returns:
        dict as in stats.json: {column: {"mean", "std", "count", "min", "max", "quantiles", ...}}; `image` has three
        values each (R, G, B). Values are in [0, 1] as torchvision's ToTensor gives them; `depth_m` is in metres.

    Raises:
        UsageError: neither a folder nor a repo id, or the set has no such split.
        DataError: stats.json is missing or can't be read.
    """
    path = _stats_file(name, revision)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}; is {name} a finished set?") from error
    if split is None:
        return table
    if split not in table:
        raise UsageError(f"{name} has no split {split!r}; it has {', '.join(table)}")
    return table[split]


def _stats_file(name, revision):
    folder = as_folder(name)
    if is_remote(folder):
        check_folder(folder)  # a missing bucket is no missing file
    if is_remote(folder) or folder.is_dir():
        if revision is not None:
            raise UsageError(f"{name} is a folder; a revision ({revision!r}) is for repos on the Hub")
        if not (folder / STATS_NAME).is_file():
            raise DataError(f"{folder / STATS_NAME} is missing: the set is unfinished, or {name} holds none")
        return folder / STATS_NAME
    if str(name).count("/") != 1 or str(name).startswith((".", "/", "~")):
        raise UsageError(f"{name} is neither a folder nor a repo id such as user/set")
    from .hub import download_file

    return download_file(str(name), STATS_NAME, revision)
