"""From two folders of pictures to a finished set, resumable at any moment.

Steps: scan the pictures, load the depth model, resolve the recipe, compare with what the folder holds, plan, write the asset
tables, make the missing shards, finish (metadata tables, statistics, manifest, contact sheets, card). Everything that can be
wrong is found before the first shard is made.
"""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from . import batches
from .asset_tables import KINDS, AssetReader, table_path, write_asset_table
from .errors import UsageError
from .files import locked, storage_errors, swept, temp_path
from .finish import finish_set
from .manifest import library_versions
from .missing import make_missing, split_shards
from .prepare import prepare
from .produce import Job
from .progress import Quiet
from .shards import Footer
from .studio import write_canvases
from .workers import Task

CANVASES_NAME = "canvases"  # the scratch file of all backgrounds, only ever there under its temporary name


@dataclass(frozen=True)
class Result:
    """What a run did: rows of the set, rows made now, data files, bytes, seconds, notes for the user."""

    folder: Path
    rows: int
    rows_made: int
    shards: int
    data_bytes: int
    seconds: float
    left_out: int
    skipped: tuple
    notes: tuple
    depth: dict | None


def generate(folder, recipe, options, progress=None):
    """Make a set, or go on with one.

    Args:
        folder: where it shall be.
        recipe: config.Recipe.
        options: Options.
        progress: progress.Quiet or a subclass.

    Returns:
        Result.

    Raises:
        FgbgDepthError: see errors.py; finished shards are kept, nothing is half-written.
    """
    started, progress = time.monotonic(), progress or Quiet()
    check_workers(options)
    with locked(folder) as folder, swept(folder), storage_errors(folder):
        prepared = prepare(folder, recipe, options, progress)
        _write_asset_tables(prepared)
        made = _make_shards(prepared, options, progress)
        manifest = finish_set(prepared, progress)
    return result_of(prepared, made, manifest, started)


def check_workers(options):
    """UsageError when the number of workers makes no sense."""
    if options.num_workers is not None and options.num_workers < 1:
        raise UsageError(f"--workers is {options.num_workers}, expected at least 1")


def result_of(prepared, rows_made, manifest, started):
    """The Result of a run.

    Args:
        prepared: prepare.Prepared.
        rows_made: rows that it made.
        manifest: of the finished set.
        started: `time.monotonic()` at its beginning [s].
    """
    data = [facts for facts in manifest["files"].values() if facts.get("config") == "default"]
    return Result(
        prepared.folder,
        prepared.plan.num_rows,
        rows_made,
        len(data),
        sum(facts["bytes"] for facts in manifest["files"].values()),
        time.monotonic() - started,
        sum(prepared.plan.left_out.values()),
        prepared.work.skipped,
        prepared.work.notes,
        prepared.depth,
    )


def _write_asset_tables(prepared):
    work, recipe = prepared.work, prepared.recipe
    versions = library_versions(recipe.has_depth)
    extra = {"recipe": batches.stored_fields(recipe), "depth": prepared.depth}
    for kind in KINDS:
        mine = [entry for entry in work.entries[kind] if entry.plan.id in work.newcomers[kind]]
        if not mine or table_path(prepared.folder, kind, work.batch).is_file():
            continue
        footer = Footer(
            f"{kind}s", work.batch, "", 0, 0, len(mine), prepared.digest, work.lists[work.batch], "", versions, extra
        )
        write_asset_table(prepared.folder, kind, mine, work.newcomers[kind], recipe, footer)


def _make_shards(prepared, options, progress):
    """Make what is missing; returns the number of rows made."""
    plan, folder = prepared.plan, prepared.folder
    state = batches.read_state(folder)
    versions = library_versions(prepared.recipe.has_depth)
    job = Job(folder, prepared.recipe, prepared.digest, state.lists, versions, prepared.relative)
    there, missing = split_shards(job, plan)
    if not missing:
        return 0
    entries = {kind: sorted(state.entries[kind], key=lambda e: e.plan.id) for kind in KINDS}
    with _canvases(prepared, entries["background"], progress) as canvases:
        task = Task(job, plan, canvases, entries["foreground"], prepared.estimator, prepared.weights)
        return make_missing(task, plan, there, missing, options, progress)


@contextlib.contextmanager
def _canvases(prepared, entries, progress):
    path = temp_path(prepared.folder / CANVASES_NAME)
    try:
        with progress.task("fit the backgrounds", len(entries)) as task:
            reader = AssetReader(entries)
            write_canvases(path, prepared.recipe, prepared.plan.backgrounds, reader, task.update)
        yield path
    finally:
        path.unlink(missing_ok=True)
