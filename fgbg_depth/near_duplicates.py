"""Source pictures of a set that are alike, and those of them that lie in two splits: leaks.

A model that saw a picture in training knows its copy in validation. Nothing is moved: which split a picture belongs to is decided
by the recipe and by the groups in SOURCES.csv alone. What is found is shown by `plan` and `generate` and stands on the card.
"""

import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import schema
from .asset_tables import KINDS, AssetReader, PlannedReader, read_entries
from .assets.near import BITS, fingerprint, near_pairs
from .assets.pictures import decode_picture
from .config import SPLIT_NAMES
from .errors import AssetError, DataError
from .progress import Quiet

AT_ONCE = 32  # encoded pictures in memory while their hashes are worked out
MAX_KEPT = 50_000  # hashes kept in this process, 128 bytes each: a card is made or checked several times by one command
PAIRS_SHOWN = 10  # on a screen; --json has up to 1,000 of each kind
_kept = OrderedDict()  # (kind, sha256, key colour) -> packed hash; a hash is a function of these


@dataclass(frozen=True)
class Pair:
    """Two source pictures of one kind that are alike.

    Attributes:
        kind: "background" or "foreground".
        first, second: their ids, in order.
        splits: the split of each, or "all".
        distance: bits of 256 that differ.
        mirrored: True when one looks like the mirrored other.
        groups: the group of each.
    """

    kind: str
    first: str
    second: str
    splits: tuple
    distance: int
    mirrored: bool
    groups: tuple

    @property
    def is_leak(self):
        """True when the two belong to different splits."""
        return self.splits[0] != self.splits[1]

    @property
    def is_bound(self):
        """True when a group keeps them together."""
        return self.groups[0] == self.groups[1]

    def as_dict(self):
        """As JSON values."""
        return {
            "kind": self.kind,
            "ids": [self.first, self.second],
            "splits": list(self.splits),
            "distance": self.distance,
            "mirrored": self.mirrored,
            "leak": self.is_leak,
            "same_group": self.is_bound,
        }


@dataclass(frozen=True)
class NearDuplicates:
    """What was found: `pairs` (leaks first, then by distance; at most 1,000 of each kind), and how many there are in all."""

    pairs: tuple = ()
    count: int = 0
    leaks: int = 0

    def as_dict(self):
        """As JSON values."""
        return {"count": self.count, "leaks": self.leaks, "pairs": [pair.as_dict() for pair in self.pairs]}


def near_in_set(folder):
    """Near-duplicates among the pictures that a set holds, finished or not.

    Raises:
        DataError: an asset table can't be read.
    """
    entries, recipe = {}, {}
    for kind in KINDS:
        entries[kind], footers = read_entries(folder, kind)
        recipe = next((footer.extra.get("recipe", {}) for footer in footers.values() if footer.extra), recipe)
    return near_in_tables(entries, recipe.get("key_color", ""))


def near_in_tables(entries, key_color=""):
    """As `near_in_set`, of tables that were read.

    Args:
        entries: {kind: asset_tables.Entry list}, as `read_entries` gives them.
        key_color: of the recipe.
    """

    def sources(kind):
        reader = AssetReader(entries[kind])
        for entry in entries[kind]:
            yield entry, (lambda e=entry: _stored(reader, e)), lambda data, e=entry: _decoded(data, e, kind)

    return _find({kind: list(sources(kind)) for kind in KINDS}, key_color)


def near_in_plan(prepared, progress=None):
    """Near-duplicates among the pictures of a planned set.

    Args:
        prepared: prepare.Prepared.
        progress: progress.Quiet or a subclass.

    Raises:
        AssetError: a picture was changed or removed since it was checked.
    """
    work = prepared.work

    def sources(kind):
        old = AssetReader([entry for entry in work.entries[kind] if entry.table is not None])
        reader = PlannedReader(work.entries[kind], work.newcomers[kind], prepared.recipe)
        for entry in work.entries[kind]:
            if entry.plan.id in work.newcomers[kind]:
                yield entry, lambda: None, lambda _, e=entry: reader.pixels(e.plan.id, alpha=kind == "foreground")
            else:
                yield entry, (lambda e=entry: _stored(old, e)), lambda data, e=entry: _decoded(data, e, kind)

    return _find({kind: list(sources(kind)) for kind in KINDS}, prepared.recipe.key_color, progress)


def _stored(reader, entry):
    try:
        return reader.stored_bytes(entry.plan.id)
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise DataError(f"{entry.table}: the picture of {entry.plan.id!r} can't be read: {error}") from error


def _decoded(data, entry, kind):
    try:
        return decode_picture(data, alpha=kind == "foreground", max_pixels=entry.plan.width * entry.plan.height)
    except AssetError as error:
        raise DataError(f"{entry.table}: the picture of {entry.plan.id!r} can't be decoded: {error}") from error


def _find(sources, key_color, progress=None):
    """NearDuplicates of {kind: list of (entry, function that reads, function that decodes what was read)}."""
    found, count, leaks = [], 0, 0
    for kind, items in sources.items():
        items = sorted(items, key=lambda item: item[0].plan.id)
        plans = [item[0].plan for item in items]
        splits = np.array([plan.split for plan in plans])

        def leak(first, second, splits=splits):
            return splits[first] != splits[second]

        with (progress or Quiet()).task(f"compare the {kind}s", len(items)) as task:
            near, pairs, between = near_pairs(_prints(kind, items, key_color, task.update), wanted=leak)
        count, leaks = count + pairs, leaks + between
        for one in near:
            a, b = plans[one.first], plans[one.second]
            found.append(Pair(kind, a.id, b.id, (a.split, b.split), one.distance, one.mirrored, (a.group, b.group)))
    found.sort(key=lambda pair: not pair.is_leak)  # stable: backgrounds before foregrounds, then by distance
    return NearDuplicates(tuple(found), count, leaks)


def _prints(kind, items, key_color, told):
    """Hashes of pictures, in their order; a few threads decode, files are read by this one."""
    prints = []
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # of odd metadata, which play no part; filters are global, so no thread may set them
        for start in range(0, len(items), AT_ONCE):
            waiting = []
            for entry, read, decode in items[start : start + AT_ONCE]:
                key = (kind, entry.plan.sha256, key_color)
                waiting.append((key, None if key in _kept else pool.submit(_hash, decode, read())))
            for key, future in waiting:
                if future is not None:
                    _kept[key] = future.result()
                    if len(_kept) > MAX_KEPT:
                        _kept.popitem(last=False)
                prints.append(_unpacked(_kept[key]))
            told(len(prints))
    return prints


def _hash(decode, data):
    found = fingerprint(decode(data))
    return None if found is None else (np.packbits(found).tobytes(), found.shape)


def _unpacked(kept):
    return None if kept is None else np.unpackbits(np.frombuffer(kept[0], np.uint8)).reshape(kept[1]).astype(bool)


def warning_lines(near):
    """What a screen shows of near-duplicates: lines, leaks first, [] without any.

    Args:
        near: NearDuplicates.
    """
    lines = []
    for pair in [pair for pair in near.pairs if pair.is_leak][:PAIRS_SHOWN]:
        lines.append(
            f"leak: near-duplicates in {_both(pair.splits)}: {pair.kind}s {pair.first} and {pair.second}{_how(pair)}; "
            f"bind them by `group` in SOURCES.csv, or leave one of them out"
        )
    if near.leaks > PAIRS_SHOWN:
        lines.append(f"leak: {near.leaks - PAIRS_SHOWN:,} more pairs of near-duplicates in two splits; --json lists them")
    rest = near.count - near.leaks
    if rest:
        named = [pair for pair in near.pairs if not pair.is_leak][:3]
        names = ", ".join(f"{pair.first} and {pair.second}" for pair in named)
        more = f" and {rest - len(named):,} more" if rest > len(named) else ""
        pairs = "1 pair of near-duplicates lies" if rest == 1 else f"{rest:,} pairs of near-duplicates lie"
        lines.append(f"{pairs} in one split, or in one that all share: {names}{more}")
    return lines


def _both(splits):
    order = (*SPLIT_NAMES, schema.ALL_SPLITS)
    return " and ".join(sorted(splits, key=order.index))


def _how(pair):
    return f" ({'mirrored, ' if pair.mirrored else ''}{pair.distance} of {BITS} bits differ)"
