"""`fgbg-depth convert-weights`: a Keras DenseDepth file as a `transformers` folder."""

import argparse
import json
import re

from fgbg_depth.errors import UsageError


def add_arguments(parser):
    """Add the arguments of `convert-weights` to an argparse parser."""
    parser.add_argument("source", metavar="FILE.h5", help="Keras 2 file with the whole model, such as nyu.h5")
    parser.add_argument("out", metavar="OUT", help="folder to make: config.json, model.safetensors, ...")
    parser.add_argument(
        "--upsampling",
        choices=("align_corners", "half_pixel"),
        default="align_corners",
        help="how the upsampling layer works, which the file doesn't tell (default: align_corners)",
    )
    parser.add_argument(
        "--min-depth-m", type=float, metavar="M", help="nearest depth of the weights (default: 0.1)"
    )
    parser.add_argument(
        "--max-depth-m", type=float, metavar="M", help="farthest depth of the weights (default: 10)"
    )
    parser.add_argument(
        "--trained-at",
        type=_width_height,
        default=(640, 480),
        metavar="WxH",
        help="size of the pictures in training [pixels] (default: 640x480)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier conversion in OUT")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args):
    """Run `convert-weights`. Returns the exit code; errors are raised as FgbgDepthError."""
    from fgbg_depth.depth import convert_keras_weights  # late: it loads torch

    width, height = args.trained_at
    if (args.min_depth_m is None) != (args.max_depth_m is None):
        raise UsageError("Give both --min-depth-m and --max-depth-m, or neither.")
    report = convert_keras_weights(
        args.source,
        args.out,
        upsampling=args.upsampling,
        min_depth_m=args.min_depth_m,
        max_depth_m=args.max_depth_m,
        image_size=(height, width),
        overwrite=args.overwrite,
    )
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    print(f"{report['out']}: {'already there, the same' if report['unchanged'] else 'written'}")
    print(f"  from      {report['source']} (sha256 {report['source_sha256']})")
    print(f"  variant   {report['variant']}, {report['num_values']:,} values")
    print(
        f"  check     output on a gray picture {report['raw_range'][0]} to {report['raw_range'][1]} (10 m is "
        "1)"
    )
    return 0


def _width_height(text):
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480")
    return int(match[1]), int(match[2])
