"""Rows made anew, in several processes: those that were asked for, and whatever shows where a damaged file is damaged."""

import contextlib
import dataclasses
from dataclasses import dataclass, field

import numpy as np

from ..asset_tables import KINDS
from ..errors import DataError
from ..keyed import key64, permutation
from ..pool import run_pool
from ..shards import footer_of, open_table
from .basis import Basis
from .explain import explain, explain_metadata
from .findings import Findings
from .metadata_rows import metadata_footers
from .model import Predictor, find_estimator
from .rebuild import Maker, rebuild_rows

PROBES = 4  # rows made anew for each picture of a damaged asset table, to see which one changed


@dataclass(frozen=True)
class RebuildItem:
    """Work on one file.

    Attributes:
        name: a data file, or a metadata table.
        numbers: rows to make anew and compare.
        explain: look for the damage in the whole file.
        known: Findings about it so far, if it is damaged.
        cost: rows that will be made.
    """

    name: str
    numbers: tuple
    explain: bool
    known: tuple
    cost: int

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class Made:
    """What came of an item: Findings, number of rows whose depth was predicted, and {row: True when the row made anew agrees}."""

    findings: tuple
    predicted: int = 0
    agrees: dict = field(default_factory=dict)


@dataclass(frozen=True)
class RebuildTask:
    """Makes rows of data files anew and compares them."""

    basis: Basis
    estimator: dict | None

    def open(self):
        self_made = Maker(self.basis), Predictor(self.estimator)
        shards, footers = self.basis.shards(), metadata_footers(self.basis)

        def work(item, say):
            found = Findings()
            found.extend(item.known)
            if item.name in footers:
                explain_metadata(self.basis, item.name, footers[item.name], found)
                made = Made(())
            else:
                made = self._rows(item, shards[item.name], *self_made, found)
            say(item.cost)
            return dataclasses.replace(made, findings=tuple(f for f in found.listed() if f not in item.known))

        return work

    def _rows(self, item, shard, maker, predictor, found):
        made = Made(())
        if item.numbers:
            # A file that can't be opened was found before.
            with contextlib.suppress(DataError), open_table(self.basis.folder / item.name) as table:
                versions = footer_of(table, item.name).versions
                agrees, predicted = rebuild_rows(self.basis, maker, predictor, shard, item.numbers, table, versions, found)
                made = Made((), predicted, agrees)
        if item.explain:
            explain(self.basis, maker, predictor, shard, found)
        return made


def choose_rows(plan, count, seed, lacking=None):
    """{data file: row numbers} of `count` distinct rows of a plan, chosen by a seed; all of them when there are fewer.

    `lacking` is as in Basis: files may hold fewer rows than planned.
    """
    shards = plan.shards()
    borders = np.cumsum([0, *(len(shard) - len((lacking or {}).get(shard.name, ())) for shard in shards)])
    index = permutation(int(borders[-1]), key64("verify", seed))[:count]
    chosen = {}
    for i in np.sort(index).tolist():
        at = int(np.searchsorted(borders, i, side="right")) - 1
        chosen.setdefault(shards[at].name, []).append(i - int(borders[at]))
    return chosen


def rows_to_make(basis, facts, damaged, rebuild, seed, found):
    """What has to be made anew.

    Args:
        basis: Basis with a plan.
        facts: rows.ShardFacts of all data files.
        damaged: names of the asset and metadata tables whose hash isn't the manifest's.
        rebuild, seed: rows asked for, and what chooses them.
        found: Findings so far.

    Returns:
        list of RebuildItem.
    """
    if basis.recipe.imported:  # nobody knows how its rows were composited; its metadata tables can be written anew
        tables = sorted(damaged & set(metadata_footers(basis)))
        return [RebuildItem(name, (), True, tuple(f for f in found.listed() if f.file == name), 0) for name in tables]
    chosen = {name: set(numbers) for name, numbers in choose_rows(basis.plan, rebuild, seed, basis.lacking).items()}
    for name, number in _probes(basis, damaged):
        chosen.setdefault(name, set()).add(number)
    items, shards = [], basis.shards()
    for fact in facts:
        unclear, numbers = fact.hash_good is False or bool(fact.suspects), tuple(sorted(chosen.get(fact.name, ())))
        if fact.name in shards and (unclear or numbers):
            known = tuple(fact.findings) if unclear else ()
            items.append(RebuildItem(fact.name, numbers, unclear, known, len(numbers) + (fact.rows if unclear else 0)))
    for name in sorted(damaged & set(metadata_footers(basis))):
        items.append(RebuildItem(name, (), True, tuple(f for f in found.listed() if f.file == name), 0))
    return items


def _probes(basis, damaged):
    """(data file, row) of some rows of each asset in damaged tables."""
    positions = {(k, e.plan.id): i for k in KINDS for i, e in enumerate(basis.entries[k]) if f"{k}s/{e.table.name}" in damaged}
    for (kind, _), position in positions.items():
        wanted = PROBES
        for shard in basis.plan.shards():
            rows = basis.plan.rows[shard.batch, shard.split]
            users = np.flatnonzero(getattr(rows, kind)[basis.held(shard)] == position)[:wanted]
            yield from ((shard.name, int(row)) for row in users)
            wanted -= len(users)
            if wanted == 0:
                break


def make_anew(basis, items, choice, asked, workers, progress, found, notes):
    """Make rows anew and compare them.

    Args:
        basis: Basis with a plan.
        items: list of RebuildItem.
        choice: model.ModelChoice.
        asked: True when the user asked for rows, and has to hear that their depth can't be had.
        workers: processes.
        progress: progress.Quiet or a subclass.
        found: Findings.
        notes: list that receives words for the user.

    Returns:
        (rows compared, rows whose depth was predicted, verdicts): the last a list of (data file, row, True when it
        agrees), of files that aren't damaged themselves.
    """
    if not items:
        return 0, 0, []
    estimator, reason = find_estimator(basis, choice)
    if asked and estimator is None and basis.recipe.has_depth:
        notes.append(f"depth was not predicted anew: {reason}")
    counts, verdicts, done = [0, 0], [], [0]
    with progress.task("make rows anew", sum(item.cost for item in items), unit="rows") as bar:

        def on_rows(count):
            done[0] += count
            bar.update(done[0])

        def on_result(item, made):
            found.extend(made.findings)
            counts[0], counts[1] = counts[0] + len(made.agrees), counts[1] + made.predicted
            if not item.explain:
                verdicts.extend((item.name, number, good) for number, good in made.agrees.items())

        run_pool(RebuildTask(basis, estimator), items, workers, on_result, on_rows)
    return *counts, verdicts
