"""What a set ought to be: recipe, asset lists and plan, worked out anew from its asset tables.

The asset tables are where everything else follows from. When they don't agree with themselves there is no plan, and the
data files are checked without one.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from ..asset_tables import KINDS, AssetReader, list_digest, read_entries, table_path
from ..config import Recipe, load_recipe
from ..errors import DataError, FgbgDepthError, RecipeError
from ..plan import assign_splits, make_plan
from ..shards import find_tables, read_footer
from ..studio import CutoutMaker
from .findings import Repairs


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
        repairs: findings.Repairs.
    """

    folder: Path
    listed: dict
    recipe: object = None
    digest: str = ""
    depth: dict | None = None
    lists: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)
    plan: object = None
    repairs: object = None

    @property
    def relative(self):
        return bool(self.depth) and self.depth.get("kind") == "relative"

    @property
    def weights(self):
        return self.depth["weights_digest"] if self.depth else ""

    def shards(self):
        """{file: plan.ShardPlan} of all planned data files."""
        return {shard.name: shard for shard in self.plan.shards()} if self.plan else {}

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
    basis = Basis(folder, listed, entries=entries)
    if not footers:
        return _without_tables(basis, found)
    basis = _recipe_of(basis, footers, found)
    if basis.recipe is None or not whole:
        return basis
    dealt = _dealt(basis, found)
    lists, problems = {}, []
    for (kind, batch), footer in footers.items():
        lists.setdefault(batch, footer.assets)
        if footer.assets != _list_digest(basis, dealt, batch):
            problems.append((kind, batch))
    for kind, batch in problems:
        found.add(
            _table_name(kind, batch),
            f"the digest of batch {batch}'s asset list in the footer doesn't agree with the rows of its tables (ids, sha256, "
            f"groups, splits); rows can't be compared with the plan",
        )
    basis = dataclasses.replace(basis, lists=lists, entries=dealt)
    return basis if problems else dataclasses.replace(basis, plan=_plan(basis, found))


def _read_tables(folder, found):
    """({kind: entries}, {(kind, batch): Footer}, True when all could be read)."""
    entries, footers, whole = {}, {}, True
    for kind in KINDS:
        try:
            rows, of_batch = read_entries(folder, kind)
            # A strange table beside ours is reported with the files; its rows aren't of this set.
            ours = [entry for entry in rows if entry.table == table_path(folder, kind, entry.plan.batch)]
            entries[kind] = sorted(ours, key=lambda entry: entry.plan.id)
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
    splits = {kind: {} for kind in KINDS}
    for batch in sorted({entry.plan.batch for kind in KINDS for entry in entries[kind]}):
        new = [[e.plan for e in entries[kind] if e.plan.batch == batch] for kind in KINDS]
        old = [
            [dataclasses.replace(e.plan, split=splits[kind][e.plan.id]) for e in entries[kind] if e.plan.batch < batch] for kind in KINDS
        ]
        try:
            dealt = assign_splits(basis.recipe, *new, *old)
        except Exception as error:  # the tables may hold anything
            found.add(_table_name("background", batch), f"the splits can't be dealt: {error}")
            return entries
        for kind, of_id in zip(KINDS, dealt, strict=True):
            splits[kind] |= of_id
    right = {}
    for kind in KINDS:
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


def _list_digest(basis, entries, batch):
    sides = ([e.plan for e in entries[kind] if e.plan.batch == batch] for kind in KINDS)
    return list_digest(basis.digest, *sides)


def _plan(basis, found):
    plans = [[entry.plan for entry in basis.entries[kind]] for kind in KINDS]
    try:
        return make_plan(basis.recipe, *plans, basis.cutouts().placed_alpha)
    except Exception as error:  # the tables may hold anything
        found.add("foregrounds", f"no plan can be made from the asset tables: {error}; rows can't be compared with it")
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
