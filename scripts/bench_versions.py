"""What does a new version of a set cost to send, now and with Xet's content-defined chunks?

    python scripts/bench_versions.py [--rows 4000] [--work DIR] [--json]

Each case sends one set and then another one over it, with the real client, to a local Hub (tests/hub). Bytes are those of the bodies of
all requests, as its log counts them. Its link is as quick as the machine: read the seconds as work, not as waiting.

Three further columns say what Xet would send in place of the blobs. New chunks: bytes in chunks, cut as Xet cuts them, that are in no
large file of the version before. hf_xet: what Xet's own client says that it sent to a store in a folder; it compresses chunks, sends
lists of them, and leaves out matches that would scatter a file too much. New machine: the same, when it remembers nothing of the
version before and asks the store, which answers for a few of the chunks.
"""

import argparse
import json
import math
import platform
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]  # the local Hub

from bench_generate import processor_name  # noqa: E402
from version_bench.layouts import bench_layouts, column_bytes, data_bytes, num_rows  # noqa: E402
from version_bench.report import markdown  # noqa: E402
from version_bench.sending import CASES, edited, run_case  # noqa: E402
from version_bench.sets import make_sets, save_other_model  # noqa: E402

from fgbg_depth.config import Recipe  # noqa: E402
from fgbg_depth.produce import usable_cores  # noqa: E402

ROWS = 4000  # of the first set, at least
CELLS = 11 * 12 * 2  # of the first set: 11 backgrounds, 12 cut-outs, plain and mirrored
LIBRARIES = ("datasets", "hf-xet", "huggingface_hub", "pyarrow")


def bench(folders, recipe, home):
    """All cases and layouts.

    Args:
        folders: {name: folder} as make_sets gives them.
        recipe: theirs.
        home: a folder on the same file system.

    Returns:
        dict of JSON values.
    """
    folders = {**folders, "edited": edited(folders["base"], Path(home) / "edited")}
    cases = []
    for case in CASES:
        with tempfile.TemporaryDirectory(dir=home) as temp:
            cases.append({"title": case.title, "way": case.way, **run_case(case, folders, Path(temp))})
        print(f"done: {case.way}, {case.title}", file=sys.stderr)
    return {
        "rows": {name: num_rows(folder) for name, folder in folders.items()},
        "data_bytes": {name: data_bytes(folder) for name, folder in folders.items()},
        "cases": cases,
        "columns": {name: column_bytes(folders[name]) for name in ("base", "annotated")},
        "layouts": bench_layouts(folders, recipe, Path(home) / "layouts"),
    }


def main():
    parser = argparse.ArgumentParser(description="Bytes of a new version, now and with content-defined chunks.")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the first set, at least (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keeps the sets for further runs; remove it after a change of the code")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.rows < 1:
        parser.error(f"--rows is {args.rows}, expected at least 1")
    with tempfile.TemporaryDirectory() as temp:
        work = args.work or Path(temp) / "sets"
        work.mkdir(parents=True, exist_ok=True)
        recipe = Recipe(placements=math.ceil(args.rows / CELLS))
        folders = make_sets(work, recipe, save_other_model(work / "other-model", recipe.image_size))
        with tempfile.TemporaryDirectory(dir=work) as home:  # beside the sets, so that files can be linked
            report = bench(folders, recipe, home)
    machine = {"processor": processor_name(), "cores": usable_cores(), "python": platform.python_version()}
    found = {dist.name.replace("_", "-").lower(): dist.version for dist in distributions()}
    libraries = {name: found.get(name.replace("_", "-"), "not installed") for name in LIBRARIES}
    if args.json:
        print(json.dumps({"machine": machine, "libraries": libraries, **report}, indent=1))
        return
    print(", ".join(f"{k} {v}" for k, v in {**machine, **libraries}.items()) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
