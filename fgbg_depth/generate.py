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
from .asset_tables import KINDS, AssetReader, at_hand, table_path, write_asset_table
from .errors import FolderError, UsageError
from .files import locked, storage_errors, swept, temp_path
from .finish import finish_set, left_out_keys
from .folders import as_folder, is_remote
from .manifest import library_versions
from .missing import make_missing, split_shards
from .prepare import prepare
from .produce import Job, Made
from .progress import Quiet
from .shards import Footer
from .studio import write_canvases
from .workers import Task

CANVASES_NAME = "canvases"  # the scratch file of all backgrounds, only ever there under its temporary name


@dataclass(frozen=True, kw_only=True)
class Told:
    """What every run tells.

    Attributes:
        folder: of the set.
        rows, shards: of the set, or of the part that was made; how many there are now.
        rows_made: how many of the rows were made now.
        seconds: of the run.
        left_out: cells whose background and foreground belong to different splits.
        skipped: (file, reason) of pictures that weren't taken.
        notes: for the user.
        depth: DepthEstimator.describe(), or None without depth.
        rows_left_out: keys of the rows that are lacking, as the network gave no depth for them that can be stored.
        depth_busy: share of the time of making rows in which the network ran, the mean over all workers; None where it had nothing to do.
    """

    folder: Path
    rows: int
    rows_made: int
    shards: int
    seconds: float
    left_out: int
    skipped: tuple
    notes: tuple
    depth: dict | None
    rows_left_out: tuple = ()
    depth_busy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Result(Told):
    """What a run did that finished a set; `data_bytes` are those of all its files."""

    data_bytes: int


def generate(folder, recipe, options, progress=None):
    """Make a set, or go on with one.

    Args:
        folder: where it shall be: a path, or "s3://bucket/folder".
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
    with locked(place_of(folder, options)) as folder, swept(folder), storage_errors(folder):
        prepared = prepare(folder, recipe, options, progress)
        write_asset_tables(prepared)
        made = make_shards(prepared, options, progress)
        manifest = finish_set(prepared, progress)
    return result_of(prepared, made, manifest, started)


def check_workers(options):
    """UsageError when the number of workers makes no sense."""
    if options.num_workers is not None and options.num_workers < 1:
        raise UsageError(f"--workers is {options.num_workers}, expected at least 1")


def place_of(folder, options):
    """The path of a set's folder; with an executor it means the same on other machines."""
    folder = as_folder(folder)
    return folder.absolute() if options.executor and not is_remote(folder) else folder


def result_of(prepared, made, manifest, started):
    """The Result of a run.

    Args:
        prepared: prepare.Prepared.
        made: produce.Made: what it made.
        manifest: of the finished set.
        started: `time.monotonic()` at its beginning [s].
    """
    data = [facts for facts in manifest["files"].values() if facts.get("config") == "default"]
    return Result(
        rows=sum(facts["rows"] for facts in data),
        shards=len(data),
        data_bytes=sum(facts["bytes"] for facts in manifest["files"].values()),
        rows_left_out=left_out_keys(prepared.folder, manifest),
        **told_by(prepared, made, started),
    )


def told_by(prepared, made, started):
    """What is told alike of a whole run and of one part, as arguments of Told; see `result_of`."""
    return {
        "folder": prepared.folder,
        "rows_made": made.rows,
        "seconds": time.monotonic() - started,
        "left_out": sum(prepared.plan.left_out.values()),
        "skipped": prepared.work.skipped,
        "notes": prepared.work.notes,
        "depth": prepared.depth,
        "depth_busy": made.depth_busy,
    }


def write_asset_tables(prepared):
    """Write those tables of the newest batch that aren't there; they fix its list."""
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


def job_of(prepared, lists, versions):
    """What all shards of a run have in common, a produce.Job. Args: prepared; lists: {batch: digest}; versions: of the libraries."""
    return Job(prepared.folder, prepared.recipe, prepared.digest, lists, versions, prepared.relative, prepared.on_bad_depth)


def make_shards(prepared, options, progress, shards=None, canvases_name=CANVASES_NAME):
    """Make those of some shards that are missing.

    Args:
        prepared: prepare.Prepared, whose asset tables are there.
        options: prepare.Options.
        progress: progress.Quiet or a subclass.
        shards: plan.ShardPlans; None means all of the plan.
        canvases_name: of the scratch file.

    Returns:
        produce.Made.
    """
    plan, state = prepared.plan, batches.read_state(prepared.folder)
    if state.lists != prepared.work.lists:  # in S3, where no lock keeps others out
        raise FolderError(
            f"{prepared.folder}: another run began batch {prepared.work.batch} with another recipe or other pictures at the same moment; "
            f"choose another --out. Nothing of it was replaced"
        )
    job = job_of(prepared, state.lists, library_versions(prepared.recipe.has_depth))
    there, missing = split_shards(job, plan, shards)
    if not missing:
        return Made()
    near = list if options.executor else at_hand
    entries = {kind: sorted(near(state.entries[kind]), key=lambda e: e.plan.id) for kind in KINDS}
    if options.executor:  # other machines can't be sure to see a scratch file: each worker makes its own
        task = Task(job, plan, entries["background"], entries["foreground"], prepared.estimator, prepared.weights)
        return make_missing(task, there, missing, options, progress)
    with _canvases(prepared, canvases_name, entries["background"], progress) as canvases:
        task = Task(job, plan, canvases, entries["foreground"], prepared.estimator, prepared.weights, prepared.loaded)
        return make_missing(task, there, missing, options, progress)


@contextlib.contextmanager
def _canvases(prepared, name, entries, progress):
    path = temp_path(prepared.folder / name)
    try:
        with progress.task("fit the backgrounds", len(entries)) as task:
            reader = AssetReader(entries)
            write_canvases(path, prepared.recipe, prepared.plan.backgrounds, reader, task.update)
        yield path
    finally:
        path.unlink(missing_ok=True)
