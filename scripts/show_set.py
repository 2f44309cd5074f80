"""Load a finished set with plain `load_dataset`, print a summary, and draw a contact sheet.

    python scripts/show_set.py DIR --sheet sheet.png
"""

import argparse
import sys
import tempfile
from pathlib import Path

from fgbg_depth import depth_to_metres, load_stats
from fgbg_depth.errors import FgbgDepthError
from fgbg_depth.sheets.write import demo_sheet


def show(folder, sheet=None):
    """Print what `load_dataset` gives for a set's folder, and write its contact sheet to `sheet`."""
    from datasets import load_dataset

    # A cache of its own: the folder may have changed since datasets last saw it.
    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset(str(folder), cache_dir=cache)
        for split, table in rows.items():
            stats = load_stats(folder, split)
            mean = ", ".join(f"{value:.4f}" for value in stats["image"]["mean"])
            print(f"{split:<11}{table.num_rows:>8,} rows   image mean {mean}   mask mean {stats['mask']['mean']:.4f}")
        first = next(iter(rows.values()))[0]
        print("\nthe first row:")
        for name, value in first.items():
            print(f"  {name:<14}{value if not hasattr(value, 'size') else f'{value.mode} {value.size[0]} x {value.size[1]}'}")
        if first.get("depth_min_m") is not None:
            metres = depth_to_metres(first["depth"], first["depth_min_m"], first["depth_max_m"])
            print(f"  {'depth [m]':<14}{metres.min():.2f} to {metres.max():.2f}, median {sorted(metres.ravel())[metres.size // 2]:.2f}")
    if sheet:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        demo_sheet(folder, sheet)
        print(f"\ncontact sheet: {sheet}")


def main():
    parser = argparse.ArgumentParser(description="Load a set with load_dataset and show what is in it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet to this PNG")
    args = parser.parse_args()
    try:
        show(args.folder, args.sheet)
    except FgbgDepthError as error:
        print(f"show_set: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
