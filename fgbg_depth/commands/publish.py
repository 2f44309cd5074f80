"""`fgbg-depth publish`: put a set on the Hub, or a further version of it."""

import json
import sys
from pathlib import Path

from ..errors import CardConflictError
from ..progress import Quiet, for_stream, size
from . import hub_flags

FILES_SHOWN = 20  # all are in --json
MADE_BY_THE_HUB = ".gitattributes"  # every repository has one


def add_arguments(parser):
    """Add the arguments of `publish` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set")
    parser.add_argument("--repo", metavar="USER/SET", required=True, help="the repository; it is made if it isn't there")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--plan", action="store_true", help="say what would be sent and why, and send nothing")
    parser.add_argument("--pr", action="store_true", help="open a pull request in place of a commit to main")
    parser.add_argument("--version", metavar="vX.Y.Z", help="a number of your own; it may not hide a change of schema, nor go back")
    parser.add_argument("--message", metavar="TEXT", default="", help="what changed, for the card's list of versions")
    parser.add_argument(
        "--card",
        choices=("merge", "local", "hub"),
        default="merge",
        help="whose words count where the card was edited both here and on the Hub (default: merge, which refuses)",
    )
    parser.add_argument("--trust", action="store_true", help="compare hashes with the manifest only; don't decode every picture")
    parser.add_argument("--workers", metavar="N", type=int, help="processes of the check (default: one for each processor)")
    parser.add_argument("--threads", metavar="N", type=int, default=4, help="files sent at a time (default: 4)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="What was sent is kept: run the same command again to go on.")


def run(args):
    """Publish, or plan it, and say what came out."""
    from ..hub.publish import FULL, TRUST, Options, plan, publish
    from ..hub.release import Wish

    hub_flags.at_least_one("--workers", args.workers)
    hub_flags.at_least_one("--threads", args.threads)
    words = {
        "api": hub_flags.open_api(),
        "wish": Wish(args.version, args.message, args.card),
        "options": Options(args.private, args.pr, TRUST if args.trust else FULL, args.threads, args.workers),
        "progress": Quiet() if args.quiet else for_stream(),
        "patience": hub_flags.patience(),
    }
    try:
        if args.plan:
            _print_plan(args, *plan(args.folder, args.repo, **words))
        else:
            _print_result(args, publish(args.folder, args.repo, **words))
    except CardConflictError as error:
        if error.difference:
            print(error.difference)
        raise
    return 0


def _print_plan(args, release, url, exists, notes):
    from ..hub.release import as_json

    if args.json:
        print(json.dumps({**as_json(release), "url": url, "exists": exists, "notes": list(notes)}))
        return
    hub_flags.say_notes(notes)
    if release.decision is None:
        print(f"{url} holds all of this already, as {release.latest}; nothing would be sent")
        return
    d = release.difference
    print(f"{url}{'' if exists else ' (would be made)'}: {release.decision.version}, because {release.decision.reason}")
    _print_files("add", d.add, release)
    _print_files("change", d.change, release)
    _print_files("drop", d.drop, None)
    print(f"  keep    {len(d.keep):,} files as they are")
    if others := [path for path in d.strange if path != MADE_BY_THE_HUB]:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        print(f"  leave   {others[0]}{more}: not ours")
    print(f"at most {size(release.bytes_to_send)} would be sent; nothing was sent now")


def _print_files(word, paths, release):
    for path in paths[:FILES_SHOWN]:
        print(f"  {word:<7} {path}" + (f" ({size(release.files[path].size)})" if release else ""))
    if len(paths) > FILES_SHOWN:
        print(f"  {word:<7} and {len(paths) - FILES_SHOWN:,} more files")


def _print_result(args, result):
    from ..hub.release import as_json

    if args.json:
        facts = {"url": result.url, "version": result.version, "commit": result.commit, "tagged": list(result.tagged)}
        facts |= {"changed": result.changed, "pull_request": result.pull_request, "notes": list(result.notes)}
        print(json.dumps({**as_json(result.release), **facts}))
        return
    hub_flags.say_notes(result.notes)
    if not result.changed:
        tagged = f"; its tag {result.tagged[0]} was missing and is set now" if result.tagged else ""
        print(f"{result.url} holds all of this already, as {result.version}; nothing was sent{tagged}")
        return
    d, release = result.release.difference, result.release
    counts = f"{len(d.add):,} files new, {len(d.change):,} changed, {len(d.keep):,} kept, {len(d.drop):,} dropped"
    if result.pull_request:
        print(f"{result.pull_request} would make {result.version}, because {release.decision.reason}: {counts}")
        print("when it is merged, publish again to set the tag", file=sys.stderr)
        return
    print(f"{result.url}: {result.version}, because {release.decision.reason}: {counts}, {size(release.bytes_to_send)}")
    print(f'load it with   load_dataset("{"/".join(result.url.split("/")[-2:])}", revision="{result.version}")')
