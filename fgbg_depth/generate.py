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
from .asset_tables import KINDS, AssetReader, PlannedReader, table_path, write_asset_table
from .errors import FolderError, PlanError, UsageError
from .files import locked, storage_errors, sweep, temp_path
from .finish import finish_set, strange_tables
from .manifest import library_versions
from .plan import make_plan, placed_size
from .produce import Job, usable_cores
from .progress import Quiet
from .shards import Footer, find_tables, own_footer
from .studio import CutoutMaker, write_canvases
from .workers import Task, run_shards

CANVASES_NAME = "canvases"  # the scratch file of all backgrounds, only ever there under its temporary name


@dataclass(frozen=True)
class Options:
    """What a run is told beside the recipe; nothing of it changes a byte of the set.

    Attributes:
        backgrounds, foregrounds: source folders.
        append: take new pictures as a further batch.
        skip_bad: leave bad pictures out.
        num_workers: processes; None takes one for each processor.
        max_pixels: bound on the size of a source picture; None takes the default.
        depth_weights: where the weights of a named model lie (a folder or a .h5), or None.
        device: torch device of the depth model.
    """

    backgrounds: object
    foregrounds: object
    append: bool = False
    skip_bad: bool = False
    num_workers: int | None = None
    max_pixels: int | None = None
    depth_weights: object = None
    device: str = "cpu"


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first byte is written.

    Attributes:
        folder: the set's folder.
        recipe: resolved config.Recipe; digest: its digest.
        depth: DepthEstimator.describe() with "weights" and "kind", or None without depth.
        work: batches.BatchWork.
        plan: plan.Plan of all batches.
        estimator: keyword arguments for the workers, or None.
    """

    folder: Path
    recipe: object
    digest: str
    depth: dict | None
    work: object
    plan: object
    estimator: dict | None

    @property
    def weights(self):
        return self.depth["weights_digest"] if self.depth else ""

    @property
    def relative(self):
        return bool(self.depth) and self.depth["kind"] == "relative"


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


def open_depth(recipe, options):
    """Load the recipe's depth model once, to know its weights, size and kind.

    Returns:
        (resolved recipe, description, estimator, keyword arguments for workers); the last three None without depth.
    """
    if not recipe.has_depth:
        return recipe, None, None, None
    from .depth import load_depth_estimator

    size = recipe.depth_input_size
    arguments = {
        "name": recipe.depth_model,
        "device": options.device,
        "input_size": None if size is None else (size[1], size[0]),
        "batch_size": recipe.depth_batch,
        "weights": options.depth_weights,
        "num_threads": 1,
        "engine": recipe.depth_engine,
        "precision": recipe.depth_precision,
        "output": recipe.depth_output or None,
    }
    estimator = load_depth_estimator(**arguments)
    if recipe.depth_encoding == "metric16" and estimator.kind == "relative":
        raise UsageError(
            f"depth_encoding is 'metric16', but {recipe.depth_model!r} gives relative depth without metres; use 'relative8', "
            f"or a metric model"
        )
    if estimator.input_size is not None:  # None: the network takes pictures as they are
        recipe = recipe.replace(depth_input_size=tuple(reversed(estimator.input_size)))
    return recipe, estimator.describe(), estimator, arguments


def prepare(folder, recipe, options, progress=None, estimator_slot=None):
    """Find out all that will be done; nothing is written.

    Args:
        folder: the set's folder; may be missing.
        recipe: config.Recipe as given.
        options: Options.
        progress: progress.Quiet or a subclass.
        estimator_slot: a list that receives the loaded DepthEstimator, for callers that measure it.

    Returns:
        Prepared.

    Raises:
        FgbgDepthError: whatever would stop the run later.
    """
    folder, progress = Path(folder), progress or Quiet()
    folders = {"background": options.backgrounds, "foreground": options.foregrounds}
    for source in folders.values():
        if source is not None and folder.resolve().is_relative_to(Path(source).resolve()):
            raise UsageError(f"--out {folder} lies in {source}, where pictures are looked for; choose another --out")
    state = batches.read_state(folder)
    if options.append and not state.lists:
        raise UsageError(f"{folder} holds no set that could be appended to; run without --append first")
    with progress.task("load the depth model" if recipe.has_depth else "read the recipe", None):
        recipe, depth, estimator, arguments = open_depth(recipe, options)
    if estimator_slot is not None:
        estimator_slot.append(estimator)
    digest = recipe.digest(depth["weights_digest"] if depth else "")
    batches.refuse_other_recipe(folder, state, recipe, digest)
    scan_options = {"skip_bad": options.skip_bad, "num_workers": usable_cores()}
    if options.max_pixels:
        scan_options["max_pixels"] = options.max_pixels
    with progress.task("check the pictures", None) as task:
        scan_options["on_progress"] = lambda done, total: task.update(done, total)
        work = batches.find_work(folder, state, recipe, digest, folders, options.append, scan_options)
    plans = {kind: [entry.plan for entry in work.entries[kind]] for kind in KINDS}
    reader = PlannedReader(work.entries["foreground"], work.newcomers["foreground"], recipe)
    cutouts = CutoutMaker(plans["foreground"], reader)  # ordered by id, as make_plan has them
    plan = make_plan(recipe, plans["background"], plans["foreground"], cutouts.placed_alpha)
    if recipe.scale is None and recipe.overhang == 0:
        _refuse_vanished(recipe, plan, cutouts)
    strange = strange_tables(folder, plan)
    if strange:
        raise FolderError(f"{folder} holds {len(strange)} tables that this set doesn't have, such as {strange[0]}; move them away")
    return Prepared(folder, recipe, digest, depth, work, plan, arguments)


def _refuse_vanished(recipe, plan, cutouts):
    """PlanError for cut-outs that have no mask pixel left at their placed size."""
    for position, asset in enumerate(plan.foregrounds):
        size = placed_size(recipe, asset)
        peak = int(cutouts.placed_alpha(position, size).max())
        if peak < recipe.mask_threshold:
            raise PlanError(
                f"foreground {asset.id!r} has no mask pixel at {size[0]} x {size[1]} px: its alpha is at most {peak}, the mask "
                f"threshold {recipe.mask_threshold}; lower `mask_threshold`, raise `foreground_size`, or leave it out"
            )


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
