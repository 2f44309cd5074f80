"""Which batch a run works on: the pictures in the folders against those that the set holds already.

The asset tables are the only memory. A batch is begun when its first table is there, and its list is fixed by the digest in
that table's footer; so a run that was killed between the two tables goes on, and other pictures are refused.
"""

import dataclasses
import shlex
from dataclasses import dataclass, field

from .asset_tables import KINDS, Entry, list_digest, read_entries, table_path
from .assets.scan import scan_assets
from .config import FIELD_NAMES, RECIPE_NAME, portable_model_name
from .dropped import DROPPED_NAME, Dropped, read_dropped, table_digest
from .errors import DataError, FolderError, UsageError
from .files import TEMP_NAME
from .folders import as_folder
from .plan import FIRST_BATCH, PlanAsset, assign_splits
from .shards import find_tables

EMPTY_NAMES = frozenset(("README.md", "LICENSE"))  # a new repository of the Hub holds these, and hidden files
NAMES_SHOWN = 5


@dataclass(frozen=True)
class FolderState:
    """What a set's asset tables say.

    Attributes:
        entries: {kind: Entry list of all batches}.
        lists: {batch: asset-list digest}, as their footers hold it.
        recipe_digest: of the recipe that made the tables, "" for an empty folder.
        recipe_fields: that recipe as a dict.
        dropped: dropped.Dropped, what was taken out of the set.
    """

    entries: dict
    lists: dict = field(default_factory=dict)
    recipe_digest: str = ""
    recipe_fields: dict = field(default_factory=dict)
    dropped: Dropped = field(default_factory=Dropped)

    @property
    def last_batch(self):
        return max(self.lists, default=None)

    def is_whole(self, batch):
        """True when the tables of a batch hold all that its list names."""
        sides = {kind: [e.plan for e in self.staying(kind) if e.plan.batch == batch] for kind in KINDS}
        if batch in self.dropped.tables:
            return self.dropped.tables[batch] == {kind: table_digest(side) for kind, side in sides.items()}
        return self.lists[batch] == list_digest(self.recipe_digest, *sides.values())

    def staying(self, kind):
        """Entries of one kind without those whose dropping was begun."""
        gone = self.dropped.hashes(kind)
        return [entry for entry in self.entries[kind] if entry.plan.sha256 not in gone]

    def leaving(self, kind):
        """Entries of one kind whose dropping was begun and isn't finished."""
        gone = self.dropped.hashes(kind)
        return [entry for entry in self.entries[kind] if entry.plan.sha256 in gone]


def read_state(folder, drop_begun=False):
    """Read the asset tables of a folder, which may be empty or missing.

    Args:
        folder: the set's folder.
        drop_begun: True when pictures whose dropping was begun may still be there.

    Raises:
        FolderError: it holds files of others, or the tables of two recipes; or pictures are only half dropped.
    """
    folder = as_folder(folder)
    entries, lists, recipes, dropped = {}, {}, {}, read_dropped(folder)
    for kind in KINDS:
        entries[kind], footers = read_entries(folder, kind)
        for batch, footer in footers.items():
            if lists.setdefault(batch, footer.assets) != footer.assets:
                raise FolderError(f"{folder}: the two asset tables of batch {batch} are of different lists; one is from elsewhere")
            recipes[footer.recipe] = (footer.extra or {}).get("recipe", {})
            _refuse_lost_list(folder, kind, batch, footer.dropped or 0, dropped)
    if len(recipes) > 1:
        raise FolderError(f"{folder} holds asset tables of {len(recipes)} recipes; a set has one. Move the strange files away")
    if not recipes:
        try:
            _refuse_strangers(folder)
        except FolderError:
            if any(find_tables(folder, f"{kind}s") for kind in KINDS):  # another part has written the first one meanwhile
                return read_state(folder)
            raise
        return FolderState(entries)
    state = FolderState(entries, lists, *next(iter(recipes.items())), dropped)
    if not drop_begun:
        refuse_half_dropped(folder, state)
    for batch in lists:
        if batch != state.last_batch and not state.is_whole(batch):  # the newest may be under way
            tables = " or ".join(str(table_path(folder, kind, batch)) for kind in KINDS)
            raise DataError(f"{tables} is missing, or was changed: later batches stand on it. Restore it from a copy of the set")
    return state


def _refuse_lost_list(folder, kind, batch, count, dropped):
    listed = len(dropped.of(kind, batch))
    if count > listed:
        raise DataError(
            f"{table_path(folder, kind, batch)}: {count} of its pictures were taken out of the set, but {folder / DROPPED_NAME} lists "
            f"{listed} of them: it is missing, or of an older copy. Restore it from a copy of the set"
        )


def refuse_half_dropped(folder, state):
    """FolderError when the dropping of pictures was begun and isn't finished."""
    words = half_dropped(folder, {kind: state.leaving(kind) for kind in KINDS})
    if words:
        raise FolderError(f"{folder}: {words}")


def half_dropped(folder, leaving):
    """Words on pictures that dropped.json lists and the set still holds, and the command that ends it; "" for none.

    Args:
        folder: the set's folder.
        leaving: {kind: Entry list}.
    """
    ids = [entry.plan.id for kind in KINDS for entry in leaving[kind]]
    if not ids:
        return ""
    command = f"fgbg-depth drop-asset {shlex.quote(str(folder))} {' '.join(ids)}"
    return f"{DROPPED_NAME} lists {_some(ids)}, still in the set: a run of drop-asset was stopped. Finish it with `{command}`"


def _refuse_strangers(folder):
    if not folder.is_dir():
        return
    # Hidden names are left to git, editors and our own scratch files.
    names = sorted(p.name for p in folder.iterdir() if p.name not in EMPTY_NAMES and not p.name.startswith("."))
    names = [n for n in names if not (folder / n).is_dir() or any(map(_is_file_of_others, (folder / n).rglob("*")))]
    if names:
        raise FolderError(
            f"{folder} isn't empty ({_some(names)}) and holds no set of fgbg_depth; choose another --out. Nothing was changed"
        )


def stored_fields(recipe):
    """A recipe as the asset tables hold it: a dict without paths of this machine."""
    return {**recipe.to_dict(), "depth_model": portable_model_name(recipe.depth_model)}


def refuse_other_recipe(folder, state, recipe, digest):
    """FolderError when another recipe made the folder; the fields that differ are named."""
    if state.recipe_digest in ("", digest):
        return
    theirs, ours = state.recipe_fields, stored_fields(recipe)
    names = [n for n in FIELD_NAMES if theirs.get(n) != ours.get(n)]
    differ = [f"{n} is {theirs.get(n)!r} there and {ours.get(n)!r} here" for n in names]
    where = f", {folder / RECIPE_NAME}" if (folder / RECIPE_NAME).is_file() else ""  # it comes when the first run ends
    raise FolderError(
        f"{folder} was made by another recipe: {'; '.join(differ) or 'the weights of its depth model were others'}. "
        f"Use the same recipe{where}, or choose another --out. Nothing was changed"
    )


def _is_file_of_others(path):
    return not path.is_dir() and not TEMP_NAME.fullmatch(path.name)  # another part of this run may be writing the first table


@dataclass(frozen=True)
class BatchWork:
    """What a run has to do about assets.

    Attributes:
        batch: the newest batch, which the run begins or goes on with.
        entries: {kind: Entry list of all batches, this one's newcomers included, ordered by id}.
        newcomers: {kind: {id: assets.Asset}} whose tables have to be written; empty when they are there.
        lists: {batch: asset-list digest}.
        dropped: dropped.Dropped.
        skipped: (file, reason) pairs that --skip-bad left out.
        notes: further words for the user.
    """

    batch: int
    entries: dict
    newcomers: dict
    lists: dict
    dropped: Dropped = field(default_factory=Dropped)
    skipped: tuple = ()
    notes: tuple = ()


def find_work(folder, state, recipe, digest, folders, append, scan_options):
    """Compare the pictures in the source folders with those of the set.

    Args:
        folder: the set's folder, for messages.
        state: FolderState.
        recipe, digest: config.Recipe and its digest.
        folders: {kind: source folder}.
        append: True when new pictures are welcome.
        scan_options: further keyword arguments of assets.scan_assets.

    Returns:
        BatchWork.

    Raises:
        AssetError: bad pictures.
        FolderError: pictures are new, changed or missing and that wasn't asked for.
    """
    last = state.last_batch
    begun = last is not None and not state.is_whole(last)  # killed between its two tables
    settled = {k: [e for e in state.entries[k] if not (begun and e.plan.batch == last)] for k in KINDS}
    scans = {k: _scan(k, folders[k], settled[k], recipe, scan_options) for k in KINDS}
    assets = {k: [a for a in scans[k].assets if a.sha256 not in state.dropped.hashes(k)] for k in KINDS}
    known = {k: {e.plan.sha256 for e in settled[k]} for k in KINDS}
    found = {k: {a.sha256 for a in assets[k]} for k in KINDS}
    new = {k: [a for a in assets[k] if a.sha256 not in known[k]] for k in KINDS}
    gone = {k: [e for e in settled[k] if e.plan.sha256 not in found[k]] for k in KINDS}
    told = {
        "dropped": state.dropped,
        "skipped": tuple(pair for k in KINDS for pair in scans[k].skipped),
        "notes": tuple(
            note
            for k in KINDS
            for note in (*scans[k].notes, *_dropped_words(k, scans[k].assets, assets[k]), *_new_words(k, settled[k], assets[k]))
        ),
    }
    if settled["background"] and not append and not begun and (any(new.values()) or any(gone.values())):
        raise FolderError(_changes(folder, new, gone))
    if not any(new.values()):
        if begun:
            raise FolderError(_begun_otherwise(folder, last))
        entries = {k: sorted(state.entries[k], key=lambda e: e.plan.id) for k in KINDS}
        return BatchWork(last, entries, {k: {} for k in KINDS}, state.lists, **told)
    batch = last if begun else FIRST_BATCH if last is None else last + 1
    fresh = _entries_of(new, settled, batch, recipe)
    lists = {**state.lists, batch: list_digest(digest, *([e.plan for e in fresh[k]] for k in KINDS))}
    if begun and lists[batch] != state.lists[batch]:
        raise FolderError(_begun_otherwise(folder, batch))
    entries = {k: sorted(settled[k] + fresh[k], key=lambda e: e.plan.id) for k in KINDS}
    return BatchWork(batch, entries, {k: {a.id: a for a in new[k]} for k in KINDS}, lists, **told)


def _scan(kind, folder, settled, recipe, options):
    if folder is None:
        raise UsageError(f"no folder of {kind}s was given; pass --{kind}s DIR")
    taken = {entry.plan.id: entry.plan.sha256 for entry in settled}
    if kind == "foreground":
        options = {**options, "key_color": recipe.key_color or None, "mask_threshold": recipe.mask_threshold}
    return scan_assets(folder, kind, taken=taken, **options)


def _dropped_words(kind, found, kept):
    """A note on pictures in the folder that were taken out of the set."""
    files = sorted({a.file for a in found} - {a.file for a in kept})
    if not files:
        return ()
    return (
        f"{len(files)} {kind}{'s are' if len(files) > 1 else ' is'} left out ({_some(files)}): taken out of this set by drop-asset, as "
        f"{DROPPED_NAME} tells by sha256. Delete {'them' if len(files) > 1 else 'it'} there too",
    )


def _new_words(kind, settled, assets):
    """A note when SOURCES.csv now says something else of pictures that the set holds already."""
    texts = ("licence", "author", "source", "url")
    held = {e.plan.sha256: [getattr(e, name) for name in texts] for e in settled}
    changed = [a.file for a in assets if a.sha256 in held and [getattr(a, name) for name in texts] != held[a.sha256]]
    if not changed:
        return ()
    return (
        f"SOURCES.csv has changed for {len(changed)} {kind}s ({_some(changed)}); the set keeps what it was begun with, "
        f"make it anew in another folder to change that",
    )


def _entries_of(new, settled, batch, recipe):
    plans = {k: [PlanAsset(a.id, a.sha256, a.group, a.width, a.height, batch) for a in new[k]] for k in KINDS}
    old = [[e.plan for e in settled[k]] for k in KINDS]
    splits = dict(zip(KINDS, assign_splits(recipe, plans["background"], plans["foreground"], *old), strict=True))
    return {
        kind: [
            Entry(dataclasses.replace(p, split=splits[kind][p.id]), a.file, a.licence, a.author, a.source, a.url)
            for p, a in zip(plans[kind], new[kind], strict=True)
        ]
        for kind in KINDS
    }


def _changes(folder, new, gone):
    found = []
    for kind in KINDS:
        if new[kind]:
            found.append(f"{len(new[kind])} new or changed {kind}s ({_some([a.file for a in new[kind]])})")
        if gone[kind]:
            found.append(f"{len(gone[kind])} missing {kind}s ({_some([e.file for e in gone[kind]])})")
    return (
        f"the pictures differ from those that {folder} was begun with: {', '.join(found)}. Restore them to go on, pass "
        f"--append to add new ones as a further batch, or choose another --out. Nothing was changed"
    )


def _begun_otherwise(folder, batch):
    return (
        f"{folder}: batch {batch} was begun with other pictures and is unfinished. Run again with the folders that it was begun "
        f"with, or delete {' and '.join(f'{kind}s/b{batch:03d}.parquet' for kind in KINDS)} to begin that batch anew"
    )


def _some(names):
    more = len(names) - NAMES_SHOWN
    return ", ".join(map(str, names[:NAMES_SHOWN])) + (f" and {more} more" if more > 0 else "")
