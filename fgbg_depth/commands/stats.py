"""`fgbg-depth stats`: show a set's statistics, or count them anew from all pixels and compare."""

import json
import sys

from ..errors import UsageError
from ..folders import as_folder
from ..load import load_stats
from ..progress import Quiet, for_stream
from ..stats import QUANTILES

SHOWN_QUANTILES = tuple(str(q) for q in QUANTILES if q in (0.05, 0.5, 0.95))
CHANNELS = ("R", "G", "B")


def add_arguments(parser):
    """Add the arguments of `stats` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", help="the set's folder, here or as s3://BUCKET/FOLDER, or its repo id on the Hub")
    parser.add_argument("--recompute", action="store_true", help="count all pixels anew and compare; exit code 1 if anything differs")
    parser.add_argument("--split", metavar="NAME", help="train, validation, test or all (default: every one)")
    parser.add_argument("--workers", metavar="N", type=int, help="processes for --recompute (default: one for each processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the statistics, or the differences, as JSON")
    parser.set_defaults(after_stop="Nothing was changed.", takes_s3=("folder",))


def run(args):
    """Print statistics or differences; returns 1 when statistics differ."""
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers is {args.workers}, expected at least 1")
    table = load_stats(args.folder, None)
    if args.split is not None:
        table = {args.split: load_stats(args.folder, args.split)}
    if args.recompute:
        return _recompute(args)
    if args.json:
        print(json.dumps(table))
        return 0
    print("\n".join(_lines(table)))
    return 0


def _recompute(args):
    from ..verify.basis import recipe_of_set
    from ..verify.recount import compare_statistics, recount

    folder = as_folder(args.folder)
    if not folder.is_dir():
        raise UsageError(f"{args.folder} is no folder; --recompute reads all pixels, so download the set first")
    recipe, depth = recipe_of_set(folder)
    progress = Quiet() if args.quiet else for_stream()
    tallies = recount(folder, recipe, bool(depth) and depth["kind"] == "relative", args.workers, progress)
    differ = compare_statistics((folder / "stats.json").read_text(encoding="utf-8"), tallies)
    if args.split is not None:
        differ = [entry for entry in differ if entry[0] in ("", args.split)]
    rows = sum(tally.rows for split, tally in tallies.items() if args.split in (None, "all", split))
    if args.json:
        told = [{"split": split, "column": column, "problem": words} for split, column, words in differ]
        print(json.dumps({"folder": args.folder, "rows": rows, "good": not differ, "differences": told}))
    elif not differ:
        print(f"{folder / 'stats.json'} agrees with the pixels of {rows:,} rows")
    else:
        for split, column, words in differ:
            where = (str(folder / "stats.json"), split and f"split {split}", column and f"column {column}")
            print(f"{', '.join(filter(None, where))}: {words}")
        print(f"{len(differ)} differences; `fgbg-depth verify {folder}` tells whether rows or stats.json changed", file=sys.stderr)
    return 1 if differ else 0


def _lines(table):
    """The statistics as a table for people; values in [0, 1], metres for depth_m."""
    quantiles = [f"{float(q):.0%}" for q in SHOWN_QUANTILES]
    rows = [("split", "column", "mean", "std", "min", *quantiles, "max", "inside mean", "outside mean", "count")]
    for split, columns in table.items():
        for column, values in columns.items():
            if isinstance(values["mean"], list):
                rows += [_row(split, f"{column} {name}", values, i) for i, name in enumerate(CHANNELS)]
            else:
                rows.append(_row(split, column, values, None))
        area = columns["mask"]["area"]
        rows.append((split, "mask area", *_numbers(area, None), "", "", f"{area['count']:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, widths)) for row in rows]


def _aligned(row, widths):
    """Names to the left, numbers to the right."""
    return [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]


def _row(split, column, values, channel):
    sides = [_number(_pick(values[side]["mean"], channel)) if side in values else "" for side in ("inside", "outside")]
    return (split, column, *_numbers(values, channel), *sides, f"{values['count']:,}")


def _numbers(values, channel):
    """mean, std, min, quantiles and max as text."""
    quantiles = values["quantiles"] or dict.fromkeys(SHOWN_QUANTILES)
    listed = [values["mean"], values["std"], values["min"], *(quantiles[q] for q in SHOWN_QUANTILES), values["max"]]
    return [_number(_pick(value, channel)) for value in listed]


def _pick(value, channel):
    return value if channel is None or value is None else value[channel]


def _number(value):
    return "" if value is None else f"{value:.4f}"
