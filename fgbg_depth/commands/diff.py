"""`fgbg-depth diff`: how two sets, or two versions of one, differ in their rows."""

import json
import sys

from . import hub_flags


def add_arguments(parser):
    """Add the arguments of `diff` to an argparse parser."""
    parser.add_argument("a", metavar="A", help="a folder, USER/SET, or USER/SET@REVISION")
    parser.add_argument("b", metavar="B", help="the same, to compare with A")
    parser.add_argument("--json", action="store_true", help="print all keys as JSON")


def run(args):
    """Compare and print."""
    from ..hub.diff import KEYS_SHOWN, diff_sets
    from ..hub.sides import open_side

    api, patience = hub_flags.open_api(), hub_flags.patience()
    a, b = (open_side(name, api, patience) for name in (args.a, args.b))
    found = diff_sets(a, b)
    if args.json:
        print(json.dumps(found.to_dict()))
        return 0
    if not found.same_recipe:
        print("note: they were made by different recipes", file=sys.stderr)
    for sign, word, keys in (("+", "added", found.added), ("-", "removed", found.removed), ("~", "changed", found.changed)):
        print(f"{len(keys):,} rows {word}")
        for key in keys[:KEYS_SHOWN]:
            print(f"  {sign} {key}")
        if len(keys) > KEYS_SHOWN:
            print(f"  {sign} and {len(keys) - KEYS_SHOWN:,} more (all are in --json)")
    if found.columns:
        print("changed columns: " + ", ".join(f"{name} in {count:,} rows" for name, count in found.columns.items()))
    print(f"{found.same:,} rows are the same" + _how(found))
    return 0


def _how(found):
    if not found.not_compared:
        return ""
    return (
        f"; the pictures of {found.not_compared:,} rows weren't compared: they are in data files that differ, and a set "
        f"on the Hub isn't downloaded for that"
    )
