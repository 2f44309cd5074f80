"""Another depth model on the same pictures: from a finished set to a further one, resumable at any moment.

Rows, splits, batches, files, images and masks are those of the set that is read, byte for byte; depth, statistics, footers and all
that is made from them are new. The result is what `generate` with that depth model would have made of the same source
pictures. Steps: check the set, load the depth model, resolve the recipe, compare with what the folder holds, copy the
source pictures, make the missing shards, finish. Everything that can be wrong is found before the first shard is made.
"""

import contextlib
import dataclasses
import functools
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import batches
from .asset_tables import KINDS, AssetReader, list_digest
from .card.carry import carried_card, own_pictures
from .card.write import CARD_NAME
from .dropped import DROPPED_NAME, write_dropped
from .errors import DataError, FolderError, UsageError
from .files import locked, sha256_of, storage_errors, swept, write_bytes
from .finish import finish_set, strange_tables
from .generate import check_workers, place_of, result_of
from .manifest import MANIFEST_NAME, library_versions
from .missing import make_missing, split_shards
from .prepare import Prepared, open_depth
from .produce import Job, Made, picture_row
from .progress import Quiet
from .shards import find_tables, read_footer
from .stored import StoredRows, check_whole, copy_asset_tables, kept_versions, refuse_other_pictures
from .studio import CutoutMaker, FittedCanvases, Studio
from .verify import verify_set
from .verify.basis import read_basis
from .verify.findings import CARD_FILES, Findings
from .workers import DepthTask

OF_THE_MODEL = {"depth_input_size": None, "depth_output": ""}  # fields that another model doesn't take over, with their defaults


def annotate(source, folder, depth, options, progress=None, trust=False):
    """Make a set with another depth column, or go on with one.

    Args:
        source: a finished set; nothing is written there.
        folder: where the new set shall be.
        depth: {recipe field: value} of the depth fields that are wanted: `depth_model` (or "none"), and any of `depth_encoding`,
            `depth_input_size`, `depth_output`, `depth_batch`, `depth_engine`, `depth_precision`. Others are as in the
            source, but for the input size and the output's meaning, which are the model's own.
        options: prepare.Options; of it num_workers, depth_weights, device and on_bad_depth.
        progress: progress.Quiet or a subclass.
        trust: compare the source's hashes with its manifest only; don't decode every picture before the work begins.

    Returns:
        generate.Result.

    Raises:
        FgbgDepthError: see errors.py; finished shards are kept, nothing is half-written.
    """
    started, progress = time.monotonic(), progress or Quiet()
    source, folder = place_of(source, options), place_of(folder, options)
    check_workers(options)
    _check_paths(source, folder)
    with locked(folder) as folder, swept(folder), storage_errors(folder):
        prepared, basis, card = _prepare(source, folder, depth, options, progress)
        if any(not (folder / shard.name).is_file() for shard in prepared.plan.shards()):  # else there is nothing to read it for
            _check_source(source, options, progress, trust)
        versions = library_versions(prepared.recipe.has_depth)
        extra = {"recipe": batches.stored_fields(prepared.recipe), "depth": prepared.depth}
        with progress.task("copy the source pictures", None):
            if basis.dropped:
                write_dropped(folder, basis.dropped)
            copy_asset_tables(source, folder, sorted(basis.lists), prepared.digest, prepared.work.lists, extra, versions)
        made = _make_shards(source, prepared, versions, options, progress)
        manifest = _finish(source, prepared, card, progress)
    return result_of(prepared, made, manifest, started)


def new_recipe(recipe, depth):
    """The recipe with other depth fields; those that belong to the old model go back to the new model's own."""
    wrong = sorted(name for name in depth if not name.startswith("depth_"))
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: only the depth fields of a recipe can change; other pictures need `fgbg-depth generate`")
    return recipe.replace(**{**OF_THE_MODEL, **depth})


def _check_paths(source, folder):
    there, here = source.resolve(), folder.resolve()
    if not there.is_dir():
        raise UsageError(f"{source} is no folder; name the folder of a finished set")
    if here == there or here.is_relative_to(there):
        raise UsageError(f"--out {folder} is {source} or lies in it, where nothing is written; choose another --out")
    if there.is_relative_to(here):
        raise UsageError(f"{source} lies in --out {folder}; choose another --out")


def _prepare(source, folder, depth, options, progress):
    """(Prepared, Basis of the source, what the card begins with); nothing is written."""
    manifest = check_whole(source)
    basis = _basis(source, manifest)
    recipe = new_recipe(basis.recipe, depth)
    _remove_early_list(source, folder)
    state = batches.read_state(folder)
    card = carried_card(source, recipe)
    with progress.task("load the depth model" if recipe.has_depth else "read the recipe", None):
        recipe, description, estimator, arguments = open_depth(recipe, options, state)
    if description and options.on_depth:
        options.on_depth(description)
    digest = recipe.digest(description["weights_digest"] if description else "")
    batches.refuse_other_recipe(folder, state, recipe, digest)
    lists = {batch: list_digest(digest, *_of_batch(basis, batch)) for batch in basis.lists}
    differ = [batch for batch, told in state.lists.items() if lists.get(batch) != told]
    if differ:
        raise FolderError(f"{folder}: batch {differ[0]} has other source pictures than {source}; choose another --out. Nothing was changed")
    plan = dataclasses.replace(basis.plan, recipe=recipe)
    strange = strange_tables(folder, plan)
    if strange:
        raise FolderError(f"{folder} holds {len(strange)} tables that {source} doesn't have, such as {strange[0]}; move them away")
    notes = []
    if any(card) and (folder / CARD_NAME).exists() and not (folder / MANIFEST_NAME).exists():
        notes.append(f"{folder / CARD_NAME} was there before: it is kept, and the words of {source / CARD_NAME} aren't carried over")
    work = batches.BatchWork(max(lists), basis.entries, {kind: {} for kind in KINDS}, lists, basis.dropped, notes=tuple(notes))
    return Prepared(folder, recipe, digest, description, work, plan, arguments, estimator, options.on_bad_depth), basis, card


def _remove_early_list(source, folder):
    """Take the source's own list of dropped pictures away where a run was killed before it wrote the first table: it begins anew."""
    ours, theirs = folder / DROPPED_NAME, source / DROPPED_NAME
    begun = any(find_tables(folder, f"{kind}s") for kind in KINDS)
    if not begun and ours.is_file() and theirs.is_file() and ours.read_bytes() == theirs.read_bytes():
        ours.unlink()


def _basis(source, manifest):
    """What the source ought to be; its asset tables have to agree with themselves and with the manifest."""
    found = Findings()
    basis = read_basis(source, manifest["files"], found)
    if not len(found) and basis.digest != manifest.get("recipe_digest"):
        found.add(MANIFEST_NAME, f"recipe_digest is {manifest.get('recipe_digest')!r}, the asset tables say {basis.digest!r}")
    if len(found) or basis.plan is None:
        raise DataError(_words(source, found.listed()))
    missing = [shard.name for shard in basis.plan.shards() if shard.name not in manifest["files"]]
    if missing:
        raise DataError(f"{source / missing[0]} is missing: the set is unfinished. Finish it with `fgbg-depth generate`")
    return basis


def _of_batch(basis, batch):
    return ([entry.plan for entry in basis.entries[kind] if entry.plan.batch == batch] for kind in KINDS)


def _check_source(source, options, progress, trust):
    """DataError when the source is damaged: hours of work must not end at its last shard."""
    if trust:
        files = check_whole(source)["files"]
        with progress.task("check the hashes", len(files)) as task:
            for done, (name, facts) in enumerate(files.items(), 1):
                if sha256_of(source / name) != facts["sha256"]:
                    raise DataError(f"{source / name}: its bytes have changed since {MANIFEST_NAME} was written; {_repair(source)}")
                task.update(done)
        return
    report = verify_set(source, num_workers=options.num_workers, progress=progress)
    bad = [finding for finding in report.findings if not finding.file.startswith(CARD_FILES)]  # the card is made anew
    if bad:
        raise DataError(_words(source, bad))


def _words(source, findings):
    first = f"{findings[0]}" if findings else "no plan can be made from its asset tables"
    more = f" (and {len(findings) - 1:,} more problems)" if len(findings) > 1 else ""
    return f"{source} is damaged: {first}{more}; {_repair(source)}"


def _repair(source):
    return f"`fgbg-depth verify {source}` says what mends it. Nothing was made of it"


@dataclass(frozen=True)
class StoredJob(Job):
    """What every shard of a run has in common; `source` is the set that is read."""

    source: Path | None = None

    def footer(self, shard, tally="", left_out=()):
        """The footer of a shard: its pictures keep the library versions that made them."""
        was = read_footer(self.source / shard.name).versions
        return dataclasses.replace(super().footer(shard, tally, left_out), versions=kept_versions(was, self.versions))


@dataclass(frozen=True)
class StoredTask(DepthTask):
    """Takes rows from a finished set; see workers.DepthTask. `entries` are its source pictures, {kind: asset_tables.Entry list}."""

    job: StoredJob
    plan: object
    entries: dict
    estimator: dict | None
    weights_digest: str
    loaded: object = field(default=None, repr=False, compare=False)
    overlapped: bool = True

    def pictures(self):
        """See workers.DepthTask."""

        @contextlib.contextmanager
        def pictures(shard):
            rows = self.plan.rows[shard.batch, shard.split]
            with StoredRows(self.job.source / shard.name, self.plan, shard, self.job.recipe, lambda i: self._anew(rows, i)) as stored:
                yield stored.picture

        return pictures

    def _anew(self, rows, i):
        """A row that the source lacks for its depth, from the source pictures."""
        recipe = self.job.recipe
        if recipe.imported:
            raise DataError(f"{self.job.source} lacks row {self.plan.key(rows, i)!r}, and rows of an imported set can't be made anew")
        return picture_row(recipe, self.plan, rows, i, self._studio)

    @functools.cached_property
    def _studio(self):
        readers = {kind: AssetReader(self.entries[kind]) for kind in KINDS}
        canvases = FittedCanvases(self.job.recipe, self.plan.backgrounds, readers["background"])
        return Studio(self.job.recipe, canvases, CutoutMaker(self.plan.foregrounds, readers["foreground"]))


def _make_shards(source, prepared, versions, options, progress):
    """Make what is missing; returns produce.Made."""
    of_run = prepared.folder, prepared.recipe, prepared.digest, prepared.work.lists, versions, prepared.relative, prepared.on_bad_depth
    job = StoredJob(*of_run, source)
    there, missing = split_shards(job, prepared.plan)
    with progress.task("compare finished shards", len(there)) as task:
        refuse_other_pictures(source, prepared.folder, there, task.update)
    if not missing:
        return Made()
    task = StoredTask(job, prepared.plan, prepared.work.entries, prepared.estimator, prepared.weights, prepared.loaded)
    return make_missing(task, there, missing, options, progress)


def _finish(source, prepared, card, progress):
    """All that comes after the shards, the pictures that the words of the card show among it; returns the manifest."""
    if not (prepared.folder / CARD_NAME).exists():
        for name in own_pictures(card[1]):
            if (source / name).is_file():
                write_bytes(prepared.folder / name, (source / name).read_bytes())
    return finish_set(prepared, progress, card)
