"""Which source picture is to blame, when rows made anew differ or an asset table has changed."""

from ..asset_tables import KINDS
from ..errors import DataError
from .asset_rows import changed_pictures, entry_file
from .basis import row_number

MIN_ROWS = 2  # one row that differs may be damaged itself
ASSET_FOLDERS = ("backgrounds/", "foregrounds/")
SUSPECTS_NAMED = 3  # more than that is no help


def blame_assets(basis, verdicts, damaged, found):
    """Name the source pictures that explain why rows made anew differ.

    In an asset table that is known to be damaged, any row that differs tells; the row itself isn't named then. Where all
    hashes are good, a picture is named when all of its rows differ, of at least two. The picture that explains most
    rows is taken first.

    Args:
        basis: Basis with a plan.
        verdicts: list of (data file, row, True when it agrees), of data files that aren't damaged themselves.
        damaged: names of tables whose hash is wrong.
        found: Findings.
    """
    tables = {name for name in damaged if name.startswith(ASSET_FOLDERS)}
    uses_of = _uses(basis, verdicts, tables)
    explained = set()
    for (kind, entry), uses in sorted(uses_of.items(), key=lambda item: (-_count_bad(item[1]), item[0][0], item[0][1].plan.id)):
        bad = {spot for spot, good in uses if not good}
        enough = bool(bad) if tables else len(uses) >= MIN_ROWS and len(bad) == len(uses)
        if not enough or bad <= explained:
            continue
        explained |= bad
        words = f"{len(bad)} of {len(uses)} rows made anew from {entry.plan.id!r} differ from the stored ones"
        more = "" if tables else ": it has changed, or they have"
        found.add(entry_file(entry, kind), words + more, row_number(basis.entries[kind], entry), "image")
    if tables:
        found.drop(lambda f: (f.file, f.row) in explained and f.column in ("image", "mask"))


def _uses(basis, verdicts, tables):
    """{(kind, entry): [((data file, row), True when it agrees)]} of all assets, or of those in some tables."""
    shards, uses = basis.shards(), {}
    for name, number, good in verdicts:
        shard = shards[name]
        rows, i = basis.plan.rows[shard.batch, shard.split], basis.held(shard)[number]
        for kind in KINDS:
            entry = basis.entries[kind][int(getattr(rows, kind)[i])]
            if not tables or entry_file(entry, kind) in tables:
                uses.setdefault((kind, entry), []).append(((name, number), good))
    return uses


def _count_bad(uses):
    return sum(1 for _, good in uses if not good)


def suspect_pictures(basis, damaged, found):
    """In a damaged asset table where no row shows it, name the pictures that can be the changed one, when they are few."""
    for name in sorted(name for name in damaged if name.startswith(ASSET_FOLDERS)):
        if any(f.file == name and f.row is not None for f in found.listed()):
            continue
        try:
            rows = changed_pictures(basis, name.split("/")[0].removesuffix("s"), name)
        except DataError:
            continue  # can't be opened, and was found so
        for row in rows if len(rows) <= SUSPECTS_NAMED else ():
            found.add(name, "may be what changed: all rows but such as this one hold their source file, byte for byte", row, "image")
