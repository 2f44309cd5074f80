"""`fgbg-depth preview`: a set as one HTML page to look at, with no network."""

import json
from pathlib import Path

from ..errors import UsageError
from ..files import write_text
from ..progress import Quiet, for_stream, size

DEFAULT_ROWS = 60  # two megabytes at 224 pixels; every asset of a set of 60 is seen
MAX_ROWS = 2000
MAX_PICTURE_BYTES = 5_500_000  # of the pictures as the page has them, unless --rows asks for more: the page stays below 6 MB


def add_arguments(parser):
    """Add the arguments of `preview` to an argparse parser."""
    parser.add_argument("place", metavar="DIR|REPO", help="the set's folder, or its repo id on the Hub")
    parser.add_argument("--out", metavar="FILE.html", type=Path, help="the page (default: NAME_preview.html in this folder)")
    parser.add_argument("--rows", metavar="N", type=int, help=f"rows to show (default: {DEFAULT_ROWS}, fewer if the page would be large)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="which rows: another number shows others (default: 0)")
    parser.add_argument("--revision", metavar="REV", help="of the repo: a tag such as v1.0.0, a branch or a commit (default: main)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    parser.set_defaults(after_stop="Nothing was written.")


def run(args):
    """Read, make the page, write it."""
    from ..preview.contents import read_contents
    from ..preview.page import render_page

    if args.rows is not None and not 1 <= args.rows <= MAX_ROWS:
        raise UsageError(f"--rows is {args.rows}, expected 1 to {MAX_ROWS:,}")
    out = args.out or Path(f"{Path(args.place).resolve().name}_preview.html")
    _check_out(out)
    bound = MAX_PICTURE_BYTES if args.rows is None else None
    progress = Quiet() if args.quiet else for_stream()
    contents = read_contents(args.place, args.rows or DEFAULT_ROWS, args.seed, args.revision, bound, progress)
    write_text(out, render_page(contents))
    total = sum(contents["rowsInSet"].values())
    told = {"file": str(out), "bytes": out.stat().st_size, "rows": len(contents["rows"]), "rows_in_set": total}
    told |= {"revision": contents["revision"] or None, "commit": contents["commit"] or None}
    if args.json:
        print(json.dumps(told))
        return 0
    print(f"{out}: {told['rows']:,} of {total:,} rows, {size(told['bytes'])}; open it in a browser")
    if told["rows"] < contents["chosen"]:
        wanted = contents["chosen"]
        print(f"{wanted:,} would make the page larger than {size(MAX_PICTURE_BYTES)}; --rows {wanted} shows them all the same")
    return 0


def _check_out(out):
    """Only a preview is ever written over."""
    from ..preview.page import is_ours

    if out.is_dir():
        raise UsageError(f"{out} is a folder, expected the name of a file such as {out / 'preview.html'}")
    if out.exists() and not is_ours(out):
        raise UsageError(f"{out} is there and is no preview; choose another --out, or move it away")
