"""Which rows a preview shows. Pure: names and numbers in, names and numbers out.

A set may have hundreds of thousands of rows, so few row groups are read. Rows lie in random order on disk, so any of them is a fair
sample of its batch and split; groups are drawn from all splits and batches, and rows out of them so that backgrounds, cut-outs and
flips repeat as little as they can.
"""

from collections import Counter
from dataclasses import dataclass

from ..keyed import key64

CANDIDATES_PER_ROW = 3  # rows that are looked at for one that is shown: enough to choose from, where groups are small
READ_BYTES = 24 << 20  # no further group is read beyond this: a quarter of a minute at 12 Mbit/s


@dataclass(frozen=True)
class Unit:
    """A run of rows of one file that is read together.

    Attributes:
        split: its split.
        batch: number of its batch, or any text that tells batches apart.
        path: of the file in the set.
        start, stop: rows of the file.
        num_bytes: what reading it costs, about.
    """

    split: str
    batch: str
    path: str
    start: int
    stop: int
    num_bytes: float


@dataclass(frozen=True)
class Candidate:
    """A row that could be shown: its columns, its Unit, and its number in the file."""

    split: str
    key: str
    background: str
    foreground: str
    flipped: bool
    unit: Unit
    row: int


def choose_units(units, num_rows, seed):
    """Draw the units that are read.

    Args:
        units: Units of the whole set.
        num_rows: rows that shall be shown.
        seed: any whole number.

    Returns:
        list of Unit: splits in turn, in each split its batches in turn. Every split that has rows has one. More are taken until
        there is enough to choose from, or reading them costs more than READ_BYTES.
    """
    ranked = sorted(units, key=lambda unit: (key64("preview unit", seed, unit.path, unit.start), unit.path, unit.start))
    queues = {}
    for unit in ranked:
        queues.setdefault(unit.split, {}).setdefault(unit.batch, []).append(unit)
    order = [_in_turn([batches[name] for name in sorted(batches)]) for _, batches in sorted(queues.items())]
    chosen, rows, num_bytes = [], 0, 0.0
    for unit in _in_turn(order):
        is_first = len(chosen) < len(order)  # the first of each split comes before the second of any
        if not is_first and (rows >= num_rows * CANDIDATES_PER_ROW or num_bytes + unit.num_bytes > READ_BYTES):
            break
        chosen.append(unit)
        rows += unit.stop - unit.start
        num_bytes += unit.num_bytes
    return chosen


def _in_turn(queues):
    """The items of some lists: the first of each, the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def choose_rows(candidates, num_rows, seed):
    """Choose rows: the same number from each split as far as it goes; the backgrounds, cut-outs and flips shown least come first.

    Args:
        candidates: Candidates.
        num_rows: how many.
        seed: any whole number; it decides among equals.

    Returns:
        list of Candidate, such that its first n are a fair choice of n.
    """
    waiting = {}
    for candidate in sorted(candidates, key=lambda c: (key64("preview row", seed, c.key), c.key)):
        waiting.setdefault(candidate.split, []).append(candidate)
    queues, used, chosen = [waiting[split] for split in sorted(waiting)], Counter(), []
    while len(chosen) < num_rows and any(queues):
        for queue in [queue for queue in queues if queue][: num_rows - len(chosen)]:
            best = min(queue, key=lambda c: _wear(used, c))  # of equals the first
            queue.remove(best)
            used.update(_traits(best))
            chosen.append(best)
    return chosen


def _traits(c):
    """What of a row counts as shown: on the whole, and in its split, so that each split shows its own assets alike."""
    return (
        ("b", c.background), ("f", c.foreground), ("b", c.split, c.background), ("f", c.split, c.foreground), ("flip", c.split, c.flipped),
    )  # fmt: skip


def _wear(used, candidate):
    background, foreground, split_background, split_foreground, flip = (used[trait] for trait in _traits(candidate))
    return split_background + split_foreground, background + foreground, flip
