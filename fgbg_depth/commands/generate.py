"""`fgbg-depth generate`: make a set, or go on with one."""

import json
import sys

from ..generate import generate
from ..progress import clock, size
from . import recipe_flags

AFTER_STOP = "Finished shards are kept: run the same command again to go on where it stopped."


def add_arguments(parser):
    recipe_flags.add_arguments(parser)
    parser.set_defaults(after_stop=AFTER_STOP)


def run(args):
    """Make the set and say what came out."""
    result = generate(args.out, recipe_flags.recipe_from(args), recipe_flags.options_from(args), recipe_flags.progress_from(args))
    say_result(result, args.json)
    return 0


def say_result(result, as_json, source=None):
    """Print what a run made, notes on stderr; `source` is the set whose rows they are."""
    say_left_out(result.skipped, result.notes)
    say_depth(result.depth)
    if as_json:
        print(json.dumps(as_dict(result)))
        return
    if result.rows_made == 0:
        print(f"{result.folder} is complete: {result.rows:,} rows in {result.shards} data files; nothing had to be made")
    else:
        rows = f"{result.rows:,} rows of {source}" if source else f"{result.rows:,} rows"
        print(
            f"{result.folder}: {rows} ({result.rows_made:,} made now) in {result.shards} data files, "
            f"{size(result.data_bytes)}, in {clock(result.seconds)}"
        )
    if result.left_out and not source:
        print(f"{result.left_out:,} cells were left out: their background and foreground belong to different splits")
    print(f'load it with   load_dataset("{result.folder}")')


def as_dict(result):
    """A Result as JSON values."""
    return {
        "folder": str(result.folder),
        "rows": result.rows,
        "rows_made": result.rows_made,
        "data_files": result.shards,
        "bytes": result.data_bytes,
        "seconds": round(result.seconds, 3),
        "cells_left_out": result.left_out,
        "skipped": [{"file": file, "reason": reason} for file, reason in result.skipped],
        "notes": list(result.notes),
    }


def say_left_out(skipped, notes):
    """List skipped pictures and notes on stderr."""
    for file, reason in skipped:
        print(f"left out: {file}: {reason}", file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def say_depth(depth):
    """Say on stderr what runs the depth network and why, and what the depth is worth, where it isn't the real thing."""
    if depth:
        print(f"note: depth runs with {depth['engine']} {depth['precision']} ({depth['engine_reason']})", file=sys.stderr)
    if depth and depth["name"] == "densedepth-mini":
        print("note: depth is by densedepth-mini, a small model for trying things out; use --depth-model for real work", file=sys.stderr)
    if depth and depth["kind"] == "relative":
        print(f"note: {depth['name']} gives relative depth: depth_min_m and depth_max_m are null", file=sys.stderr)
