"""What concerns all tables of a set together: repeated keys, shared assets, merged statistics, the card."""

import numpy as np

from ..asset_tables import KINDS
from ..config import SPLIT_NAMES
from ..errors import DataError
from ..finish import read_tally
from ..shards import open_table, read_footer
from . import asset_rows, listing
from .tables import group_starts

REPEATS_NAMED = 100


def check_together(basis, manifest, facts, found):
    """Run these checks.

    Args:
        basis: Basis with a recipe.
        manifest: as read, or None.
        facts: rows.ShardFacts of all data files, by name.
        found: Findings.
    """
    if manifest is not None:
        listing.check_manifest(basis, manifest, found)
    _check_repeats(basis, facts, found)
    asset_rows.check_uniqueness(basis, found)
    used = {kind: {} for kind in KINDS}
    for fact in facts:
        for kind, ids in (("background", fact.backgrounds), ("foreground", fact.foregrounds)):
            for asset_id in ids:
                used[kind].setdefault(asset_id, set()).add(fact.split)
    asset_rows.check_sharing(basis, used, found)
    listing.check_stats_file(basis, _footer_tallies(basis, facts), found)
    listing.check_card(basis, found)


def _footer_tallies(basis, facts):
    """{split: Tally} merged from the footers, or None when some can't be had."""
    if basis.plan and {fact.name for fact in facts} != set(basis.shards()):
        return None
    tallies = {}
    for fact in facts:
        path = basis.folder / fact.name
        try:
            footer = read_footer(path)
            tally = read_tally(footer, path)
        except DataError:
            return None  # found with the file
        tallies[footer.split] = tallies[footer.split].merge(tally) if footer.split in tallies else tally
    return {split: tallies[split] for split in SPLIT_NAMES if split in tallies}


def _check_repeats(basis, facts, found):
    """Sample keys are unique over the whole set; 16 bytes of memory for each row."""
    hashes = np.concatenate([fact.key_hashes for fact in facts] or [np.zeros(0, np.uint64)])
    numbers = np.concatenate([fact.key_rows for fact in facts] or [np.zeros(0, np.int64)])
    files = np.repeat(np.arange(len(facts)), [len(fact.key_hashes) for fact in facts])
    order = np.argsort(hashes, kind="stable")
    repeats = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    for at in repeats[:REPEATS_NAMED].tolist():
        (file, row), (other, other_row) = ((facts[files[i]].name, int(numbers[i])) for i in order[at : at + 2])
        key = _key(basis.folder / other, other_row)
        if key == _key(basis.folder / file, row):
            found.add(other, f"the key {key!r} is also that of row {row} of {file}", other_row, "key")


def _key(path, row):
    with open_table(path) as table:
        starts = group_starts(table)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return table.read_row_group(group, columns=["key"]).column("key")[row - starts[group]].as_py()
