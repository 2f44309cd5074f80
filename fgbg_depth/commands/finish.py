"""`fgbg-depth finish`: what comes after the shards, when several runs made them in parts."""

from ..parts import finish
from . import recipe_flags
from .generate import say_result
from .places import place


def add_arguments(parser):
    """Add the arguments of `finish` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=place, help="the set's folder, as the --out of its parts")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="Run the same command again to start over; the shards are kept.")


def run(args):
    """Finish the set and say what it holds."""
    say_result(finish(args.folder, recipe_flags.progress_from(args)), args.json)
    return 0
