"""`fgbg-depth fetch`: source pictures by their addresses, into a folder for `generate`."""

import json
import sys
from pathlib import Path

from ..errors import FgbgDepthError
from ..progress import clock, size

FAILURES_SHOWN = 20
_NUMBERS = {  # flag -> (field, metavar, type, default, help)
    "--workers": ("workers", "N", int, 8, "pictures under way at once (default: 8)"),
    "--per-host": ("per_host", "N", int, 2, "of these, at most so many from one host (default: 2)"),
    "--delay": ("delay_s", "S", float, 0.0, "least time between two requests to one host [s]; a longer Crawl-delay counts (default: 0)"),
    "--retries": ("retries", "N", int, 4, "further tries after a failure that may pass (default: 4)"),
    "--timeout": ("timeout_s", "S", float, 30.0, "longest wait for a connection or for the next bytes [s] (default: 30)"),
    "--max-bytes": ("max_bytes", "N", int, 50_000_000, "bound on the size of a file (default: 50,000,000)"),
}


def add_arguments(parser):
    """Add the arguments of `fetch` to an argparse parser."""
    columns = "columns url, file, licence, author, source; group and sha256 if known"
    parser.add_argument("manifest", metavar="MANIFEST.csv", type=Path, help=columns)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the pictures and their SOURCES.csv")
    for flag, (field, metavar, kind, default, text) in _NUMBERS.items():
        parser.add_argument(flag, dest=field, metavar=metavar, type=kind, default=default, help=text)
    parser.add_argument("--max-pixels", metavar="N", type=int, help="bound on the size of a picture")
    parser.add_argument("--contact", metavar="TEXT", default="", help="mail address or link for the User-Agent, as some hosts ask for")
    parser.add_argument(
        "--permitted",
        metavar="HOST",
        action="append",
        default=[],
        help="HOST's owner lets you fetch its pictures: neither its robots.txt nor its opt-out headers count; may be given again",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="Fetched pictures are kept: run the same command again to go on.")


def run(args):
    """Fetch, and say what came. Exit code 1 when some pictures could not be had."""
    from ..fetch.options import FetchOptions
    from ..fetch.records import FAILURES_TEXT
    from .recipe_flags import progress_from

    try:
        from ..fetch.run import fetch_pictures
    except ImportError as error:
        raise FgbgDepthError(f'fetch needs httpx2 and protego ({error}). Install them with: pip install "fgbg-depth[fetch]"') from error
    fields = {field: getattr(args, field) for field, *_ in _NUMBERS.values()}
    if args.max_pixels is not None:
        fields["max_pixels"] = args.max_pixels
    options = FetchOptions(**fields, contact=args.contact, permitted=tuple(host.lower() for host in args.permitted))
    report = fetch_pictures(args.manifest, args.out, options, progress_from(args))
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    for line, file, url, reason in report.failed[:FAILURES_SHOWN]:
        print(f"failed: line {line}: {file}: {reason} ({url})", file=sys.stderr)
    if len(report.failed) > FAILURES_SHOWN:
        print(f"failed: {len(report.failed) - FAILURES_SHOWN:,} more", file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_dict()))
        return 1 if report.failed else 0
    fetched = "1 picture" if report.fetched == 1 else f"{report.fetched:,} pictures"
    came = f"{fetched} fetched ({size(report.received_bytes)} in {clock(report.seconds)}), {report.kept:,} were there"
    if report.failed:
        listed = f"{report.folder / FAILURES_TEXT} lists them. Run the same command to try again"
        print(f"{report.folder}: {came}, {len(report.failed):,} failed; {listed}")
        return 1
    print(f"{report.folder}: {came}; SOURCES.csv names their licences and authors")
    return 0
