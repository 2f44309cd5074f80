"""`fgbg-depth generate`: make a set, or go on with one."""

import dataclasses
import json
import sys

from ..folders import is_remote
from ..generate import generate
from ..near_duplicates import near_in_set, warning_lines
from ..partition import parse_part
from ..parts import generate_part
from ..produce import FAIL, ON_BAD_DEPTH, ROWS_NAMED
from ..progress import clock, size
from . import executor_flags, recipe_flags

AFTER_STOP = "Finished shards are kept: run the same command again to go on where it stopped."


def add_arguments(parser):
    recipe_flags.add_arguments(parser)
    parser.add_argument("--shards", metavar="I/N", help="make only the I-th of N parts, counted from 1; `finish` does the rest")
    add_bad_depth(parser)
    executor_flags.add_arguments(parser)
    parser.set_defaults(after_stop=AFTER_STOP)


def add_bad_depth(parser):
    """Add the flag for rows whose depth can't be stored."""
    parser.add_argument(
        "--on-bad-depth",
        choices=ON_BAD_DEPTH,
        default=FAIL,
        help="a row for which the depth network gives NaN, infinity or what the encoding can't hold: end the run and name it (default), "
        "or leave the row out of the set",
    )


def run(args):
    """Make the set and say what came out."""
    recipe, progress = recipe_flags.recipe_from(args), recipe_flags.progress_from(args)
    options = dataclasses.replace(recipe_flags.options_from(args), on_bad_depth=args.on_bad_depth, on_depth=say_depth)
    part = parse_part(args.shards) if args.shards else None
    with executor_flags.executor_from(args) as executor:
        options = dataclasses.replace(options, executor=executor)
        result = generate_part(args.out, recipe, options, part, progress) if part else generate(args.out, recipe, options, progress)
    _say_part(result, args.json) if part else say_result(result, args.json)
    return 0


def _say_part(result, as_json):
    """Print what a run of one part made, notes on stderr."""
    say_left_out(result.skipped, result.notes)
    say_rows_left_out(result.rows_left_out)
    if as_json:
        told = {"part": result.part.number, "parts": result.part.count, "shards": result.shards, "shards_missing": result.missing}
        print(json.dumps({**_facts(result), **told}))
        return
    made = f"{result.rows_made:,} made now, in {clock(result.seconds)}" if result.rows_made else "nothing had to be made"
    print(f"{result.folder}: {result.part.words} is complete: {result.rows:,} rows in {result.shards} data files; {made}")
    say_busy(result.depth_busy)
    if result.missing:
        print(f"{result.missing} data files of other parts aren't there yet; when they are:   fgbg-depth finish {result.folder}")
    else:
        print(f"all data files are there; make what comes after them with   fgbg-depth finish {result.folder}")


def say_result(result, as_json, source=None):
    """Print what a run made, notes on stderr; `source` is the set whose rows they are."""
    say_left_out(result.skipped, result.notes)
    say_rows_left_out(result.rows_left_out)
    near = near_in_set(result.folder)  # its card has just been made from the same: nothing is decoded again
    say_near(near)
    if as_json:
        print(json.dumps({**as_dict(result), "near_duplicates": near.as_dict()}))
        return
    if result.rows_made == 0:
        print(f"{result.folder} is complete: {result.rows:,} rows in {result.shards} data files; nothing had to be made")
    else:
        rows = f"{result.rows:,} rows of {source}" if source else f"{result.rows:,} rows"
        print(
            f"{result.folder}: {rows} ({result.rows_made:,} made now) in {result.shards} data files, "
            f"{size(result.data_bytes)}, in {clock(result.seconds)}"
        )
        say_busy(result.depth_busy)
    if result.left_out and not source:
        print(f"{result.left_out:,} cells were left out: their background and foreground belong to different splits")
    print(f"load it with   {load_words(result.folder)}")


def load_words(folder):
    """What loads a set's rows."""
    if is_remote(folder):
        return f'load_dataset("parquet", data_files={{"train": "{folder}/data/train/*.parquet"}})'
    return f'load_dataset("{folder}")'


def as_dict(result):
    """A Result as JSON values."""
    return {**_facts(result), "data_files": result.shards, "bytes": result.data_bytes}


def _facts(result):
    return {
        "folder": str(result.folder),
        "rows": result.rows,
        "rows_made": result.rows_made,
        "seconds": round(result.seconds, 3),
        "cells_left_out": result.left_out,
        "skipped": [{"file": file, "reason": reason} for file, reason in result.skipped],
        "notes": list(result.notes),
        "depth": result.depth,
        "depth_busy": result.depth_busy and round(result.depth_busy, 4),
        "rows_left_out": list(result.rows_left_out),
    }


def say_left_out(skipped, notes):
    """List skipped pictures and notes on stderr."""
    for file, reason in skipped:
        print(f"left out: {file}: {reason}", file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def say_rows_left_out(keys):
    """Say on stderr which rows the set lacks, as the network gave no depth for them that can be stored."""
    if keys:
        more = f" and {len(keys) - ROWS_NAMED:,} more" if len(keys) > ROWS_NAMED else ""
        some = ", ".join(keys[:ROWS_NAMED])
        print(f"left out: {len(keys):,} row{'s' * (len(keys) > 1)} without depth that can be stored: {some}{more}", file=sys.stderr)


def say_busy(share):
    """Say how much of the time of making rows the network was at work."""
    if share is not None:
        print(f"the depth network was busy {share:.1%} of the time in which rows were made")


def say_near(near):
    """Warn on stderr of source pictures that are alike, of leaks between splits above all."""
    for line in warning_lines(near):
        print(line if line.startswith("leak: ") else f"note: {line}", file=sys.stderr)


def say_depth(depth):
    """Say on stderr what runs the depth network and why, and what the depth is worth, where it isn't the real thing."""
    if depth:
        how = f"{depth['engine']} {depth['precision']} ({depth['engine_reason']}) on {depth['device']}"
        print(f"note: depth runs with {how}, {depth['batch_size']} pictures at a time", file=sys.stderr)
    if depth and depth["name"] == "densedepth-mini":
        print("note: depth is by densedepth-mini, a small model for trying things out; use --depth-model for real work", file=sys.stderr)
    if depth and depth["kind"] == "relative":
        print(f"note: {depth['name']} gives relative depth: depth_min_m and depth_max_m are null", file=sys.stderr)
