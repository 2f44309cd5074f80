"""What a set ought to be: recipe, asset lists and plan, worked out anew from its asset tables.

The asset tables are where everything else follows from. When they don't agree with themselves there is no plan, and the
data files are checked without one.
"""

import dataclasses
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ..asset_tables import KINDS, AssetReader, list_digest, read_entries, table_path
from ..batches import half_dropped
from ..config import Recipe, load_recipe
from ..dropped import DROPPED_NAME, Dropped, read_dropped, table_digest
from ..errors import DataError, FgbgDepthError, RecipeError, StorageError
from ..files import sha256_of
from ..imported import read_plan
from ..plan import PlanAsset, assign_splits, make_plan
from ..shards import find_tables, read_footer
from ..studio import CutoutMaker
from .findings import Repairs
from .lacking import held_rows, read_lacking


@dataclass(frozen=True, eq=False)
class Basis:
    """What the checks of single files have to know; it is sent to each worker once.

    Attributes:
        folder: pathlib.Path of the set.
        listed: {file: facts} of manifest.json, {} without one.
        recipe: config.Recipe, or None when no asset table tells it.
        digest: the recipe's digest, as the asset tables hold it.
        depth: description of the depth model, or None.
        lists: {batch: asset-list digest}.
        entries: {kind: asset_tables.Entry list, ordered by id}.
        plan: plan.Plan, or None.
        lacking: {data file: rows of its (batch, split) that it lacks, as the depth network failed on them}.
        repairs: findings.Repairs.
        dropped: dropped.Dropped, what was taken out of the set.
    """

    folder: Path
    listed: dict
    recipe: object = None
    digest: str = ""
    depth: dict | None = None
    lists: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)
    plan: object = None
    lacking: dict = field(default_factory=dict)
    repairs: object = None
    dropped: Dropped = field(default_factory=Dropped)

    @property
    def relative(self):
        return bool(self.depth) and self.depth.get("kind") == "relative"

    @property
    def weights(self):
        return self.depth["weights_digest"] if self.depth else ""

    def shards(self):
        """{file: plan.ShardPlan} of all planned data files."""
        return {shard.name: shard for shard in self.plan.shards()} if self.plan else {}

    def held(self, shard):
        """Rows of the (batch, split) that a planned data file holds, in order: (N,) int64."""
        return held_rows(shard, self.lacking.get(shard.name, ()))

    def cutouts(self):
        """A CutoutMaker that reads the set's own foregrounds, by their positions in the plan."""
        entries = self.entries["foreground"]
        return CutoutMaker([entry.plan for entry in entries], AssetReader(entries))


def read_basis(folder, listed, found):
    """Work out what a set ought to be.

    Args:
        folder: pathlib.Path of the set.
        listed: files of the manifest.
        found: Findings that receives what is wrong.

    Returns:
        Basis.
    """
    entries, footers, whole = _read_tables(folder, found)
    dropped, is_read = _dropped_of(folder, entries, footers, found)
    whole = whole and is_read
    entries = {kind: [e for e in entries[kind] if e.plan.sha256 not in dropped.hashes(kind)] for kind in KINDS}
    basis = Basis(folder, listed, entries=entries, dropped=dropped)
    if not footers:
        return _without_tables(basis, found)
    basis = _recipe_of(basis, footers, found)
    if basis.recipe is None or not whole:
        return basis
    dealt = _dealt(basis, found)
    lists, problems = {}, []
    for (kind, batch), footer in footers.items():
        lists.setdefault(batch, footer.assets)
        if not _same_list(basis, dealt, kind, batch, footer):
            problems.append((kind, batch))
    for kind, batch in problems:
        found.add(
            _table_name(kind, batch),
            f"the digest of batch {batch}'s asset list in the footer doesn't agree with the rows of its tables (ids, sha256, "
            f"groups, splits); rows can't be compared with the plan",
        )
    basis = dataclasses.replace(basis, lists=lists, entries=dealt)
    if problems:
        return basis
    plan = _plan(basis, found)
    lacking = read_lacking(folder, plan, basis.recipe, found) if plan else {}
    return dataclasses.replace(basis, plan=plan, lacking=lacking)


def _read_tables(folder, found):
    """({kind: entries}, {(kind, batch): Footer}, True when all could be read)."""
    entries, footers, whole = {}, {}, True
    for kind in KINDS:
        try:
            rows, of_batch = read_entries(folder, kind)
            # A strange table beside ours is reported with the files; its rows aren't of this set.
            ours = [entry for entry in rows if entry.table == table_path(folder, kind, entry.plan.batch)]
            entries[kind] = sorted(ours, key=lambda entry: entry.plan.id)
        except StorageError:
            raise
        except Exception as error:  # a damaged file may raise anything
            words = f"the asset tables can't be read ({error}); rows can't be compared with the plan"
            found.add(f"{kind}s", words, repair=_remake_hint(folder, kind))
            entries[kind], whole = [], False
            continue
        footers |= {(kind, batch): footer for batch, footer in of_batch.items()}
        if not ours:
            found.add(f"{kind}s", f"no table of {kind}s is there", repair=_remake_hint(folder, kind))
            whole = False
    return entries, footers, whole


def _dropped_of(folder, entries, footers, found):
    """(Dropped, True when it can be relied on): what was taken out of the set, and whether the tables agree with that."""
    try:
        dropped = read_dropped(folder)
    except DataError as error:
        found.add(DROPPED_NAME, str(error).removeprefix(f"{folder / DROPPED_NAME} "), repair=_from_copy(folder))
        return Dropped(), False
    leaving = {kind: [e for e in entries[kind] if e.plan.sha256 in dropped.hashes(kind)] for kind in KINDS}
    words = half_dropped(folder, leaving)
    if words:
        found.add(DROPPED_NAME, words.removeprefix(f"{DROPPED_NAME} "), repair=words.split("`")[1])
        return dropped, True
    good = True
    for (kind, batch), footer in sorted(footers.items()):
        if footer.dropped != dropped.count(kind, batch):
            words = f"lists {len(dropped.of(kind, batch))} pictures of {_table_name(kind, batch)}, which lost {footer.dropped or 0}"
            found.add(DROPPED_NAME, f"{words}: it is missing, or of another copy of the set", repair=_from_copy(folder))
            good = False
    return dropped, good


def _from_copy(folder):
    return f"cp COPY_OF_THE_SET/{DROPPED_NAME} {shlex.quote(str(folder))}"


def _remake_hint(folder, kind):
    return Repairs(folder).remake(f"{kind}s/b000.parquet")


def _without_tables(basis, found):
    """Only recipe.toml is left to tell the recipe."""
    try:
        recipe = load_recipe(basis.folder / "recipe.toml")
    except FgbgDepthError as error:
        found.add("recipe.toml", f"no asset table tells the recipe, and this file doesn't either: {error}")
        return dataclasses.replace(basis, repairs=Repairs(basis.folder, recipe_file_is_good=False))
    return dataclasses.replace(basis, recipe=recipe, repairs=Repairs(basis.folder, recipe))


def _recipe_of(basis, footers, found):
    """The basis with the recipe that the footers hold, checked against their digest."""
    (kind, batch), first = next(iter(sorted(footers.items())))
    for key, footer in footers.items():
        if _told(footer) != _told(first):
            found.add(_table_name(*key), f"its footer holds another recipe or depth model than that of {_table_name(kind, batch)}")
    depth = (first.extra or {}).get("depth")
    batches = {batch for _, batch in footers}
    try:
        recipe = Recipe().replace(**(first.extra or {})["recipe"])
        expected = recipe.digest(depth["weights_digest"] if depth else "")
    except (RecipeError, KeyError, TypeError, ValueError) as error:
        found.add(_table_name(kind, batch), f"the recipe in its footer can't be used: {error}")
        return _without_tables(basis, found)
    if expected != first.recipe:
        words = f"the recipe in its footer has digest {expected[:12]}..., the footer says {first.recipe[:12]}..."
        found.add(_table_name(kind, batch), words)
    repairs = Repairs(basis.folder, recipe, len(batches))
    return dataclasses.replace(basis, recipe=recipe, digest=first.recipe, depth=depth, repairs=repairs)


def _told(footer):
    """What a footer says of recipe and depth model; not the device, which may differ between batches."""
    extra = footer.extra or {}
    return footer.recipe, extra.get("recipe"), [(extra.get("depth") or {}).get(name) for name in ("name", "kind", "weights_digest")]


def _dealt(basis, found):
    """Deal the splits anew, batch by batch; entries whose split differs are found and set right."""
    entries = basis.entries
    if basis.recipe.imported:
        return entries  # its splits were read with its rows
    gone = {kind: [_as_asset(t) for t in basis.dropped.of(kind)] for kind in KINDS}
    everything = {kind: [entry.plan for entry in entries[kind]] + gone[kind] for kind in KINDS}
    splits = {kind: {} for kind in KINDS}
    for batch in sorted({asset.batch for kind in KINDS for asset in everything[kind]}):
        new = [[a for a in everything[kind] if a.batch == batch] for kind in KINDS]
        old = [[dataclasses.replace(a, split=splits[kind][a.id]) for a in everything[kind] if a.batch < batch] for kind in KINDS]
        try:
            dealt = assign_splits(basis.recipe, *new, *old)
        except Exception as error:  # the tables may hold anything
            found.add(_table_name("background", batch), f"the splits can't be dealt: {error}")
            return entries
        for kind, of_id in zip(KINDS, dealt, strict=True):
            splits[kind] |= of_id
    right = {}
    for kind in KINDS:
        for asset in gone[kind]:
            if asset.split != splits[kind][asset.id]:
                words = f"says split {asset.split!r} of {asset.sha256[:12]}...; the recipe deals it to {splits[kind][asset.id]!r}"
                found.add(DROPPED_NAME, words, repair=_from_copy(basis.folder))
        right[kind] = []
        for entry in entries[kind]:
            split = splits[kind][entry.plan.id]
            if entry.plan.split != split:
                file, row = f"{kind}s/{entry.table.name}", row_number(entries[kind], entry)
                found.add(file, f"asset {entry.plan.id!r} is in split {entry.plan.split!r}; the recipe deals it to {split!r}", row, "split")
            right[kind].append(dataclasses.replace(entry, plan=dataclasses.replace(entry.plan, split=split)))
    return right


def row_number(entries, entry):
    """The row of an entry in its file, counted from the first row group on."""
    before = (e for e in entries if e.table == entry.table and e.row_group < entry.row_group)
    return sum(1 for _ in before) + entry.row


def _as_asset(tombstone):
    """A picture that is gone as plan.assign_splits takes it; its id is nobody's."""
    t = tombstone
    return PlanAsset(f":{t.sha256}", t.sha256, t.group, 0, 0, t.batch, t.split)


def _same_list(basis, entries, kind, batch, footer):
    """True when a table holds what its batch's list names, less what was dropped."""
    sides = {k: [e.plan for e in entries[k] if e.plan.batch == batch] for k in KINDS}
    if batch in basis.dropped.tables:
        return basis.dropped.tables[batch].get(kind) == table_digest(sides[kind])
    return footer.assets == list_digest(basis.digest, *sides.values())


def _plan(basis, found):
    plans = [[entry.plan for entry in basis.entries[kind]] for kind in KINDS]
    if basis.recipe.imported:
        return _imported_plan(basis, dict(zip(KINDS, plans, strict=True)), found)
    try:
        return make_plan(basis.recipe, *plans, basis.cutouts().placed_alpha, dropped=basis.dropped)
    except Exception as error:  # the tables may hold anything
        found.add("foregrounds", f"no plan can be made from the asset tables: {error}; rows can't be compared with it")
        return None


def _imported_plan(basis, assets, found):
    """Its rows, by the metadata tables where their hashes are good, else by the data files."""
    data = {name: facts.get("rows") for name, facts in basis.listed.items() if facts.get("config") == "default"}
    rows = {name: count for name, count in data.items() if type(count) is int}

    def trusted(path):
        facts = basis.listed.get(path.relative_to(basis.folder).as_posix(), {})
        return path.is_file() and sha256_of(path) == facts.get("sha256")

    try:
        return read_plan(basis.folder, basis.recipe, assets, trusted, rows)
    except Exception as error:  # the tables may hold anything
        found.add("data", f"the rows of this imported set can't be told: {error}; they can't be compared")
        return None


def _table_name(kind, batch):
    return f"{kind}s/b{batch:03d}.parquet"


def recipe_of_set(folder):
    """(config.Recipe, description of the depth model or None) of a set, from the footer of its first asset table.

    Raises:
        DataError: there is no such table, or it can't be used.
    """
    for path in find_tables(folder, "backgrounds"):
        extra = read_footer(path).extra or {}
        try:
            return Recipe().replace(**extra["recipe"]), extra.get("depth")
        except (RecipeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: the recipe in its footer can't be used: {error}") from error
    raise DataError(f"{folder} has no table of backgrounds; is it a finished set?")
