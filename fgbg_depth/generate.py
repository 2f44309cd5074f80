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
from .errors import FolderError, UsageError
from .files import locked, storage_errors, sweep, temp_path
from .finish import finish_set
from .manifest import library_versions
from .prepare import prepare
from .produce import Job, usable_cores
from .progress import Quiet
from .shards import Footer, find_tables, own_footer
from .studio import write_canvases
from .workers import Task, run_shards

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
    if options.num_workers is not None and options.num_workers < 1:
        raise UsageError(f"--workers is {options.num_workers}, expected at least 1")
    with locked(folder) as folder, _swept(folder), storage_errors(folder):
        prepared = prepare(folder, recipe, options, progress)
        _write_asset_tables(prepared)
        made = _make_shards(prepared, options, progress)
        manifest = finish_set(prepared, progress)
    data = [facts for facts in manifest["files"].values() if facts.get("config") == "default"]
    return Result(
        folder,
        prepared.plan.num_rows,
        made,
        len(data),
        sum(facts["bytes"] for facts in manifest["files"].values()),
        time.monotonic() - started,
        sum(prepared.plan.left_out.values()),
        prepared.work.skipped,
        prepared.work.notes,
        prepared.depth,
    )


@contextlib.contextmanager
def _swept(folder):
    """No temporary files: of an earlier run that was killed, nor of a worker of this one."""
    sweep(folder)
    try:
        yield
    finally:
        sweep(folder)


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
    job = Job(
        folder,
        prepared.recipe,
        prepared.digest,
        state.lists,
        library_versions(prepared.recipe.has_depth),
        prepared.relative,
    )
    done, todo = _split_shards(job, plan)
    made = [0]
    rows_done = sum(len(shard) for shard in done)
    if not todo:
        return 0
    entries = {kind: sorted(state.entries[kind], key=lambda e: e.plan.id) for kind in KINDS}
    with _canvases(prepared, entries["background"], progress) as canvases:
        task = Task(job, plan, canvases, entries["foreground"], prepared.estimator, prepared.weights)
        with progress.task("make rows", plan.num_rows, rows_done, unit="rows") as bar:

            def on_rows(count):
                made[0] += count
                bar.update(rows_done + made[0], plan.num_rows)

            workers = options.num_workers or (1 if options.device != "cpu" else usable_cores())
            run_shards(task, todo, workers, on_rows, lambda shard: None)
    return made[0]


def _split_shards(job, plan):
    """(there, missing): a shard is there when its file is; a file with another footer is refused."""
    there, missing = [], []
    present = {path.relative_to(job.folder).as_posix() for path in find_tables(job.folder, "default")}
    for shard in plan.shards():
        if shard.name not in present:
            missing.append(shard)
            continue
        footer = own_footer(job.folder / shard.name)
        if not footer.same_work(job.footer(shard)):
            raise FolderError(
                f"{job.folder / shard.name} belongs to another recipe or asset list (batch {footer.batch}, rows {footer.start} to "
                f"{footer.stop}); move it away, or choose another --out"
            )
        there.append(shard)
    return there, missing


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
