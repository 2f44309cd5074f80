"""What the tests of streaming share: a set of noise whose files are larger than what is read at once, and calls in the client's process.

The noise set has 4 data files in train, of 20, 60, 60 and 34 rows in groups of 20, a row of about 9 kB. So its files have several
row groups, some of them short, and their columns lie far enough apart to be read alone.
"""

import functools
import hashlib
import io
import json
import tempfile
import weakref
from pathlib import Path
from shutil import rmtree

import numpy as np
import pyarrow.parquet as pq

GROUP_ROWS = 20
TRAIN_ROWS = (20, 60, 60, 34)
VALIDATION_ROWS = (7,)
NUM_ROWS = sum(TRAIN_ROWS)
SIDE_PX = 38  # a picture of noise has 4 kB
FEW_WAITS = (0.01, 0.01, 0.01)  # between tries, in tests that let requests fail
QUICK = {"fgbg_depth.streaming.hub_files": {"WAITS_S": FEW_WAITS}}


def make_noise_set(folder, recipe_rows=GROUP_ROWS, seed=0):
    """Write a set of noise: data and metadata tables, recipe and manifest; no card.

    Args:
        folder: where; is made.
        recipe_rows: what the recipe says of the rows of a group.
        seed: of the noise.
    """
    from PIL import Image

    from fgbg_depth import schema
    from fgbg_depth.manifest import build_manifest, manifest_text
    from fgbg_depth.shards import Footer, write_table

    rng, folder = np.random.default_rng(seed), Path(folder)

    def picture(*shape):
        with io.BytesIO() as file:
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(file, "png")
            return file.getvalue()

    def group(split, numbers):
        count = len(numbers)
        values = {
            "key": [f"{split}-{n:04d}" for n in numbers],
            "background": [f"room-{n % 7}" for n in numbers],
            "foreground": ["chair"] * count,
            "flipped": [n % 2 == 1 for n in numbers],
            "placement": [n % 3 for n in numbers],
            "bbox": [[n, n + 1, 3, 4] for n in numbers],
            "placement_box": [[n, n, 5, 6] for n in numbers],
            "mask_area": [n / 1000 for n in numbers],
        }
        return {
            **values,
            "image": [picture(SIDE_PX, SIDE_PX, 3) for _ in numbers],
            "mask": [picture(SIDE_PX * 3, SIDE_PX) for _ in numbers],
        }

    def groups(split, start, count):
        for first in range(start, start + count, GROUP_ROWS):
            yield group(split, range(first, min(first + GROUP_ROWS, start + count)))

    for split, sizes in (("train", TRAIN_ROWS), ("validation", VALIDATION_ROWS)):
        for index, count in enumerate(sizes):
            start = sum(sizes[:index])
            footer = Footer("default", 0, split, index, start, start + count, "recipe", "assets")
            path = folder / "data" / split / f"b000-{index:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(path, schema.data_columns(False), groups(split, start, count), lambda footer=footer: footer)
        path = folder / "metadata" / split / "b000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{k: v for k, v in group(split, range(sum(sizes))).items() if k not in ("image", "mask")}]
        write_table(path, schema.metadata_columns(False), rows, lambda footer=footer: footer)
    (folder / "stats.json").write_text("{}\n")
    (folder / "recipe.toml").write_text(f"rows_per_group = {recipe_rows}\n")
    (folder / "manifest.json").write_text(manifest_text(build_manifest(folder, {})))
    return folder


@functools.cache
def noise_set():
    """Folder of the noise set, made once; nobody may change it."""
    folder = Path(tempfile.mkdtemp(prefix="fgbg_depth-noise-"))
    weakref.finalize(_Kept, rmtree, folder, ignore_errors=True)
    return make_noise_set(folder)


class _Kept:
    """Lives as long as this module."""


def stored_rows(folder, split="train", columns=None):
    """The rows of a split as they are stored, in the order of the files."""
    paths = sorted((Path(folder) / "data" / split).glob("*.parquet"))
    return [row for path in paths for row in pq.ParquetFile(path).read(columns=columns).to_pylist()]


def digest(row):
    """Text of 16 letters for all values of a row; a picture counts by its pixels, undecoded by those of its bytes."""
    plain = {}
    for name, value in row.items():
        if isinstance(value, dict) and "bytes" in value:
            from PIL import Image

            value = Image.open(io.BytesIO(value["bytes"]))
        if hasattr(value, "tobytes"):
            value = [value.mode, value.size, hashlib.sha256(value.tobytes()).hexdigest()]
        plain[name] = value
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def keys(rows):
    return [row["key"] for row in rows]


# In the client's process.


def read(repo, *, stop=None, state=None, epoch=0, per_row="digest", **words):
    """Stream a set and tell what came.

    Args:
        repo: repo id or folder.
        stop: rows to take; None takes all.
        state: to go on from.
        epoch: of the stream.
        per_row: "digest" of all values, or "key".
        words: for `fgbg_depth.stream`.

    Returns:
        (list of digests or keys, state after the last one).
    """
    from itertools import islice

    import fgbg_depth

    data = fgbg_depth.stream(repo, **words)
    data.set_epoch(epoch)
    if state is not None:
        data.load_state_dict(state)
    rows = iter(data)
    found = [digest(row) if per_row == "digest" else row["key"] for row in islice(rows, stop)]
    state = data.state_dict()
    rows.close()
    return found, state


def call_named(module, function, *args, **kwargs):
    """Call a function by its names; for modules that the test's own process doesn't import."""
    import importlib

    return getattr(importlib.import_module(module), function)(*args, **kwargs)


def read_slowly(repo, seconds):
    """All rows, with a pause after each; one row group is fetched at a time."""
    import time

    import fgbg_depth
    from fgbg_depth.streaming import ahead, rows

    usual, found = (ahead.AHEAD_BYTES, rows.JOB_BYTES), []
    ahead.AHEAD_BYTES = rows.JOB_BYTES = 1
    try:
        for row in fgbg_depth.stream(repo):
            found.append(digest(row))
            time.sleep(seconds)
    finally:
        ahead.AHEAD_BYTES, rows.JOB_BYTES = usual
    return found


def read_by_workers(repo, num_workers, **words):
    """Keys in the order of a DataLoader."""
    from torch.utils.data import DataLoader

    import fgbg_depth

    data = fgbg_depth.stream(repo, columns=["key"], **words)
    return [key for batch in DataLoader(data, batch_size=8, num_workers=num_workers) for key in batch["key"]]


def read_until_it_fails(repo, **words):
    """Rows of a stream and how it ended.

    Returns:
        (digests, state after the last row, "Kind: message" of the error or None, seconds from the last row to the error).
    """
    import time

    import fgbg_depth

    found, state, error = [], None, None
    at = time.monotonic()
    try:
        data = fgbg_depth.stream(repo, **words)
        state = data.state_dict()
        for row in data:
            found.append(digest(row))
            state, at = data.state_dict(), time.monotonic()
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    return found, state, error, time.monotonic() - at


def open_keys(seed=None, epoch=0, folder=None):
    """A stream of the keys of the noise set, or of another folder."""
    from fgbg_depth import stream

    data = stream(folder or noise_set(), columns=["key"], shuffle_seed=seed)
    data.set_epoch(epoch)
    return data


def look_at_clients(repo):
    """Stream, then fork: (our HTTP client is that of huggingface_hub, our child begins without one, rows that the child reads)."""
    import os

    from huggingface_hub.utils import _http

    from fgbg_depth.streaming import hub_request

    read(repo, stop=40)
    is_theirs = hub_request._process["client"] is _http._GLOBAL_CLIENT
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        facts = [hub_request._process["client"] is None, len(read(repo)[0])]
        os.write(writer, json.dumps(facts).encode())
        os._exit(0)
    os.waitpid(child, 0)
    facts = json.loads(os.read(reader, 1000))
    os.close(reader)
    os.close(writer)
    return [is_theirs, *facts]


def open_plain_stream(repo):
    """Open a stream of plain `datasets` and look at what is known of it before it is read."""
    from datasets import load_dataset

    loaded = load_dataset(repo, streaming=True)
    return {split: list(data.features) for split, data in loaded.items()}


def main(questions_file, answers_file):
    """Jobs for an interpreter with other versions: each is the keyword arguments of `read`, and its answer what that gives."""
    with open(questions_file, encoding="utf-8") as file:
        jobs = json.load(file)
    with open(answers_file, "w", encoding="utf-8") as file:
        json.dump([read(**job) for job in jobs], file)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
