"""`fgbg-depth annotate`: another depth model on the pictures of a finished set."""

from pathlib import Path

from ..config import CHOICES
from . import executor_flags, recipe_flags
from .generate import AFTER_STOP, add_bad_depth, say_depth, say_result


def add_arguments(parser):
    """Add the arguments of `annotate` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set; nothing is written there")
    parser.add_argument("--out", metavar="DIR2", type=Path, required=True, help="the new set's folder")
    parser.add_argument(
        "--depth-model",
        metavar="NAME",
        required=True,
        help="densedepth-mini, densedepth-nyu, a local folder or .h5, a Hub repo id, or none to leave depth out",
    )
    parser.add_argument("--depth-weights", metavar="PATH", help="converted folder or .h5 for --depth-model densedepth-nyu")
    parser.add_argument("--depth-encoding", choices=CHOICES["depth_encoding"], help="how depth maps are stored (default: as in DIR)")
    parser.add_argument(
        "--depth-input-size",
        metavar=("W", "H"),
        type=int,
        nargs=2,
        help="size at which the depth network sees the picture [pixels] (default: the model's own)",
    )
    parser.add_argument(
        "--depth-output", choices=CHOICES["depth_output"], help="what the numbers of a depth model mean, where it doesn't tell"
    )
    parser.add_argument(
        "--depth-batch",
        metavar="N|auto",
        type=recipe_flags.number_or_auto,
        help="pictures per run of the depth network; auto finds out what the device's memory holds (default: as in DIR)",
    )
    parser.add_argument("--depth-engine", choices=CHOICES["depth_engine"], help="what runs the network (default: as in DIR)")
    parser.add_argument("--depth-precision", choices=CHOICES["depth_precision"], help="its arithmetic (default: as in DIR)")
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--device", default="cpu", help="torch device of the depth network (default: cpu)")
    add_bad_depth(parser)
    executor_flags.add_arguments(parser)
    parser.add_argument("--trust", action="store_true", help="compare DIR's hashes with its manifest only; don't decode it first")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop=AFTER_STOP)


def run(args):
    """Make the set and say what came out."""
    from ..annotate import annotate
    from ..prepare import Options

    names = ("model", "encoding", "input_size", "output", "batch", "engine", "precision")
    depth = {f"depth_{name}": getattr(args, f"depth_{name}") for name in names if getattr(args, f"depth_{name}") is not None}
    run = {"num_workers": args.workers, "depth_weights": args.depth_weights, "device": args.device, "on_bad_depth": args.on_bad_depth}
    with executor_flags.executor_from(args) as executor:
        options = Options(None, None, **run, on_depth=say_depth, executor=executor)
        result = annotate(args.folder, args.out, depth, options, recipe_flags.progress_from(args), args.trust)
    say_result(result, args.json, args.folder)
    return 0
