"""`fgbg-depth plan`: what generate would make, with bytes and time; nothing is written."""

import json
from collections import Counter

from ..asset_tables import KINDS
from ..estimate import measure_rows
from ..near_duplicates import near_in_plan
from ..prepare import prepare
from ..produce import usable_cores
from ..progress import clock, size
from . import recipe_flags
from .generate import say_depth, say_left_out, say_near


def add_arguments(parser):
    recipe_flags.add_arguments(parser)


def run(args):
    """Print the plan."""
    recipe, options = recipe_flags.recipe_from(args), recipe_flags.options_from(args)
    prepared = prepare(args.out, recipe, options, recipe_flags.progress_from(args))
    cost = measure_rows(prepared)
    say_left_out(prepared.work.skipped, prepared.work.notes)
    say_depth(prepared.depth)
    near = near_in_plan(prepared, recipe_flags.progress_from(args))
    say_near(near)
    workers = options.num_workers or (1 if options.device != "cpu" else usable_cores())
    table = {**summary(prepared, cost, workers), "near_duplicates": near.as_dict()}
    if args.json:
        print(json.dumps(table))
        return 0
    _print(table, prepared)
    return 0


def summary(prepared, cost, workers):
    """The plan as JSON values."""
    plan, work = prepared.plan, prepared.work
    shards = plan.shards()
    todo = [shard for shard in shards if not (prepared.folder / shard.name).is_file()]
    rows_left = sum(map(len, todo))
    there, coming = _asset_bytes(prepared)
    by_split = Counter()
    for (_, split), rows in plan.rows.items():
        by_split[split] += len(rows)
    return {
        "folder": str(prepared.folder),
        "batch": work.batch,
        "backgrounds": len(plan.backgrounds),
        "foregrounds": len(plan.foregrounds),
        "rows": plan.num_rows,
        "rows_by_split": dict(by_split),
        "rows_to_make": rows_left,
        "cells_left_out": sum(plan.left_out.values()),
        "shards": len(shards),
        "shards_to_make": len(todo),
        "bytes": there + coming + round(cost.bytes_per_row * plan.num_rows),
        "bytes_to_write": coming + round(cost.bytes_per_row * rows_left),
        "seconds": round(cost.seconds(rows_left, max(1, min(workers, len(todo) or 1)), usable_cores()), 1),
        "workers": workers,
        "recipe_digest": prepared.digest,
        "depth": prepared.depth,
        "skipped": [{"file": file, "reason": reason} for file, reason in work.skipped],
        "notes": list(work.notes),
    }


def _asset_bytes(prepared):
    """Bytes of the asset tables that are there, and about those of the tables to come, which hold the source files."""
    work, there, coming = prepared.work, 0, 0
    for kind in KINDS:
        tables = {entry.table for entry in work.entries[kind] if entry.table}
        there += sum(path.stat().st_size for path in tables)
        coming += sum(asset.path.stat().st_size for asset in work.newcomers[kind].values())
    return there, coming


def _depth_words(depth):
    return f"{depth['name']} ({depth['kind']}), input {depth['input_size']}, {depth['engine']} {depth['precision']}"


def _print(table, prepared):
    recipe, depth = prepared.recipe, table["depth"]
    cells = f"{table['backgrounds']:,} backgrounds x {table['foregrounds']:,} foregrounds x {2 if recipe.flips else 1}"
    left = f"{table['rows_to_make']:,} rows in {table['shards_to_make']:,} shards, {size(table['bytes_to_write'])}"
    lines = [
        ("assets", f"{cells} x {recipe.placements} placements"),
        ("rows", f"{table['rows']:,} ({', '.join(f'{n:,} {s}' for s, n in table['rows_by_split'].items())})"),
        ("cells left out", f"{table['cells_left_out']:,} (hold_out = {recipe.hold_out})"),
        ("shards", f"{table['shards']:,} of up to {recipe.rows_per_shard:,} rows"),
        ("depth", _depth_words(depth) if depth else "none"),
        ("bytes", size(table["bytes"])),
    ]
    if table["rows_to_make"] < table["rows"]:
        lines.append(("still to make", left))
    lines.append(("time expected", f"{clock(table['seconds'])} with {table['workers']} workers on this machine"))
    for name, value in lines:
        print(f"{name:<16}{value}")
    print(f"nothing was written to {table['folder']}")
