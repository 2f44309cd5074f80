"""`fgbg-depth import-original`: the folders or zips of a set of 2020 become a set like any other."""

import json
import sys
from pathlib import Path

from ..progress import Quiet, clock, for_stream, size

SHOWN = 20  # files that are named on the screen; --unmatched writes them all
AFTER_STOP = "Finished files are kept: run the same command again to go on where it stopped."


def add_arguments(parser):
    """Add the arguments of `import-original` to an argparse parser."""
    parser.add_argument("tree", metavar="TREE", type=Path, help="folder with fg_bg, fg_bg_masks and so on, or zips of them; or one zip")
    parser.add_argument("out", metavar="OUT", type=Path, help="the new set's folder")
    parser.add_argument("--no-depth", action="store_true", help="leave the depth maps out; without it rows need one, if the tree has any")
    parser.add_argument("--mask-threshold", metavar="N", type=int, default=128, help="level from which a pixel is inside (default: 128)")
    parser.add_argument("--unmatched", metavar="FILE", type=Path, help="write all files that are left out, with reasons, to this file")
    parser.add_argument("--rows-per-shard", metavar="N", type=int, help="rows of a data file (default: 2000)")
    parser.add_argument("--first-shard-rows", metavar="N", type=int, help="rows of a split's first data file (default: 100)")
    parser.add_argument("--rows-per-group", metavar="N", type=int, help="rows of a row group (default: 100)")
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop=AFTER_STOP)


def run(args):
    """Import the tree and say what came out."""
    from ..files import write_text
    from ..original.importing import import_original
    from ..original.preparing import Options

    layout = (args.rows_per_shard, args.first_shard_rows, args.rows_per_group)
    options = Options(not args.no_depth, args.mask_threshold, *layout, args.workers)
    done = import_original(args.tree, args.out, options, Quiet() if args.quiet else for_stream())
    if args.unmatched:
        lines = (f"{file}\t{reason}\n" for file, reason in done.problems.listed())
        write_text(args.unmatched, "".join(lines))
    if args.json:
        print(json.dumps(_as_dict(done)))
    else:
        _say(args, done)
    return 0


def _say(args, done):
    from ..original.published import table

    listed = list(done.problems.listed())
    for file, reason in listed[:SHOWN]:
        print(f"left out: {file}: {reason}", file=sys.stderr)
    if len(listed) > SHOWN:
        where = "" if args.unmatched else "; --unmatched FILE writes them all"
        print(f"... and {len(done.problems) - SHOWN:,} more{where}", file=sys.stderr)
        for reason, count in done.problems.counts().items():
            print(f"{count:>9,}  {reason}", file=sys.stderr)
    if done.has_depth:
        print("note: depth is relative; `fgbg-depth annotate` predicts metres on these pictures", file=sys.stderr)
    made = f"{done.rows_made:,} made now" if done.rows_made else "nothing had to be made"
    told = f", {done.annotated:,} of them told by annotations.txt" if done.annotated else ""
    count = "1 data file" if done.data_files == 1 else f"{done.data_files:,} data files"
    files = f"{count}, {size(done.data_bytes)}, in {clock(done.seconds)}"
    print(f"{done.folder}: {done.rows:,} rows ({made}){told}, in {files}")
    if done.compared:
        print("this is the set of 2020 by its numbers; its statistics, as published and as counted here:")
        print("\n".join(table(done.compared)))
    print(f'load it with   load_dataset("{done.folder}")')


def _as_dict(done):
    return {
        "folder": str(done.folder),
        "rows": done.rows,
        "rows_made": done.rows_made,
        "annotated": done.annotated,
        "data_files": done.data_files,
        "bytes": done.data_bytes,
        "seconds": round(done.seconds, 3),
        "unmatched": [{"file": file, "reason": reason} for file, reason in done.problems.listed()],
        "published": [c._asdict() for c in done.compared] if done.compared else None,
    }
