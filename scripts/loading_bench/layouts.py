"""The rows in the peers' layouts, below a work folder; made once and kept there until what they were made of changes.

    WORK/state/LAYOUT     a peer's layout; LAYOUT.json says that it is whole
    WORK/state/cache      the Arrow cache of `datasets`
"""

import json
import shutil
from pathlib import Path

from bench_rows import kept, pack
from bench_rows.process import run

TAR_ROWS = 500  # several tars for each worker, or one of them would be idle; about 14 MB
SCALARS = ("key", "background")  # which row it is, and the folder of the 2020 set that it lies in


def state_folder(work, num_rows, folder=None):
    """The folder of what is kept, emptied if it was made by another writer or of other rows.

    Args:
        work: folder; only `state` and `made-of.txt` in it are touched.
        num_rows: of the set that is made.
        folder: a set to take instead.
    """
    return kept.state_folder(work, num_rows, [pack.__file__, __file__, *([Path(folder) / "manifest.json"] if folder else [])])


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
        words = ["--scalars", *SCALARS, "--tar-rows", TAR_ROWS, "--files", *kept.data_files(folder)]
        run([python, "-m", "bench_rows.pack", layout, place, *words])
        stamp.write_text(json.dumps(facts(place)))
    return json.loads(stamp.read_text())


def facts(folder, files=None):
    """What lies in a layout's folder."""
    files = files or [path for path in Path(folder).rglob("*") if path.is_file()]
    return {"folder": str(folder), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}
