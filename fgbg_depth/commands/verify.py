"""`fgbg-depth verify`: check every byte, picture and number of a set."""

import json
import sys

from ..errors import UsageError
from ..progress import Quiet, clock, for_stream, size
from .places import place
from .verify_hub import download, is_on_hub, verify_on_hub

FINDINGS_SHOWN = 50  # all are in --json
REPAIRS_SHOWN = 10


def add_arguments(parser):
    """Add the arguments of `verify` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=place, help="the set's folder, here or as s3://BUCKET/FOLDER, or USER/SET on the Hub")
    parser.add_argument("--revision", metavar="REV", help="of a set on the Hub: a tag such as v1.0.0, a branch or a commit")
    parser.add_argument("--full", action="store_true", help="download a set on the Hub, and check every byte of it")
    parser.add_argument("--rebuild", metavar="N", type=int, default=0, help="composite N rows anew from the asset tables and compare them")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="chooses the rows of --rebuild (default: 0)")
    parser.add_argument("--depth-model", metavar="NAME", help="where the set's depth model is, to predict depth anew")
    parser.add_argument("--depth-weights", metavar="PATH", help="converted folder or .h5 of densedepth-nyu")
    parser.add_argument("--device", default="cpu", help="torch device of the depth network (default: cpu)")
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the report as JSON, with all findings")
    parser.set_defaults(after_stop="Nothing was changed.")


def run(args):
    """Check the set and print what is wrong; returns 1 when something is."""
    from ..verify import verify_set

    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers is {args.workers}, expected at least 1")
    on_hub = is_on_hub(args)
    if on_hub and not args.full:
        report = verify_on_hub(args)
        _say(args, report)
        return 0 if report.good else 1
    report = verify_set(
        download(args) if on_hub else args.folder,
        rebuild=args.rebuild,
        seed=args.seed,
        num_workers=args.workers,
        progress=Quiet() if args.quiet else for_stream(),
        depth_model=args.depth_model,
        depth_weights=args.depth_weights,
        device=args.device,
    )
    _say(args, report)
    return 0 if report.good else 1


def _say(args, report):
    if args.json:
        print(json.dumps(report.to_dict()))
    else:
        _print(report)


def _print(report):
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    read = f"{report.files:,} files, {report.rows:,} rows, {size(report.data_bytes)}, in {clock(report.seconds)}"
    anew = f"; {report.rebuilt:,} rows made anew, {report.depth_rebuilt:,} of them with depth" if report.rebuilt else ""
    if report.good:
        print(f"{report.folder} is good: {read}{anew}")
        return
    for finding in report.findings[:FINDINGS_SHOWN]:
        print(finding)
    if len(report.findings) > FINDINGS_SHOWN:
        print(f"... and {len(report.findings) - FINDINGS_SHOWN:,} more (all are in --json)")
    repairs = list(dict.fromkeys(finding.repair for finding in report.findings))
    print("\nto repair (BACKGROUNDS and FOREGROUNDS are the folders that the set was made from):")
    for repair in repairs[:REPAIRS_SHOWN]:
        print(f"  {repair}")
    if len(repairs) > REPAIRS_SHOWN:
        print(f"  ... and {len(repairs) - REPAIRS_SHOWN:,} more of the kind (all are in --json)")
    problems = "1 problem" if len(report.findings) == 1 else f"{len(report.findings):,} problems"
    print(f"\n{report.folder}: {problems} in {read}{anew}")
