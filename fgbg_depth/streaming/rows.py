"""The rows of a split as `datasets` wants them: an examples iterable of our own below a plain `IterableDataset`.

`IterableDataset.from_generator` would hand a generator one shard at a time, so that nothing can be read ahead beyond it, and would
resume by throwing away what was read of it. Here the whole sequence of units is known: reading goes on across files, and a state
names the row to go on from, so that at most one row group is read again.
"""

import hashlib
from copy import copy, deepcopy

import numpy as np
from datasets.iterable_dataset import _BaseExamplesIterable

from ..errors import UsageError
from .ahead import ReadAhead
from .tables import HOLE_BYTES

FIRST_ROWS = 33  # reading ahead begins with this row, so that a first batch of 32 costs no more than its own row group
JOB_BYTES = 4 << 20  # neighbouring units are fetched together up to this size
SHARD_MULTIPLES = (6720, 960, 480, 240, 48, 24, 12, 6, 4, 2, 1)  # numbers that most counts of nodes divide


class UnitRows(_BaseExamplesIterable):
    """Rows of units, in their order.

    Args:
        tables: Tables of the files.
        catalog: Catalog.
        columns: names of the columns to read.
        row_bytes: what a row of them takes on average.
        units: (n, 3) as in Catalog, in the order of reading; None takes those of the catalog.
        is_part: these units are what one node or worker was dealt.
    """

    _sleep_on_threads_shutdown = False  # no thread of pyarrow is ever left behind

    def __init__(self, tables, catalog, columns, row_bytes, units=None, is_part=False):
        super().__init__()
        self.tables, self.catalog, self.columns, self.row_bytes = tables, catalog, tuple(columns), row_bytes
        self.units, self.is_part = catalog.units if units is None else units, is_part
        self.order = hashlib.sha256(catalog.digest().encode() + self.units.astype("<i8").tobytes()).hexdigest()[:32]

    def _init_state_dict(self):
        self._state_dict = {
            "shard_idx": 0,
            "shard_example_idx": 0,
            "order": self.order,
            "revision": self.catalog.files.revision,
            "type": type(self).__name__,
        }
        return self._state_dict

    def __iter__(self):
        state = self._state_dict or {"shard_idx": 0, "shard_example_idx": 0, "order": self.order}
        self._check(state)
        state["order"] = self.order  # from here on it is a state of this sequence
        todo = [(index, *unit) for index, unit in enumerate(self.units.tolist()) if index >= state["shard_idx"]]
        if todo and state["shard_example_idx"]:
            index, file, start, stop = todo[0]
            todo[0] = (index, file, start + state["shard_example_idx"], stop)
        todo = [unit for unit in todo if unit[2] < unit[3]]
        jobs = list(self._jobs(todo))
        given = 0
        with ReadAhead(jobs, self._load, self._cost, self._prepare) as ahead:
            for number, job in enumerate(jobs):
                loaded = ahead.take(number)
                for index, file, start, stop in job:
                    first = int(self.units[index][1])
                    for row, example in enumerate(loaded.rows(start, stop), start):
                        given += 1
                        if given == FIRST_ROWS:
                            ahead.begin()
                        state["shard_idx"], state["shard_example_idx"] = index, row - first + 1
                        yield f"{file}_{row}", example
            state["shard_idx"], state["shard_example_idx"] = len(self.units), 0

    def shuffle_data_sources(self, generator):
        """The same units in another order."""
        return self._with(self.units[deepcopy(generator).permutation(len(self.units))], self.is_part)

    def shard_data_sources(self, num_shards, index, contiguous=True):
        """The units of one of `num_shards` nodes or workers; their row counts differ by a unit at most."""
        parts = min(num_shards, self.num_shards)  # whoever comes after these is told that there is nothing left
        if index >= parts:
            return self._with(self.units[:0], True)
        if contiguous:
            return self._with(np.array_split(self.units, parts)[index], True)
        return self._with(self.units[index::parts], True)

    def reshard_data_sources(self):
        """Units can't be cut further."""
        return copy(self)

    @property
    def num_shards(self):
        """Number of units, rounded down so that it can be divided by most counts of nodes.

        `split_dataset_by_node` lets every node read everything, and throw most of it away, when the number can't be divided.
        """
        count = len(self.units)
        if self.is_part or count < 2:
            return count
        multiple = next(multiple for multiple in SHARD_MULTIPLES if multiple <= count)
        return count - count % multiple

    def _with(self, units, is_part):
        return type(self)(self.tables, self.catalog, self.columns, self.row_bytes, units, is_part)

    def _check(self, state):
        # A worker that hasn't begun tells the state of the whole, before it was dealt out; from the start any order is right.
        begun = state["shard_idx"] or state["shard_example_idx"]
        if begun and state["order"] != self.order:
            saved = f" of revision {state['revision']}" if state.get("revision") else ""
            raise UsageError(
                f"this state was saved from another sequence of rows{saved}; this stream is of {self.catalog.files.name}. Open the "
                f"stream as it was then: the same set, revision, config, split and shuffle_seed, set_epoch() before, and as many nodes "
                f"and workers"
            )

    def _jobs(self, units):
        """Lists of units that are fetched at once: the first ones alone, then neighbours together."""
        job, size, rows, rows_before = [], 0, 0, 0
        for unit in units:
            cost = self._cost([unit])
            is_next = job and job[-1][1] == unit[1] and job[-1][3] == unit[2] and not self._leaves_holes(unit)
            if job and (rows_before < FIRST_ROWS or not is_next or size + cost > JOB_BYTES):
                yield job
                job, size, rows_before = [], 0, rows
            job.append(unit)
            size += cost
            rows += unit[3] - unit[2]
        if job:
            yield job

    def _leaves_holes(self, unit):
        """True when the columns that aren't wanted part a unit from the next one, so that each takes a request of its own anyway."""
        _, file, start, stop = unit
        table = self.catalog.tables[file]
        return (stop - start) * (table.size / table.rows - self.row_bytes) > HOLE_BYTES

    def _load(self, job, halt):
        return self.tables.fetch(self.catalog.tables[job[0][1]], [unit[2:] for unit in job], self.columns, halt)

    def _prepare(self, job, halt):
        self.tables.footer(self.catalog.tables[job[0][1]], halt)

    def _cost(self, job):
        return sum(stop - start for *_, start, stop in job) * self.row_bytes
