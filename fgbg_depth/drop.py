"""Take pictures out of a finished set, with all of their rows: what a takedown request asks for.

Order of the writes: `dropped.json` says what goes and may not come back; then the data files that have rows of it are rewritten, or
deleted where nothing is left; then the asset tables; then all that is made from those, the manifest and the card last. As long as a picture
that `dropped.json` lists is in an asset table, or the manifest doesn't list that file as it is, the work is unfinished: every command says
so, and the same command goes on. The result is the same however often it was stopped. Files without rows of the pictures stay as they are.
"""

import difflib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from . import batches
from .asset_tables import KINDS, table_path
from .config import Recipe
from .dropped import DROPPED_NAME, drop, with_tables, write_dropped
from .errors import DataError, UsageError
from .files import locked, sha256_of, storage_errors, swept
from .finish import finish_set
from .manifest import read_manifest
from .pool import run_pool
from .prepare import Prepared
from .produce import usable_cores
from .progress import Quiet
from .rewrite import RewriteTask, check_source, find_uses, rewrite_asset_table
from .shards import find_tables, read_footer
from .stored import check_whole
from .verify.basis import read_basis
from .verify.findings import Findings

IDS_SHOWN = 3  # of ids that are like one that isn't there
ADVICE = "What was begun is kept: run the same command again to go on"


@dataclass(frozen=True)
class Drop:
    """What dropping some pictures does, or did.

    Attributes:
        folder: the set's folder.
        pictures: (kind, id) of those that go.
        rows: {split: rows that go}.
        left: {split: rows that stay}.
        rewritten, deleted: paths of data files.
        untouched: number of data files that have no row of them.
        file_bytes: size of the data files and asset tables that are written anew, as they are now [bytes].
        tables: paths of the asset tables that are rewritten.
        finished: True when an earlier run that was stopped is finished by this one.
        seconds: that it took; None for a plan.
    """

    folder: Path
    pictures: tuple
    rows: dict
    left: dict
    rewritten: tuple
    deleted: tuple
    untouched: int
    file_bytes: int
    tables: tuple
    finished: bool = False
    seconds: float | None = None

    @property
    def num_rows(self):
        return sum(self.rows.values())


def plan_drop(folder, ids, kind=None):
    """Say what `drop_assets` would do; nothing is written. Arguments and errors are those of `drop_assets`."""
    folder = _existing(folder)
    work = _look(folder, ids, kind)
    return work.summary()


def drop_assets(folder, ids, kind=None, num_workers=None, progress=None):
    """Take pictures out of a finished set.

    Args:
        folder: the set's folder.
        ids: of backgrounds or foregrounds; none of them only finishes what an earlier run has begun.
        kind: "background" or "foreground", where an id may be both.
        num_workers: processes; None takes one for each processor.
        progress: progress.Quiet or a subclass.

    Returns:
        Drop.

    Raises:
        UsageError: there is no such picture, or it is the last one of its kind or of a split.
        DataError: the set is unfinished, or a file that has to be rewritten is damaged.
    """
    started, progress = time.monotonic(), progress or Quiet()
    if num_workers is not None and num_workers < 1:
        raise UsageError(f"--workers is {num_workers}, expected at least 1")
    folder = _existing(folder)
    with locked(folder) as folder, swept(folder), storage_errors(folder):
        done = []
        while not done or ids:
            work = _look(folder, ids, kind, progress, begun_first=True)
            if work.leaving:
                work.check_files(progress)
                work.write_list()
                work.rewrite_shards(num_workers or usable_cores(), progress)
                work.remove_metadata()
                with progress.task("rewrite the asset tables", None):
                    work.rewrite_tables()
            _finish(folder, work.manifest, progress)
            done.append(work.summary(time.monotonic() - started))
            ids = work.waiting
    return _together(done)


def _together(done):
    """One Drop of what an earlier run had begun and of what was asked for."""
    last = done[-1]
    if len(done) == 1:
        return last
    rows = {split: sum(drop.rows.get(split, 0) for drop in done) for split in last.left}
    pictures = tuple(picture for drop in done for picture in drop.pictures)
    return replace(last, pictures=pictures, rows=rows, finished=True)


def _existing(folder):
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the folder of a finished set")
    return folder


def _look(folder, ids, kind, progress=None, begun_first=False):
    """What there is to do, as a _Work. With `begun_first`, what an earlier run has begun is all that it does; other ids wait."""
    state = batches.read_state(folder, drop_begun=True)
    if not state.lists:
        raise UsageError(f"{folder} holds no set; name the folder of a finished set")
    chosen, unknown = _choose(state, ids, kind)
    begun = any(state.leaving(k) for k in KINDS) or _is_stale(folder, state)
    if unknown or not chosen:
        begun = begun or _is_unfinished(folder, state)
        if not begun:
            raise UsageError(_unknown_words(folder, state, unknown, kind) if unknown else "no id was given: name the picture to take out")
    manifest = read_manifest(folder) if begun else check_whole(folder)
    pending = {k: {e.plan.id: e for e in state.leaving(k)} for k in KINDS}
    added = {k: {e.plan.id: e for e in chosen.get(k, ()) if e.plan.id not in pending[k]} for k in KINDS}
    waiting = [asset_id for k in KINDS for asset_id in added[k]] if begun and begun_first else []
    leaving = pending if waiting else {k: pending[k] | added[k] for k in KINDS}
    work = _Work(folder, state, manifest, leaving if any(leaving.values()) else {}, begun, progress or Quiet(), waiting)
    work.refuse_last()
    return work


def _choose(state, ids, kind):
    """({kind: entries}, ids that aren't there)."""
    chosen, unknown = {}, []
    for asset_id in dict.fromkeys(ids):
        found = [(k, e) for k in KINDS if kind in (None, k) for e in state.entries[k] if e.plan.id == asset_id]
        if len(found) > 1:
            raise UsageError(f"{asset_id!r} is a background and a foreground; say which with --kind background or --kind foreground")
        if not found:
            unknown.append(asset_id)
        for k, entry in found:
            chosen.setdefault(k, []).append(entry)
    return chosen, unknown


def _unknown_words(folder, state, unknown, kind):
    there = [e.plan.id for k in KINDS if kind in (None, k) for e in state.entries[k]]
    alike = difflib.get_close_matches(unknown[0], there, IDS_SHOWN)
    what = f"{kind}" if kind else "background or foreground"
    hint = f"; like it are {', '.join(alike)}" if alike else "; the config `backgrounds` or `foregrounds` lists the ids"
    return f"{folder} has no {what} with the id {unknown[0]!r}{hint}. Nothing was changed"


def _is_stale(folder, state):
    """True when the manifest doesn't list `dropped.json` as it is: a run was stopped before it could write it."""
    if not state.dropped:
        return False
    facts = read_manifest(folder)["files"].get(DROPPED_NAME)
    return facts is None or facts["sha256"] != sha256_of(folder / DROPPED_NAME)


def _is_unfinished(folder, state):
    """True when a run was stopped between the manifest and the card."""
    from .card.write import card_differences

    return bool(state.dropped) and bool(card_differences(folder))


class _Work:
    """Pictures that leave, and the files that have something of them."""

    def __init__(self, folder, state, manifest, leaving, begun, progress, waiting):
        self.folder, self.state, self.manifest, self.leaving, self._begun = folder, state, manifest, leaving, begun
        self.waiting = waiting  # ids whose turn comes when the earlier work is done: the manifest doesn't know its files yet
        self._ids = {kind: frozenset(entries) for kind, entries in leaving.items()}
        self._uses, paths = [], find_tables(folder, "default")
        with progress.task("look for its rows", len(paths)) as task:
            for done, path in enumerate(paths, 1):
                self._uses.append(find_uses(folder, path, self._ids))
                task.update(done)
        self._touched = [uses for uses in self._uses if uses]
        self._tables = sorted({(kind, e.plan.batch) for kind, entries in leaving.items() for e in entries.values()})

    def summary(self, seconds=None):
        """The Drop."""
        splits = list(dict.fromkeys(uses.split for uses in self._uses))
        tables = [table_path(self.folder, *table) for table in self._tables]
        deleted = [uses for uses in self._touched if not uses.left]
        rewritten = [uses for uses in self._touched if uses.left]
        return Drop(
            self.folder,
            tuple((kind, asset_id) for kind, entries in self.leaving.items() for asset_id in sorted(entries)),
            {split: sum(uses.rows for uses in self._uses if uses.split == split) for split in splits},
            {split: sum(uses.left for uses in self._uses if uses.split == split) for split in splits},
            tuple(uses.name for uses in rewritten),
            tuple(uses.name for uses in deleted),
            len(self._uses) - len(self._touched),
            sum(uses.file_bytes for uses in rewritten) + sum(self._size(path) for path in tables),
            tuple(path.relative_to(self.folder).as_posix() for path in tables),
            self._begun,
            seconds,
        )

    def _size(self, path):
        """Size as the manifest lists it [bytes]: after the work the file is another."""
        return self.manifest["files"].get(path.relative_to(self.folder).as_posix(), {}).get("bytes", 0)

    def refuse_last(self):
        """UsageError when a kind or a split would have nothing left."""
        for kind, entries in self.leaving.items():
            if len(entries) == len(self.state.entries[kind]):
                some = "the only one" if len(entries) == 1 else "all there are"
                raise UsageError(f"{_names(entries)}: {some} of the {kind}s; a set without {kind}s has no rows. {_WAY_OUT}")
        for split in dict.fromkeys(uses.split for uses in self._touched):
            if not any(uses.left for uses in self._uses if uses.split == split):
                ids = [asset_id for entries in self.leaving.values() for asset_id in entries]
                raise UsageError(f"{_names(ids)}: without it the split {split!r} would have no rows. {_WAY_OUT}")

    def check_files(self, progress):
        """DataError when a file that has to be rewritten is damaged."""
        tables = [table_path(self.folder, *table).relative_to(self.folder).as_posix() for table in self._tables]
        names = [*(uses.name for uses in self._touched), *tables]
        with progress.task("check the files", len(names)) as task:
            for done, name in enumerate(names, 1):
                check_source(self.folder, name, self.manifest["files"])
                task.update(done)

    def write_list(self):
        """Write dropped.json: what is about to happen."""
        dropped, left = self.state.dropped, {}
        for kind in KINDS:
            new = {i for i, entry in self.leaving[kind].items() if entry.plan.sha256 not in dropped.hashes(kind)}
            plans = [entry.plan for entry in self.state.staying(kind)]
            dropped = drop(dropped, kind, plans, new, self.state.last_batch)
            left[kind] = [plan for plan in plans if plan.id not in new]
        write_dropped(self.folder, with_tables(dropped, left))

    def rewrite_shards(self, num_workers, progress):
        """Write the data files without the rows."""
        recipe = Recipe().replace(**self.state.recipe_fields)
        relative = (self.manifest.get("depth") or {}).get("kind") == "relative"
        task = RewriteTask(self.folder, recipe, relative, self._ids)
        done = [0]
        with progress.task("take rows out", sum(uses.rows for uses in self._touched), unit="rows") as bar:

            def on_rows(count):
                done[0] += count
                bar.update(done[0])

            run_pool(task, self._touched, num_workers, lambda *_: None, on_rows, ADVICE)

    def remove_metadata(self):
        """Delete the metadata tables of whose rows nothing is left."""
        filled = {(footer.batch, footer.split) for footer in map(read_footer, find_tables(self.folder, "default"))}
        for path in find_tables(self.folder, "metadata"):
            footer = read_footer(path)
            if (footer.batch, footer.split) not in filled:
                path.unlink()

    def rewrite_tables(self):
        """Write the asset tables without the pictures; as long as one of them is in a table, the work isn't done."""
        for kind, batch in self._tables:
            hashes = {entry.plan.sha256 for entry in self.leaving[kind].values() if entry.plan.batch == batch}
            rewrite_asset_table(table_path(self.folder, kind, batch), kind, hashes)


_WAY_OUT = "Bring others with `fgbg-depth generate --append` first, or take the whole set down. Nothing was changed"


def _names(ids):
    ids = sorted(ids)
    return ", ".join(ids[:IDS_SHOWN]) + (f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else "")


def _finish(folder, manifest, progress):
    """Make all that comes after the tables."""
    found = Findings()
    basis = read_basis(folder, {}, found)
    if len(found) or basis.plan is None:
        words = found.listed()[0] if len(found) else "no plan can be made from its asset tables"
        raise DataError(f"{folder}: {words}; `fgbg-depth verify {folder}` says what mends it")
    work = batches.BatchWork(max(basis.lists), basis.entries, {kind: {} for kind in KINDS}, basis.lists, basis.dropped)
    prepared = Prepared(folder, basis.recipe, basis.digest, manifest.get("depth"), work, basis.plan, None)
    return finish_set(prepared, progress, versions=manifest.get("libraries"))
