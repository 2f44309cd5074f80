"""A set made in parts, by several runs at once, and what is made when all parts are there.

`generate_part` makes the shards of one part and nothing that comes after them. `finish` needs neither the source pictures nor the
depth model: recipe, asset lists and the facts on the depth model stand in the footers of the asset tables, and the plan follows from
them. The folder is then that of a plain run, byte for byte.
"""

import time
from dataclasses import dataclass

from . import batches
from .asset_tables import KINDS, table_path
from .errors import DataError, FolderError
from .files import locked, storage_errors, swept
from .finish import finish_set, strange_tables
from .folders import as_folder
from .generate import CANVASES_NAME, Told, check_workers, job_of, make_shards, place_of, result_of, told_by, write_asset_tables
from .missing import split_shards
from .partition import locked_part, parts_begun, tables_alone
from .plan import FIRST_BATCH
from .prepare import Prepared, prepare
from .produce import Made
from .progress import Quiet
from .shards import read_footer
from .verify.basis import read_basis
from .verify.findings import Findings

NAMES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class PartResult(Told):
    """What a run of one part did.

    Attributes:
        part: partition.Part.
        missing: shards of other parts that weren't there at the end.
    """

    part: object
    missing: int


def generate_part(folder, recipe, options, part, progress=None):
    """Make one part of a set's shards, or go on with it; others may be made at the same time.

    Args:
        folder: where the set shall be; all parts have the same.
        recipe: config.Recipe.
        options: prepare.Options.
        part: partition.Part.
        progress: progress.Quiet or a subclass.

    Returns:
        PartResult.

    Raises:
        FgbgDepthError: see errors.py; finished shards are kept, nothing is half-written.
    """
    started, progress = time.monotonic(), progress or Quiet()
    check_workers(options)
    with locked_part(place_of(folder, options), part) as folder, storage_errors(folder):
        prepared = prepare(folder, recipe, options, progress)
        with tables_alone(folder, [table_path(folder, kind, prepared.work.batch) for kind in KINDS]):
            write_asset_tables(prepared)
        _refuse_other_start(prepared)
        shards = part.of(prepared.plan.shards())
        canvases = f"{CANVASES_NAME}-{part.number}-of-{part.count}"
        with swept(folder, {folder / name for name in (canvases, *(shard.name for shard in shards))}):
            made = make_shards(prepared, options, progress, shards, canvases)
        left_out = tuple(key for shard in shards for key in read_footer(folder / shard.name).left_out)
        missing = sum(not (folder / shard.name).is_file() for shard in prepared.plan.shards())
    return PartResult(
        part=part,
        missing=missing,
        rows=sum(map(len, shards)) - len(left_out),
        shards=len(shards),
        rows_left_out=left_out,
        **told_by(prepared, made, started),
    )


def _refuse_other_start(prepared):
    """FolderError when another part began the batch with other pictures or another recipe, after this one had looked."""
    state = batches.read_state(prepared.folder)
    batches.refuse_other_recipe(prepared.folder, state, prepared.recipe, prepared.digest)
    if state.lists != prepared.work.lists or not all(map(state.is_whole, state.lists)):
        raise FolderError(
            f"{prepared.folder}: another part began batch {prepared.work.batch} with other pictures at the same moment. Give all parts "
            f"the same pictures; nothing of this part was made"
        )


def finish(folder, progress=None):
    """Make all that comes after the shards, when every part is there.

    Args:
        folder: of the set.
        progress: progress.Quiet or a subclass.

    Returns:
        generate.Result; no rows are made.

    Raises:
        FolderError: a part is still being made, or shards are missing; nothing was changed.
        DataError: the folder holds no set, or its tables are damaged.
    """
    started, progress, folder = time.monotonic(), progress or Quiet(), as_folder(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the folder of the set whose parts were made")
    with locked(folder) as folder, storage_errors(folder):
        prepared, versions = _stored(folder)
        _, missing = split_shards(job_of(prepared, prepared.work.lists, versions), prepared.plan)
        if missing:
            raise FolderError(_missing_words(folder, prepared.plan.shards(), missing))
        with swept(folder):
            manifest = finish_set(prepared, progress, versions=versions)
    return result_of(prepared, Made(), manifest, started)


def _stored(folder):
    """(Prepared, library versions) by the folder's own tables."""
    if not any(table_path(folder, kind, FIRST_BATCH).is_file() for kind in KINDS):
        raise DataError(f"{folder} holds no set: it has no asset tables. Make the parts first, with `fgbg-depth generate ... --shards I/N`")
    state = batches.read_state(folder)
    if state.recipe_fields.get("imported"):
        raise FolderError(f"{folder} is an imported set, which has no parts; `fgbg-depth import-original` finishes it")
    last = state.last_batch
    if not state.is_whole(last):
        raise FolderError(
            f"{folder}: the asset tables of batch {last} aren't all there: no part came so far. Make the parts first, with "
            f"`fgbg-depth generate ... --shards I/N`"
        )
    found = Findings()
    basis = read_basis(folder, {}, found)
    if len(found) or basis.plan is None:
        words = found.listed()[0] if len(found) else "no plan can be made from its asset tables"
        raise DataError(f"{folder} is damaged: {words}; `fgbg-depth verify {folder}` says what mends it")
    strange = strange_tables(folder, basis.plan)
    if strange:
        raise FolderError(f"{folder} holds {len(strange)} tables that this set doesn't have, such as {strange[0]}; move them away")
    newest = next(path for kind in KINDS if (path := table_path(folder, kind, last)).is_file())
    footer = read_footer(newest)
    depth = (footer.extra or {}).get("depth")
    work = batches.BatchWork(last, basis.entries, {kind: {} for kind in KINDS}, basis.lists, basis.dropped)
    return Prepared(folder, basis.recipe, basis.digest, depth, work, basis.plan, None), footer.versions


def _missing_words(folder, shards, missing):
    """What is missing, whose it is, and what to do."""
    some = ", ".join(shard.name for shard in missing[:NAMES_SHOWN]) + (" ..." if len(missing) > NAMES_SHOWN else "")
    found = f"{folder}: {len(missing)} of {len(shards)} shards are missing ({some})"
    counts = {part.count for part in parts_begun(folder)}
    if len(counts) != 1:  # nobody left word, or parts of several numbers did
        return f"{found}. Run all parts again, `fgbg-depth generate ... --shards I/N`: what is there is kept"
    count = counts.pop()
    lacking = {}
    for place, shard in enumerate(shards):
        if shard in missing:
            lacking[place % count + 1] = lacking.get(place % count + 1, 0) + 1
    told = sorted(lacking.items())
    parts = ", ".join(f"part {number} of {count} lacks {lacks}" for number, lacks in told[:NAMES_SHOWN]) + (
        f" and {len(told) - NAMES_SHOWN} more parts lack some" if len(told) > NAMES_SHOWN else ""
    )
    again = " and ".join(f"--shards {number}/{count}" for number, _ in told[:NAMES_SHOWN])
    return f"{found}: {parts}. Run `fgbg-depth generate` again with the flags of before and {again}; what is there is kept"
