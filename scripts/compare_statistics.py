"""The two ways in which the statistics of 2020 were worked out, beside the exact ones of a set.

    python scripts/compare_statistics.py SET [--batch 32 128] [--split train]

prints, for each column, what the average of batches and the two passes give, and how far each is from stats.json. Batches are taken in the
order of the files, which is well mixed, and in the order of the names, as a folder is listed.
"""

import argparse
from pathlib import Path

import numpy as np

from fgbg_depth import codec, load_stats
from fgbg_depth.original.methods import batch_averages, two_passes
from fgbg_depth.progress import for_stream
from fgbg_depth.shards import find_tables, open_table

COLUMNS = {"image": codec.decode_rgb, "mask": codec.decode_gray, "depth": codec.decode_gray}
ORDERS = {"mixed": None, "by name": "key"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path, help="folder of a finished set")
    parser.add_argument("--split", default="train")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128], help="rows of a batch (default: 32 128)")
    args = parser.parse_args()
    stats, rows = load_stats(args.set, args.split), places(args.set, args.split)
    columns = [name for name in COLUMNS if name in stats]
    print(f"{args.set}, {args.split}: {len(rows):,} rows. Differences are from the exact values.\n")
    print("| Column | Exact mean | Exact std | Way | Order | Rows in a batch | Mean off by | Std off by |")
    print("| --- | ---: | ---: | --- | --- | ---: | ---: | ---: |")
    runs = [("average of batches", order, size) for size in args.batch for order in ORDERS] + [("two passes", "mixed", args.batch[0])]
    with for_stream().task("runs", len(columns) * len(runs)) as bar:
        done = 0
        for column in columns:
            for way, order, size in runs:
                mean, std = work_out(args.set, rows, column, way, order, size)
                print_line(column, stats[column], way, order, size, mean, std)
                done += 1
                bar.update(done)


def places(folder, split):
    """(key, path, row group, row) of each row of a split, in the order of the files."""
    found = []
    for path in (p for p in find_tables(folder, "default") if p.parent.name == split):
        with open_table(path) as table:
            for group in range(table.num_row_groups):
                keys = table.read_row_group(group, columns=["key"]).column("key").to_pylist()
                found += [(key, path, group, row) for row, key in enumerate(keys)]
    return found


def work_out(folder, rows, column, way, order, size):
    """(mean, std) of a column, each (C,) in 0 to 1."""
    ordered = sorted(rows) if ORDERS[order] else rows

    def batches():
        reader = Pictures(column)
        for start in range(0, len(ordered), size):
            pictures = [reader.read(*place) for _, *place in ordered[start : start + size]]
            yield np.stack(pictures).reshape(len(pictures), -1, 3 if column == "image" else 1)

    return two_passes(batches) if way == "two passes" else batch_averages(batches())


class Pictures:
    """Decodes pictures of one column; the encoded ones that were read stay in memory, so the order doesn't matter."""

    def __init__(self, column):
        self._column, self._groups = column, {}

    def read(self, path, group, row):
        if (path, group) not in self._groups:
            with open_table(path) as table:
                self._groups[path, group] = table.read_row_group(group, columns=[self._column]).column(self._column)
        return COLUMNS[self._column](self._groups[path, group][row].as_py()["bytes"])


def print_line(column, exact, way, order, size, mean, std):
    """One line of the table for each channel."""
    names = [f"{column} {c}" for c in "RGB"] if column == "image" else [column]
    for i, name in enumerate(names):
        right = [exact[n][i] if column == "image" else exact[n] for n in ("mean", "std")]
        off = " | ".join(f"{value:+.5f}" if abs(value) >= 5e-6 else "0" for value in (mean[i] - right[0], std[i] - right[1]))
        print(f"| {name} | {right[0]:.4f} | {right[1]:.4f} | {way} | {order} | {size} | {off} |", flush=True)


if __name__ == "__main__":
    main()
