"""From a tree of 2020 to a finished set, resumable at any moment.

Steps: find all pictures by their names, match them, read the source pictures, fix the recipe, compare with what the folder holds, write
the asset tables, make the missing data files, finish as every set is finished. Each composite, mask and depth map is read once, when
its data file is made (a few of them before, to learn their size, and where a source picture has to be recovered). One that turns out
to be unusable is left out of that file, whose footer says so. The same tree gives the same bytes, with zips or without.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from .. import batches
from ..asset_tables import KINDS, table_path, write_asset_pictures
from ..dropped import DROPPED_NAME, read_dropped
from ..errors import DataError, FolderError, UsageError
from ..files import locked, storage_errors, swept
from ..finish import finish_set
from ..imported import depth_facts, read_plan
from ..load import load_stats
from ..manifest import library_versions
from ..plan import FIRST_BATCH
from ..pool import run_pool
from ..prepare import Prepared
from ..produce import usable_cores
from ..progress import Quiet
from ..shards import Footer, find_tables, own_footer, read_footer
from ..workers import ADVICE
from . import published
from .containers import Reader
from .preparing import prepare_import
from .shard import ImportTask


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        folder: the set's folder.
        rows, rows_made: of the set, and made now.
        annotated: rows of which annotations.txt told.
        data_files, data_bytes: of the set.
        problems: problems.Problems: what was left out.
        compared: list of published.Compared when it is the set of 2020, else None.
        has_depth: whether there are depth maps.
        seconds: time taken [s].
    """

    folder: Path
    rows: int
    rows_made: int
    annotated: int
    data_files: int
    data_bytes: int
    problems: object
    compared: list | None
    has_depth: bool
    seconds: float


def import_original(tree, folder, options, progress=None):
    """Read a tree of 2020, or go on with it.

    Args:
        tree: a folder with `fg_bg`, `fg_bg_masks` and so on, zips of such folders, or one zip. Nothing is written there.
        folder: where the set shall be.
        options: preparing.Options.
        progress: progress.Quiet or a subclass.

    Returns:
        Imported.

    Raises:
        UsageError: the tree can't be read, or the folders lie in each other.
        DataError: nothing of it can be matched.
        FolderError: the folder holds something else.
        FgbgDepthError: see errors.py; finished files are kept, nothing is half-written.
    """
    started, progress = time.monotonic(), progress or Quiet()
    tree, folder = Path(tree), Path(folder)
    if folder.resolve().is_relative_to(tree.resolve()) or tree.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{folder} and {tree} lie in each other; choose another OUT")
    if options.num_workers is not None and options.num_workers < 1:
        raise UsageError(f"--workers is {options.num_workers}, expected at least 1")
    with locked(folder) as folder, swept(folder), storage_errors(folder), Reader(tree) as reader:
        state = batches.read_state(folder)
        _refuse_dropped(folder)
        work = prepare_import(tree, options, reader, progress)
        _refuse_other_work(folder, state, work)
        made = _make(tree, folder, work, options, progress)
        manifest = _finish(folder, work, progress)
    for path in find_tables(folder, "default"):
        _note_left_out(path, work.listing.problems)
    data = [facts for facts in manifest["files"].values() if facts.get("config") == "default"]
    rows, size = sum(facts["rows"] for facts in data), sum(facts["bytes"] for facts in manifest["files"].values())
    counts = [len(work.assets[kind]) for kind in KINDS]
    that = published.is_that_set(rows, *counts, work.recipe.image_size)
    compared = published.compare(load_stats(folder, "all")) if that else None
    seconds = time.monotonic() - started
    return Imported(
        folder, rows, made, work.matched.annotated, len(data), size, work.listing.problems, compared, work.recipe.has_depth, seconds
    )


# --- what the folder holds ---


def _refuse_dropped(folder):
    """FolderError when pictures were taken out of the set: rows that are read again would bring them back."""
    dropped = read_dropped(folder)
    if any(dropped.of(kind) for kind in KINDS):
        raise FolderError(f"pictures were dropped from {folder} ({DROPPED_NAME}); an import would bring them back. Choose another OUT")


def _refuse_other_work(folder, state, work):
    batches.refuse_other_recipe(folder, state, work.recipe, work.digest)
    if state.lists and state.lists != work.lists:
        raise FolderError(f"{folder} was made with other source pictures than those of this tree; choose another OUT. Nothing was changed")


# --- making it ---


def _make(tree, folder, work, options, progress):
    """Write what is missing; returns the number of rows made."""
    versions = library_versions(False)
    facts = {"recipe": batches.stored_fields(work.recipe), "depth": depth_facts(work.recipe.imported) if work.recipe.has_depth else None}
    for kind in KINDS:
        mine = sorted(work.assets[kind].values(), key=lambda a: a.entry.plan.id)
        if table_path(folder, kind, FIRST_BATCH).is_file():
            continue
        data = {asset.entry.plan.id: asset.data for asset in mine}
        footer = Footer(f"{kind}s", FIRST_BATCH, "", 0, 0, len(mine), work.digest, work.lists[FIRST_BATCH], "", versions, facts)
        write_asset_pictures(folder, kind, [a.entry for a in mine], lambda e, data=data: data[e.plan.id], work.recipe, footer)
    missing = _missing(folder, work)
    made = [0]
    there = len(work.matched) - sum(map(len, missing))
    with progress.task("read rows", len(work.matched), there, unit="rows") as bar:

        def on_rows(count):
            made[0] += count
            bar.update(there + made[0])

        task = ImportTask.of(tree, folder, work, versions)
        rows = [0]
        workers = options.num_workers or usable_cores()
        run_pool(task, missing, workers, lambda _, count: rows.append(count), on_rows, ADVICE)
    return sum(rows)


def _missing(folder, work):
    """The data files that aren't there; FolderError for those of other work."""
    missing, names = [], {shard.name for shard in work.shards}
    for path in find_tables(folder, "default"):
        if path.relative_to(folder).as_posix() not in names:
            raise FolderError(f"{path} is none of this set's files; move it away, or choose another OUT")
    for shard in work.shards:
        path = folder / shard.name
        if not path.is_file():
            missing.append(shard)
            continue
        footer = own_footer(path)
        told = footer.config, footer.batch, footer.split, footer.index, footer.recipe, footer.assets
        if told != ("default", FIRST_BATCH, shard.split, shard.index, work.digest, work.lists[FIRST_BATCH]):
            raise FolderError(f"{path} belongs to another tree or to another set; move it away, or choose another OUT")
    return missing


def _finish(folder, work, progress):
    state = batches.read_state(folder)
    assets = {kind: [entry.plan for entry in state.entries[kind]] for kind in KINDS}
    plan = read_plan(folder, work.recipe, assets)
    if plan.num_rows == 0:
        raise DataError(f"not one of {len(work.matched):,} rows could be read; {folder} holds no set, delete it")
    batch = batches.BatchWork(FIRST_BATCH, state.entries, {kind: {} for kind in KINDS}, work.lists)
    depth = depth_facts(work.recipe.imported) if work.recipe.has_depth else None
    return finish_set(Prepared(folder, work.recipe, work.digest, depth, batch, plan, None), progress)


def _note_left_out(path, problems):
    told = (read_footer(path).extra or {}).get("unread", {})
    for file, reason in told.get("files", ()):
        problems.add(file, reason)
    if told.get("more"):
        problems.add(f"{told['more']:,} more files of {path.name}", "can't be used")
