"""`fgbg-depth cutout`: RGBA foregrounds from photos, by a segmentation model."""

import json
import sys
from pathlib import Path

from ..errors import CutoutModelError
from ..progress import clock

FAILURES_SHOWN = 20


def add_arguments(parser):
    """Add the arguments of `cutout` to an argparse parser."""
    parser.add_argument("photos", metavar="PHOTO", nargs="+", type=Path, help="photos, or folders of photos")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the cut-outs (PNG) and their SOURCES.csv")
    parser.add_argument("--model", metavar="NAME", required=True, help="segmentation model of transformers: a folder or a Hub repo id")
    parser.add_argument("--label", metavar="LABEL", action="append", default=[], help="what to cut out, such as person; may be given again")
    parser.add_argument("--largest", action="store_true", help="keep only the largest connected piece")
    parser.add_argument("--margin", metavar="PX", type=int, default=2, help="clear pixels around what is visible (default: 2)")
    parser.add_argument("--keep-size", action="store_true", help="leave cut-outs as large as their photos")
    parser.add_argument("--overwrite", action="store_true", help="make cut-outs again that are there")
    parser.add_argument("--max-pixels", metavar="N", type=int, help="bound on the size of a photo")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="Cut-outs that are done are kept: run the same command again to go on.")


def run(args):
    """Make the cut-outs and say what came out. Exit code 1 when some photos gave none."""
    from ..cutouts.run import CutoutOptions, make_cutouts
    from .recipe_flags import progress_from

    options = {"largest": args.largest, "margin_px": args.margin, "keep_size": args.keep_size, "overwrite": args.overwrite}
    if args.max_pixels is not None:
        options["max_pixels"] = args.max_pixels
    report = make_cutouts(args.photos, args.out, lambda: _segmenter(args), CutoutOptions(**options), progress_from(args))
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    for photo, reason in report.failed[:FAILURES_SHOWN]:
        print(f"failed: {photo}: {reason}", file=sys.stderr)
    if len(report.failed) > FAILURES_SHOWN:
        print(f"failed: {len(report.failed) - FAILURES_SHOWN:,} more; --json lists them", file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_dict()))
    else:
        made = "1 cut-out" if report.made == 1 else f"{report.made:,} cut-outs"
        failed = "1 photo" if len(report.failed) == 1 else f"{len(report.failed):,} photos"
        print(f"{report.folder}: {made} made in {clock(report.seconds)}, {report.kept:,} were there, {failed} failed")
    return 1 if report.failed else 0


def _segmenter(args):
    try:
        from ..cutouts.model import Segmenter
    except ImportError as error:
        install = 'pip install "fgbg-depth[depth]"'
        raise CutoutModelError(f"cutout needs torch and transformers ({error}). Install them with: {install}") from error
    return Segmenter(args.model, tuple(args.label), args.device)
