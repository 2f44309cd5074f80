"""What was taken out of a set on request, and may not come back: `dropped.json`.

Of each picture it holds the sha256 of its file, and where it stood: no picture, no name, no id. That is enough to leave the same file out
when it turns up again, and to work out all other rows as they were planned: a picture that is gone keeps its place in the order of
the pictures, or else the rows behind it would all move. The file is written first when something is dropped and so tells, too, what a
run that was killed had begun.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace

from .errors import DataError
from .files import write_text
from .folders import as_folder

DROPPED_NAME = "dropped.json"
FORMAT = 1
GROUP_PREFIX = "dropped:"  # of a group that no picture of the set has any more; ids and named groups never hold a colon there
GROUP_DIGITS = 16  # of a sha256, to tell such groups apart
ABOUT = "sha256 of pictures that were taken out of this set; fgbg_depth leaves them out when they turn up again"


@dataclass(frozen=True)
class Tombstone:
    """A picture that was taken out.

    Attributes:
        kind: "background" or "foreground".
        sha256: of its file.
        batch: that brought it.
        until: the last batch at the time; later ones never had rows of it.
        split: as it was dealt.
        group: of a scene that is still in the set, else a made-up one that those of one scene share.
        after: id of the picture of the set that came before it in the order of ids, "" for none.
        turn: its number among those that are gone behind that picture, from 1.
    """

    kind: str
    sha256: str
    batch: int
    until: int
    split: str
    group: str
    after: str
    turn: int


@dataclass(frozen=True)
class Dropped:
    """All that was taken out of a set.

    Attributes:
        tombstones: tuple of Tombstone.
        tables: {batch: {kind: digest of the pictures that its table still holds}}, of each batch with a tombstone. The batch's own
            asset-list digest, which its shards are bound to, can't be worked out any more without the names.
    """

    tombstones: tuple = ()
    tables: dict = field(default_factory=dict)

    def __bool__(self):
        return bool(self.tombstones)

    def of(self, kind, batch=None):
        """Tombstones of one kind, or of one kind and batch."""
        return [t for t in self.tombstones if t.kind == kind and batch in (None, t.batch)]

    def hashes(self, kind):
        """Their sha256."""
        return {t.sha256 for t in self.tombstones if t.kind == kind}

    def count(self, kind, batch):
        """How many of a table's pictures are gone; None for none of them, as footers have it."""
        return len(self.of(kind, batch)) or None


def in_order(assets, tombstones):
    """Pictures and tombstones of one kind in the order of ids.

    Args:
        assets: PlanAssets, or others with an `id`.
        tombstones: Tombstones of the same kind.
    """
    places = [((a.id, 0), a) for a in assets] + [((t.after, t.turn), t) for t in tombstones]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def table_digest(assets):
    """sha256 of what an asset table holds."""
    rows = [[a.id, a.sha256, a.group, a.split, a.batch] for a in sorted(assets, key=lambda a: a.id)]
    return _digest(rows)


def drop(dropped, kind, assets, leaving, until):
    """Take pictures of one kind out. Pure: the order and the groups of what is left are kept.

    Args:
        dropped: Dropped so far.
        kind: "background" or "foreground".
        assets: PlanAssets of that kind that are in the set, those that leave among them.
        leaving: ids.
        until: number of the last batch.

    Returns:
        Dropped; its `tables` are as before (see `with_tables`).
    """
    gone = {a.id for a in assets if a.id in leaving}
    groups = {a.group for a in assets if a.id not in gone}
    made, after, turn = [], "", 0
    for item in in_order(assets, dropped.of(kind)):
        if isinstance(item, Tombstone):
            turn += 1
            made.append(replace(item, after=after, turn=turn))
        elif item.id in gone:
            turn += 1
            made.append(Tombstone(kind, item.sha256, item.batch, until, item.split, item.group, after, turn))
        else:
            after, turn = item.id, 0
    others = [t for t in dropped.tombstones if t.kind != kind]
    ordered = sorted([*others, *_without_names(made, groups)], key=lambda t: (t.kind, t.batch, t.sha256))
    return replace(dropped, tombstones=tuple(ordered))


def _without_names(tombstones, groups):
    """The tombstones, with made-up names for groups that no picture of the set has: a name may tell who was on a picture."""
    lost = {}
    for t in tombstones:
        if t.group not in groups and not t.group.startswith(GROUP_PREFIX):
            lost.setdefault(t.group, []).append(t.sha256)
    return [replace(t, group=GROUP_PREFIX + min(lost[t.group])[:GROUP_DIGITS]) if t.group in lost else t for t in tombstones]


def with_tables(dropped, assets):
    """The same with digests of the tables that lost a picture.

    Args:
        dropped: Dropped.
        assets: {kind: PlanAssets that are left}.
    """
    batches = sorted({t.batch for t in dropped.tombstones})
    tables = {b: {kind: table_digest([a for a in side if a.batch == b]) for kind, side in assets.items()} for b in batches}
    return replace(dropped, tables=tables)


# --- the file -------------------------------------------------------------------------------------------------


def read_dropped(folder):
    """What was taken out of the set in a folder; empty when nothing was.

    Raises:
        DataError: the file can't be read, or was changed.
    """
    path = as_folder(folder) / DROPPED_NAME
    try:
        return parse_dropped(path.read_bytes(), path)
    except FileNotFoundError:
        return Dropped()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error}") from error


def parse_dropped(data, where=DROPPED_NAME):
    """Dropped from the bytes of the file.

    Raises:
        DataError: they are damaged.
    """
    try:
        table = json.loads(data)
        told = table.pop("sha256")
        if table["format"] != FORMAT:
            raise ValueError(f"format {table['format']!r}, expected {FORMAT}")
        if told != _digest(table):
            raise ValueError("its own sha256 doesn't fit")
        tables = {int(batch): dict(digests) for batch, digests in table["tables"].items()}
        return Dropped(tuple(Tombstone(**values) for values in table["dropped"]), tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where} was changed or is damaged ({error}): it says which pictures were taken out of the set and may not come back. Restore "
            f"it from a copy of the set"
        ) from error


def dropped_text(dropped):
    """The text of the file."""
    table = {
        "format": FORMAT,
        "about": ABOUT,
        "dropped": [dict(t.__dict__) for t in dropped.tombstones],
        "tables": {str(batch): digests for batch, digests in sorted(dropped.tables.items())},
    }
    return json.dumps({**table, "sha256": _digest(table)}, indent=1) + "\n"


def write_dropped(folder, dropped):
    """Write the file, whole or not at all."""
    write_text(as_folder(folder) / DROPPED_NAME, dropped_text(dropped))


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
