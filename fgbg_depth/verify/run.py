"""Check a whole set: every file, every row, every picture, and whether all of it follows from the asset tables.

First the lists, then each table in workers, then what concerns all tables together. Rows are made anew at the end: those that
were asked for, and all rows of damaged files, to find where the damage is. Nothing is written into the set's folder.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

from ..asset_tables import KINDS
from ..errors import UsageError
from ..folders import as_folder
from ..manifest import MANIFEST_NAME
from ..pool import run_pool
from ..produce import usable_cores
from ..progress import Quiet
from . import listing
from .anew import make_anew, rows_to_make
from .asset_rows import check_asset_pictures, check_asset_table
from .basis import Basis, read_basis
from .blame import blame_assets, suspect_pictures
from .findings import Findings, Repairs, Report
from .metadata_rows import check_metadata_table, metadata_footers
from .model import ModelChoice
from .rows import TALLY_WORDS, check_shard
from .tables import check_hash
from .together import check_together


def verify_set(folder, *, rebuild=0, seed=0, num_workers=None, progress=None, depth_model=None, depth_weights=None, device="cpu"):
    """Check a set.

    Args:
        folder: the set's folder, also in S3 ("s3://bucket/folder").
        rebuild: how many rows, chosen by `seed`, to composite anew from the asset tables and compare.
        seed: chooses those rows.
        num_workers: processes; None takes one for each processor.
        progress: progress.Quiet or a subclass.
        depth_model, depth_weights, device: as for generate; needed to predict depth anew with a model that can't be found
            by its name alone. Its weights must be those that made the set.

    Returns:
        findings.Report; the set is good when it has no finding.

    Raises:
        UsageError: the folder holds no set, or the depth model given isn't the set's.
        DepthModelError: the depth model given can't be loaded.
    """
    started, progress, folder = time.monotonic(), progress or Quiet(), as_folder(folder)
    _refuse_strangers(folder, rebuild)
    found, notes, workers = Findings(), [], num_workers or usable_cores()
    manifest, listed = listing.read_listed(folder, found)
    basis = _with_repairs(read_basis(folder, listed, found), found)
    names = listing.check_names(basis, manifest, found)
    rows = rebuilt = predicted = 0
    if basis.recipe is None:
        for name in sorted(listed):
            if (folder / name).is_file():
                check_hash(basis, name, found)
    else:
        facts, damaged = _check_tables(basis, names, workers, progress, found)
        rows = sum(fact.rows for fact in facts)
        check_together(basis, manifest, facts, found)
        if basis.plan is not None:
            items = rows_to_make(basis, facts, damaged, rebuild, seed, found)
            choice = ModelChoice(depth_model, depth_weights, device)
            if rebuild and basis.recipe.imported:
                notes.append("no row was made anew: this set was imported, and how its rows were composited isn't known")
            rebuilt, predicted, verdicts = make_anew(basis, items, choice, rebuild > 0, workers, progress, found, notes)
            blame_assets(basis, verdicts, damaged, found)
        elif rebuild:
            found.add("backgrounds", "no row can be rebuilt, as the asset tables give no plan", repair=basis.repairs.generate)
        suspect_pictures(basis, damaged, found)
        named = {(f.file, f.column) for f in found.listed() if f.row is not None}
        found.drop(lambda f: f.problem == TALLY_WORDS and (f.file, f.column) in named)  # the rows say it better
    findings = tuple(f if f.repair else dataclasses.replace(f, repair=basis.repairs.of(f.file)) for f in found.listed())
    data_bytes = sum((folder / name).stat().st_size for name in names)
    return Report(str(folder), findings, len(names), rows, data_bytes, rebuilt, predicted, tuple(notes), time.monotonic() - started)


def _refuse_strangers(folder, rebuild):
    if rebuild < 0:
        raise UsageError(f"--rebuild is {rebuild}, expected 0 or more rows")
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the folder of a set")
    if not any((folder / name).exists() for name in (MANIFEST_NAME, *listing.TABLE_FOLDERS)):
        raise UsageError(f"{folder} holds no set: neither {MANIFEST_NAME} nor any of {', '.join(listing.TABLE_FOLDERS)} is there")


def _with_repairs(basis, found):
    """Check recipe.toml, and let the repairs name it only when it is good."""
    good = basis.recipe is not None and listing.check_recipe_file(basis, found)
    return dataclasses.replace(basis, repairs=Repairs(basis.folder, basis.recipe, max(1, len(basis.lists)), good))


@dataclass(frozen=True)
class CheckTask:
    """Checks single tables; an item is (what, arguments...) as `_items` makes them."""

    basis: Basis

    def open(self):
        shards = self.basis.shards()
        checks = {
            "data": lambda say, name: check_shard(self.basis, name, shards.get(name), say),
            "metadata": lambda say, name, footer: check_metadata_table(self.basis, name, footer),
            "assets": lambda say, *where: check_asset_table(self.basis, *where),
            "pictures": lambda say, *where: (check_asset_pictures(self.basis, *where), None),
        }
        return lambda item, say: checks[item[0]](say, *item[1:])


def _items(basis, names):
    """What is checked, as (what, arguments...); the pictures of an asset table by row group, as they can be large."""
    tables = {f"{kind}s/{e.table.name}": (kind, e) for kind in KINDS for e in basis.entries[kind]}
    items, footers = [], metadata_footers(basis)
    for name in names:
        top = name.split("/")[0]
        if name in tables:
            kind, entry = tables[name]
            items.append(("assets", kind, name, entry.plan.batch))
            groups = sorted({e.row_group for e in basis.entries[kind] if e.table == entry.table})
            items += [("pictures", kind, name, group) for group in groups]
        elif top == "data":
            items.append(("data", name))
        elif top == "metadata":
            items.append(("metadata", name, footers.get(name)))
        else:  # an asset table whose rows couldn't be read
            items.append(("assets", top.removesuffix("s"), name, _batch_of(name)))
    return items


def _batch_of(name):
    digits = Path(name).stem[1:]
    return int(digits) if digits.isdigit() else 0


def _check_tables(basis, names, workers, progress, found):
    """Run the checks of single tables; returns (ShardFacts list by name, names of the other tables whose hash is wrong)."""
    facts, damaged, done = [], set(), [0]
    total = basis.plan.num_rows if basis.plan else None
    with progress.task("check rows", total, unit="rows") as bar:

        def on_rows(count):
            done[0] += count
            bar.update(done[0])

        def on_result(item, result):
            if item[0] == "data":
                facts.append(result)
                found.extend(result.findings)
                return
            findings, hash_good = result
            found.extend(findings)
            if hash_good is False:
                damaged.add(item[1] if item[0] == "metadata" else item[2])

        run_pool(CheckTask(basis), _items(basis, names), workers, on_result, on_rows)
    return sorted(facts, key=lambda fact: fact.name), damaged
