"""How many decoded samples a second does a DataLoader give from the local disk, ours against other formats?

    make bench-env                               # once: the peers, in an environment of their own
    python scripts/bench_loading.py [--rows 4320] [--rounds 5] [--set DIR] [--decoder opencv] [--json]

The same encoded pictures lie in every layout, byte for byte; every way gives shuffled batches of 32 as tensors of 8-bit integers
(image, mask, depth) from 2 worker processes, and a checksum holds that they are the same rows. Each measurement is one epoch in a
fresh process; ways run in turn, rounds are interleaved, numbers are medians. Files are in the disk's cache. Memory is the peak of all
processes together (PSS), imports included, from a round of its own.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent

from bench_generate import processor_name  # noqa: E402
from bench_rows.kept import data_files, make_set  # noqa: E402
from bench_rows.process import add_flags, run, usable_ways, versions  # noqa: E402
from loading_bench.layouts import ensure_layout, facts, state_folder  # noqa: E402
from loading_bench.report import check_same_rows, markdown, medians, ratio  # noqa: E402
from loading_bench.ways import WAYS  # noqa: E402

from fgbg_depth.errors import FgbgDepthError  # noqa: E402
from fgbg_depth.produce import usable_cores  # noqa: E402

ROWS = 4320  # 15 placements of every cell of the sample pictures: two to four seconds of an epoch
ROUNDS = 5
OWN_LIBRARIES = ("datasets", "pyarrow", "pillow", "opencv-python-headless", "torch", "torchdata")
PEER_LIBRARIES = ("webdataset", "mosaicml-streaming", "litdata", "pillow", "opencv-python-headless", "torch")


def bench(args, say):
    """Measure; returns the report as a dict."""
    state = state_folder(args.work, args.rows, args.set)
    folder = args.set or make_set(state / "set", args.rows)
    ways, left_out = usable_ways([WAYS[name] for name in args.ways], args.peers_python)
    layouts = {"ours": facts(folder, data_files(folder))}
    for layout in dict.fromkeys(way.layout for way in ways if way.peer):
        say(f"layout {layout}")
        layouts[layout] = ensure_layout(layout, folder, state, args.peers_python)
    results = {way.name: [] for way in ways}
    env = {"HF_HOME": str(state / "cache"), "HF_HUB_OFFLINE": "1"}
    # The first round warms the disk's cache and that of datasets; its numbers are those of memory alone.
    for number in range(args.rounds + 1):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:  # nobody always runs after the same one
            job = {"way": way.name, "folder": layouts[way.layout]["folder"], "decoder": args.decoder, "memory": number == 0}
            python = args.peers_python if way.peer else sys.executable
            found = json.loads(run([python, "-m", "loading_bench.read", json.dumps(job)], **env))
            results[way.name].append(found)
            say(f"round {number}: {way.name}: {found['rows_per_s']:,.0f} samples/s")
    check_same_rows(results)
    numbers = medians(results)
    return {
        "machine": {"processor": processor_name(), "cores": usable_cores(), "python": platform.python_version()},
        "libraries": versions(sys.executable, OWN_LIBRARIES),
        "peers": versions(args.peers_python, PEER_LIBRARIES) if any(way.peer for way in ways) else {},
        "rows": next(iter(results.values()))[0]["rows"],
        "rounds": args.rounds,
        "decoder": args.decoder,
        "layouts": layouts,
        "left_out": left_out,
        "medians": numbers,
        "aim": ratio(numbers, WAYS),
        "results": results,
    }


def main():
    parser = argparse.ArgumentParser(description="Samples per second into a DataLoader, from the local disk, in several formats.")
    work = ROOT / ".cache" / "bench_loading"
    add_flags(parser, WAYS, ROWS, work, ROUNDS, "beside one that warms up and measures memory")
    parser.add_argument("--decoder", choices=("opencv", "pillow"), default="opencv", help="what the peers decode with")
    args = parser.parse_args()
    try:
        report = bench(args, lambda line: print(line, file=sys.stderr, flush=True))
    except (FgbgDepthError, RuntimeError) as error:
        print(f"bench_loading: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(report, indent=1))
        return 0
    print(", ".join(f"{k} {v}" for k, v in {**report["machine"], **report["libraries"]}.items()))
    if report["peers"]:
        print("peers: " + ", ".join(f"{k} {v}" for k, v in report["peers"].items()) + f"; they decode with {args.decoder}")
    print(f"{report['rows']:,} rows, {args.rounds} rounds\n")
    print(markdown(report, WAYS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
