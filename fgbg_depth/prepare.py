"""All that is found out before the first byte of a set is written.

Scan the pictures, load the depth model, resolve the recipe, compare with what the folder holds, and plan. Whatever would stop
the run later stops it here; `fgbg-depth plan` shows the result and ends.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from . import batches
from .asset_tables import KINDS, PlannedReader
from .config import AUTO, Recipe
from .errors import FolderError, PlanError, UsageError
from .finish import strange_tables
from .folders import as_folder
from .placements import placed_size
from .plan import make_plan
from .produce import FAIL, usable_cores
from .progress import Quiet
from .shards import read_footer
from .studio import CutoutMaker

SETTLED = ("depth_engine", "depth_precision", "depth_batch")  # recipe fields that can be "auto" until the model is loaded


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
        on_bad_depth: what is done about rows whose depth can't be stored: "fail" ends the run, "skip" leaves them out.
        on_depth: function (DepthEstimator.describe()), called when the depth model is loaded, before the first row is made.
        executor: ray_cluster.executor.RayExecutor that is connected, or None to do the work on this machine. It knows
            how many workers there are; `num_workers` doesn't count then.
    """

    backgrounds: object
    foregrounds: object
    append: bool = False
    skip_bad: bool = False
    num_workers: int | None = None
    max_pixels: int | None = None
    depth_weights: object = None
    device: str = "cpu"
    on_bad_depth: str = FAIL
    on_depth: object = None
    executor: object = None


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
        loaded: the depth.DepthEstimator, for the work in this process, or None.
        on_bad_depth: as in Options.
    """

    folder: Path
    recipe: object
    digest: str
    depth: dict | None
    work: object
    plan: object
    estimator: dict | None
    loaded: object = None
    on_bad_depth: str = FAIL

    @property
    def weights(self):
        return self.depth["weights_digest"] if self.depth else ""

    @property
    def relative(self):
        return bool(self.depth) and self.depth["kind"] == "relative"


def open_depth(recipe, options, state=None):
    """Load the recipe's depth model once, to know its weights, size and kind.

    Args:
        recipe: config.Recipe as given.
        options: Options.
        state: batches.FolderState of the set's folder, or None. What a set was begun with goes before what `auto` would choose now.

    Returns:
        (resolved recipe, description, estimator, keyword arguments for workers); the last three None without depth.
    """
    if not recipe.has_depth:
        return recipe.replace(depth_batch=Recipe.depth_batch) if recipe.depth_batch == AUTO else recipe, None, None, None
    begun = _begun_with(state)
    if options.executor is None:
        return _settle(recipe, options, begun)
    return _settle_elsewhere(recipe, options, begun)


def _settle_elsewhere(recipe, options, begun):
    """As `_settle`, on a machine that does the work: this one may have neither its GPU nor the model. Paths have to mean the same there."""
    from .depth.locate import MINI, NYU

    model, weights = (Path(text).expanduser() if text else None for text in (recipe.depth_model, options.depth_weights))
    plain = dataclasses.replace(options, executor=None, on_depth=None, depth_weights=weights and weights.absolute())
    is_path = recipe.depth_model not in (MINI, NYU) and model.exists()
    asked = recipe.replace(depth_model=str(model.absolute())) if is_path else recipe
    settled, description, arguments = options.executor.call(_settle_there, asked, plain, begun)
    return settled.replace(depth_model=recipe.depth_model), description, None, arguments


def _settle_there(recipe, options, begun):
    """`_settle` without the estimator, which stays where it was loaded."""
    recipe, description, _, arguments = _settle(recipe, options, begun)
    return recipe, description, arguments


def _settle(recipe, options, begun):
    """Load the depth model and settle what the recipe left open; returns as `open_depth` does."""
    from .depth import load_depth_estimator

    recipe = recipe.replace(**{name: begun[name] for name in SETTLED if getattr(recipe, name) == AUTO and name in begun})
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
    settled = {"engine": estimator.engine, "precision": estimator.precision, "batch_size": estimator.batch_size}
    arguments |= settled  # workers don't choose again
    recipe = recipe.replace(**dict(zip(SETTLED, settled.values(), strict=True)))
    description = estimator.describe()
    if all(begun.get(name) == getattr(recipe, name) for name in SETTLED):
        description["engine_reason"] = begun["engine_reason"]
    return recipe, description, estimator, arguments


def _begun_with(state):
    """The `SETTLED` fields that a set was begun with, and "engine_reason"; {} for a new one."""
    tables = sorted({entry.table for kind in KINDS for entry in state.entries[kind]}, key=str) if state and state.lists else ()
    for path in tables:
        extra = read_footer(path).extra or {}
        if extra.get("depth"):
            return {"engine_reason": extra["depth"]["engine_reason"], **{name: extra["recipe"].get(name) for name in SETTLED}}
    return {}


def prepare(folder, recipe, options, progress=None):
    """Find out all that will be done; nothing is written.

    Args:
        folder: the set's folder; may be missing.
        recipe: config.Recipe as given.
        options: Options.
        progress: progress.Quiet or a subclass.

    Returns:
        Prepared.

    Raises:
        FgbgDepthError: whatever would stop the run later.
    """
    folder, progress = as_folder(folder), progress or Quiet()
    if recipe.imported:
        raise UsageError("this recipe is that of an imported set, whose rows can't be made from pictures; take another --recipe")
    folders = {"background": options.backgrounds, "foreground": options.foregrounds}
    for source in folders.values():
        if source is not None and folder.resolve().is_relative_to(Path(source).resolve()):
            raise UsageError(f"--out {folder} lies in {source}, where pictures are looked for; choose another --out")
    state = batches.read_state(folder)
    if options.append and not state.lists:
        raise UsageError(f"{folder} holds no set that could be appended to; run without --append first")
    with progress.task("load the depth model" if recipe.has_depth else "read the recipe", None):
        recipe, depth, estimator, arguments = open_depth(recipe, options, state)
    if depth and options.on_depth:
        options.on_depth(depth)
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
    plan = make_plan(recipe, plans["background"], plans["foreground"], cutouts.placed_alpha, dropped=work.dropped)
    if recipe.scale is None and recipe.overhang == 0:
        _refuse_vanished(recipe, plan, cutouts)
    strange = strange_tables(folder, plan)
    if strange:
        raise FolderError(f"{folder} holds {len(strange)} tables that this set doesn't have, such as {strange[0]}; move them away")
    return Prepared(folder, recipe, digest, depth, work, plan, arguments, estimator, options.on_bad_depth)


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
