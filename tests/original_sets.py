"""What the tests of export and import share: the commands in few words, and a set as rows by key."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from real_runs import call, call_good

SMALL_FILES = ("--rows-per-shard", "8", "--first-shard-rows", "4", "--rows-per-group", "3")
SAME = ("key", "background", "foreground", "flipped", "placement", "bbox", "placement_box", "mask_area", "split")


def exported(folder, out, *flags):
    """Export a set; returns what the command says."""
    return json.loads(call_good("export-original", folder, out, "--quiet", "--json", "--workers", 1, *flags).out)


def imported(tree, out, *flags):
    """Import a tree; returns what the command says."""
    return json.loads(call_good("import-original", tree, out, "--quiet", "--json", "--workers", 1, *SMALL_FILES, *flags).out)


def is_good(folder):
    """Verify finds nothing."""
    ended = call("verify", folder, "--quiet", "--workers", 1)
    assert ended.code == 0, ended.out
    return True


def rows_by_key(folder):
    """{key: row with its split} of a set; pictures as bytes."""
    rows = {}
    for path in sorted(folder.glob("data/*/[!.]*.parquet")):
        for row in pq.ParquetFile(path).read().to_pylist():
            pictures = {name: row[name]["bytes"] for name in ("image", "mask", "depth") if name in row}
            rows[row["key"]] = {**row, **pictures, "split": path.parent.name}
    return rows


def pixels(data):
    """Decoded pixels of an encoded picture."""
    return np.asarray(Image.open(io.BytesIO(data)))


def reasons(said):
    """{file: reason} of what an import left out."""
    return {entry["file"]: entry["reason"] for entry in said["unmatched"]}
