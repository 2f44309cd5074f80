"""What does a published set cost to stream, against `push_to_hub`'s default layout and against other formats?

    make bench-env                               # once: the peers, in an environment of their own
    python scripts/bench_streaming.py [--rows 4320] [--rounds 2] [--set DIR] [--json]

A local Hub (tests/hub) serves the same rows in every layout over a link with a delay before each answer and a bandwidth that all
connections share. Bytes and requests come from its log. Each measurement is a fresh process with empty caches; ways run
in turn, numbers are medians of the rounds. Seconds begin after the imports and count the opening. Memory is the peak of the
reading process, imports (torch among them, in every way) included; of a DataLoader, the main process alone.
"""

import argparse
import json
import platform
import statistics
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
sys.path[:0] = [str(ROOT / "tests")]  # the local Hub

from bench_generate import processor_name  # noqa: E402
from bench_rows.kept import make_set  # noqa: E402
from bench_rows.process import add_flags, usable_ways, versions  # noqa: E402
from hub import HubServer  # noqa: E402
from streaming_bench.layouts import Layouts, scalar_columns, state_folder  # noqa: E402
from streaming_bench.measure import download_s, rounds  # noqa: E402
from streaming_bench.report import aims, markdown, medians  # noqa: E402
from streaming_bench.ways import MEASURES, WAYS  # noqa: E402

from fgbg_depth.errors import FgbgDepthError  # noqa: E402
from fgbg_depth.produce import usable_cores  # noqa: E402

ROWS = 4320  # 15 placements of every cell of the sample pictures
ROUNDS = 2  # about eight minutes on an idle machine of two cores
DELAY_MS, BYTES_PER_S = 50.0, 20e6
OWN_LIBRARIES = ("datasets", "huggingface_hub", "pyarrow", "pillow", "fsspec", "torch")
PEER_LIBRARIES = ("webdataset", "mosaicml-streaming", "litdata", "polars", "huggingface_hub", "pillow", "torch")


def bench(args, say):
    """Measure; returns the report as a dict."""
    state = state_folder(args.work, args.rows, args.set)
    folder = args.set or make_set(state / "set", args.rows)
    ways, left_out = usable_ways([WAYS[name] for name in args.ways], args.peers_python)
    with HubServer(state / "hub") as hub:
        layouts = Layouts(folder, state, hub, str(args.peers_python))
        facts = {way.layout: layouts.facts(way.layout) for way in ways}
        say(f"layouts are in {state}: " + ", ".join(f"{name} {f['bytes'] / 1e6:.1f} MB" for name, f in facts.items()))
        hub.set_speed(args.delay_ms / 1000, args.bytes_per_s)
        scalars = scalar_columns(folder)
        pythons = {way.name: str(args.peers_python) for way in ways if way.peer}
        words = {layout: {"files": f["files"], "scalars": scalars} for layout, f in facts.items()}
        results = rounds(hub, ways, args.measures, words, args.rounds, pythons, say)
        ours = layouts.facts("ours")
        plain_s = statistics.median(download_s(hub, WAYS["ours"].repo, ours["files"]) for _ in range(args.rounds))
    numbers = medians(results)
    return {
        "machine": {"processor": processor_name(), "cores": usable_cores(), "python": platform.python_version()},
        "libraries": versions(sys.executable, OWN_LIBRARIES),
        "peers": versions(args.peers_python, PEER_LIBRARIES) if pythons else {},
        "link": {"delay_ms": args.delay_ms, "bytes_per_s": args.bytes_per_s, "plain_download_s": plain_s},
        "rounds": args.rounds,
        "measures": args.measures,
        "layouts": {name: {"files": len(f["files"]), "bytes": f["bytes"]} for name, f in facts.items()},
        "left_out": left_out,
        "medians": numbers,
        "aims": aims(numbers, WAYS, ours["bytes"]),
        "results": results,
    }


def main():
    parser = argparse.ArgumentParser(description="Bytes, requests, seconds and memory of streaming a set, in several layouts.")
    add_flags(parser, WAYS, ROWS, ROOT / ".cache" / "bench_streaming", ROUNDS)
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES), metavar="WHAT", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--delay-ms", type=float, default=DELAY_MS, help="before every answer")
    parser.add_argument("--bytes-per-s", type=float, default=BYTES_PER_S, help="of the whole link")
    args = parser.parse_args()
    try:
        report = bench(args, lambda line: print(line, file=sys.stderr, flush=True))
    except (FgbgDepthError, RuntimeError) as error:
        print(f"bench_streaming: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(report, indent=1))
        return 0
    print(", ".join(f"{k} {v}" for k, v in {**report["machine"], **report["libraries"]}.items()))
    if report["peers"]:
        print("peers: " + ", ".join(f"{k} {v}" for k, v in report["peers"].items()))
    print(f"link: {args.delay_ms:.0f} ms before each answer, {args.bytes_per_s / 1e6:.0f} MB/s; {args.rounds} rounds")
    print(f"our data files by plain GETs, one after the other: {report['link']['plain_download_s']:.2f} s")
    print(markdown(report, WAYS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
