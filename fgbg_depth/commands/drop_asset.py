"""`fgbg-depth drop-asset`: take pictures out of a finished set, with all of their rows."""

import json
import shlex
import sys
from pathlib import Path

from ..asset_tables import KINDS
from ..dropped import DROPPED_NAME
from ..progress import Quiet, clock, for_stream, size
from . import hub_flags

FILES_SHOWN = 20  # all are in --json


def add_arguments(parser):
    """Add the arguments of `drop-asset` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set")
    parser.add_argument("ids", metavar="ID", nargs="+", help="id of a background or a foreground")
    parser.add_argument("--kind", choices=KINDS, help="what ID is, where it is the id of a background and of a foreground")
    parser.add_argument("--plan", action="store_true", help="say which rows and files it takes, and write nothing")
    parser.add_argument("--repo", metavar="USER/SET", help="where the set is published: names the next version")
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="What was begun has to be finished: run the same command again to go on.")


def run(args):
    """Take the pictures out, or plan it, and say what came out."""
    from ..drop import drop_assets, plan_drop

    hub_flags.at_least_one("--workers", args.workers)
    after = _next_version(args) if args.repo else None  # asked first: a wrong name or a dead line is known before anything is done
    if args.plan:
        done = plan_drop(args.folder, args.ids, args.kind)
    else:
        progress = Quiet() if args.quiet else for_stream()
        done = drop_assets(args.folder, args.ids, args.kind, args.workers, progress)
    if args.json:
        print(json.dumps(_as_dict(done, after)))
    else:
        _say(args, done, after)
    return 0


def _next_version(args):
    """(Decision, URL of the repository)."""
    from ..hub.taken_out import version_after_drop

    return version_after_drop(args.repo, api=hub_flags.open_api(), patience=hub_flags.patience())


def _as_dict(done, after):
    return {
        "folder": str(done.folder),
        "pictures": [{"kind": kind, "id": asset_id} for kind, asset_id in done.pictures],
        "rows": done.rows,
        "rows_left": done.left,
        "rewritten": list(done.rewritten),
        "deleted": list(done.deleted),
        "untouched": done.untouched,
        "tables": list(done.tables),
        "bytes": done.file_bytes,
        "done": done.seconds is not None,
        "finished_earlier_run": done.finished,
        "change": "major",
        "next_version": str(after[0].version) if after else None,
        "seconds": None if done.seconds is None else round(done.seconds, 3),
    }


def _say(args, done, after):
    planned = done.seconds is None
    if done.finished:
        print(f"note: an earlier run was stopped; this one {'would finish' if planned else 'has finished'} it", file=sys.stderr)
    if not done.pictures:
        print(f"{done.folder}: nothing is left to take out; what follows from the tables {'would be' if planned else 'was'} made anew")
        return
    names = ", ".join(f"{kind} {asset_id}" for kind, asset_id in done.pictures)
    rows = ", ".join(f"{count:,} of {count + done.left[split]:,} in {split}" for split, count in done.rows.items() if count)
    counts = f"{len(done.rewritten):,} data files rewritten, {len(done.deleted):,} deleted, {done.untouched:,} left as they are"
    verb = "would go" if planned else "is out" if len(done.pictures) == 1 else "are out"
    print(f"{done.folder}: {names} {verb}, with {done.num_rows:,} rows")
    print(f"  rows    {rows or 'none'}")
    print(f"  files   {counts}; {size(done.file_bytes)} to write" if planned else f"  files   {counts}, in {clock(done.seconds)}")
    for word, paths in (("rewrite", (*done.rewritten, *done.tables)), ("delete", done.deleted)) if planned else ():
        for path in paths[:FILES_SHOWN]:
            print(f"  {word:<7} {path}")
        if len(paths) > FILES_SHOWN:
            print(f"  {word:<7} and {len(paths) - FILES_SHOWN:,} more files")
    _say_version(args, planned, after)


def _say_version(args, planned, after):
    folder = shlex.quote(str(args.folder))
    if after:
        decision, url = after
        print(f"the next version of {url} {'would be' if planned else 'is'} {decision.version}, because {decision.reason}")
    else:
        print("the next version is a major one, because rows go away (--repo USER/SET names it)")
    if planned:
        print("nothing was written now")
        return
    print(f"publish it with   fgbg-depth publish {folder} --repo {shlex.quote(args.repo) if args.repo else 'USER/SET'}")
    print(
        f"note: {DROPPED_NAME} keeps the sha256, so that the same file is left out when it turns up again. Delete the picture from your "
        f"own folders too; versions that are published already still hold it (docs/trust.md)",
        file=sys.stderr,
    )
