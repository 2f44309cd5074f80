"""`fgbg-depth export-original`: a finished set as the folders or zips of 2020."""

import json
from pathlib import Path

from ..progress import Quiet, clock, for_stream, size

AFTER_STOP = "What was written is kept: run the same command again to go on where it stopped."


def add_arguments(parser):
    """Add the arguments of `export-original` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set; nothing is written there")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the tree; empty, or with an unfinished one of this set")
    parser.add_argument("--zip", action="store_true", help="one zip for each background, in place of loose files")
    parser.add_argument("--lossless", action="store_true", help="masks and depth maps as the PNGs that are stored, in place of JPEG")
    parser.add_argument("--workers", metavar="N", type=int, help="processes for loose files (default: one for each processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop=AFTER_STOP)


def run(args):
    """Write the tree and say what came out."""
    from ..original.exporting import export_original

    progress = Quiet() if args.quiet else for_stream()
    done = export_original(args.folder, args.out, args.zip, args.lossless, args.workers, progress)
    if args.json:
        facts = {"folder": str(done.folder), "rows": done.rows, "written": done.written, "zips": done.zips, "bytes": done.total_bytes}
        print(json.dumps(facts | {"seconds": round(done.seconds, 3)}))
        return 0
    what = f"{done.zips:,} zips" if args.zip else f"{done.rows:,} rows as loose files"
    now = f"{done.written:,} written now" if done.written else "nothing had to be written"
    print(f"{done.folder}: {what} ({now}), {size(done.total_bytes)}, in {clock(done.seconds)}")
    return 0
