"""The flags that `generate` and `plan` share: folders, recipe, and one flag for each recipe field."""

import argparse
from pathlib import Path

from ..config import AUTO, CHOICES, Recipe, load_recipe
from ..prepare import Options
from .places import place


def number_or_auto(text):
    """A flag's value: a whole number, or the word auto."""
    if text == AUTO:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor {AUTO!r}") from None


# field -> (metavar, type, number of values, help); every recipe field has a flag, a test holds that.
_NUMBERS = {
    "image_size": ("PX", int, None, "side of the composites [pixels]"),
    "foreground_size": (("W", "H"), int, 2, "box that a cut-out is fitted into [pixels]"),
    "scale": (("LO", "HI"), float, 2, "draw each cut-out's longer side from this part of the image size"),
    "placements": ("N", int, None, "distinct positions per background, foreground and flip"),
    "overhang": ("PART", float, None, "largest part of a cut-out's box that may leave the canvas"),
    "mask_threshold": ("N", int, None, "alpha from which a pixel belongs to the mask, 1..255"),
    "image_quality": ("N", int, None, "JPEG quality, 1..100"),
    "depth_input_size": (("W", "H"), int, 2, "size at which the depth network sees the picture [pixels]"),
    "depth_batch": ("N|auto", number_or_auto, None, "pictures per run of the depth network; auto finds out what the device's memory holds"),
    "splits": (("TRAIN", "VALIDATION", "TEST"), float, 3, "parts of the assets in each split"),
    "rows_per_shard": ("N", int, None, "rows of a data file"),
    "first_shard_rows": ("N", int, None, "rows of a split's first data file"),
    "rows_per_group": ("N", int, None, "rows of a row group"),
    "seed": ("N", int, None, "0 is a seed like any other"),
}
_TEXTS = {
    "key_color": ("#RRGGBB", "backdrop colour that is cut away from foregrounds without alpha"),
    "depth_model": ("NAME", "densedepth-mini, densedepth-nyu, a local folder or .h5, a Hub repo id, or none"),
}
_CHOICE_HELP = {
    "background_fit": "how a background becomes square",
    "foreground_fit": "keep a cut-out's aspect, or stretch it",
    "mask": "0 or 255, or the soft alpha",
    "image_format": "how composites are stored",
    "mask_format": "how masks are stored",
    "depth_output": "what the numbers of a depth model mean, where it doesn't tell",
    "depth_encoding": "how depth maps are stored",
    "depth_engine": "what runs the network",
    "depth_precision": "its arithmetic",
    "hold_out": "what validation and test don't share with train",
}


def add_arguments(parser):
    """Add the shared flags to a parser."""
    parser.add_argument("--backgrounds", metavar="DIR", type=Path, required=True, help="folder of background pictures")
    parser.add_argument("--foregrounds", metavar="DIR", type=Path, required=True, help="folder of cut-outs (RGBA)")
    parser.add_argument("--out", metavar="DIR", type=place, required=True, help="the set's folder, here or as s3://BUCKET/FOLDER")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="TOML file; flags override it")
    parser.add_argument("--append", action="store_true", help="add new pictures to a finished set, as a further batch")
    parser.add_argument("--skip-bad", action="store_true", help="leave out pictures that can't be used, and list them")
    parser.add_argument("--max-pixels", metavar="N", type=int, help="bound on the size of a source picture")
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--device", default="cpu", help="torch device of the depth network (default: cpu)")
    parser.add_argument("--depth-weights", metavar="PATH", help="converted folder or .h5 for --depth-model densedepth-nyu")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    fields = parser.add_argument_group("recipe", "each field of the recipe; the defaults are those of the recipe file")
    for name, (metavar, kind, count, text) in _NUMBERS.items():
        fields.add_argument(_flag(name), metavar=metavar, type=kind, nargs=count, help=text)
    for name, (metavar, text) in _TEXTS.items():
        fields.add_argument(_flag(name), metavar=metavar, help=text)
    for name, text in _CHOICE_HELP.items():
        fields.add_argument(_flag(name), choices=CHOICES[name], help=text)
    fields.add_argument("--flips", action=argparse.BooleanOptionalAction, default=None, help="add the mirrored cut-out")


def _flag(name):
    return "--" + name.replace("_", "-")


def recipe_from(args):
    """The recipe that the flags ask for: defaults, then the file, then flags."""
    names = [*_NUMBERS, *_TEXTS, *_CHOICE_HELP, "flips"]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return load_recipe(args.recipe, **given) if args.recipe else Recipe().replace(**given)


def options_from(args):
    """The Options of a run that the flags ask for."""
    return Options(
        args.backgrounds,
        args.foregrounds,
        append=args.append,
        skip_bad=args.skip_bad,
        num_workers=args.workers,
        max_pixels=args.max_pixels,
        depth_weights=args.depth_weights,
        device=args.device,
    )


def progress_from(args):
    """A progress display that fits the terminal and the flags."""
    from ..progress import Quiet, for_stream

    return Quiet() if args.quiet else for_stream()
