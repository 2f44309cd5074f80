"""The same rows in several layouts below a work folder; made once and kept there until what they were made of changes.

    WORK/made-of.txt      what the rest was made of
    WORK/state/set        the set, if none was given
    WORK/state/LAYOUT     a peer's layout; LAYOUT.json says that it is whole
    WORK/state/cache      the Arrow cache of `datasets`
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from streaming_bench.layouts import SCRIPTS

from .ways import SPLIT


def state_folder(work, num_rows, folder=None):
    """The folder of what is kept, emptied if it was made by another writer or of other rows.

    Args:
        work: folder; only `state` and `made-of.txt` in it are touched.
        num_rows: of the set that is made.
        folder: a set to take instead.
    """
    digest = hashlib.sha256(str(num_rows).encode())
    for path in (Path(__file__).with_name("pack.py"), *([Path(folder) / "manifest.json"] if folder else [])):
        digest.update(path.read_bytes())
    stamp, state = Path(work) / "made-of.txt", Path(work) / "state"
    if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        if state.is_dir():
            shutil.rmtree(state)
        state.mkdir(parents=True)
        stamp.write_text(digest.hexdigest())
    return state


def data_files(folder):
    """The set's Parquet files of the split."""
    return sorted((Path(folder) / "data" / SPLIT).glob("*.parquet"))


def ensure_layout(layout, folder, state, python):
    """Write a peer's layout if it isn't there.

    Args:
        layout: name in `pack.WRITERS`.
        folder: the set.
        state: folder, of `state_folder`.
        python: interpreter of the peers' environment.

    Returns:
        {"folder": text, "files": number, "bytes": of them}.

    Raises:
        RuntimeError: the writer failed; the text has its last words.
    """
    place, stamp = Path(state) / layout, Path(state) / f"{layout}.json"
    if not stamp.is_file():
        if place.is_dir():
            shutil.rmtree(place)
        run([python, "-m", "loading_bench.pack", layout, place, *data_files(folder)])
        stamp.write_text(json.dumps(facts(place)))
    return json.loads(stamp.read_text())


def facts(folder, files=None):
    """What lies in a layout's folder."""
    files = files or [path for path in Path(folder).rglob("*") if path.is_file()]
    return {"folder": str(folder), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def run(command, **env):
    """Run a part of this benchmark; returns the last line that it printed.

    Raises:
        RuntimeError: it failed; the text has its last words.
    """
    # A file for what it says: a worker that outlives its parent would hold a pipe open.
    words = list(map(str, command))
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(SCRIPTS), **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:5])} ... ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    return (done.stdout.strip().splitlines() or [""])[-1]
