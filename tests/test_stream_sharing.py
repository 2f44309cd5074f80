"""A stream dealt out to nodes and workers, and what is read ahead."""

import pickle
import threading

import numpy as np
import pytest
from datasets.distributed import split_dataset_by_node
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import NUM_ROWS, keys, noise_set, open_keys, stored_rows
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from fgbg_depth import stream
from fgbg_depth.errors import DataError
from fgbg_depth.streaming import ahead
from fgbg_depth.streaming.catalog import Catalog, File, cut_into_units
from fgbg_depth.streaming.rows import UnitRows

SEEDS = pytest.mark.parametrize("seed", [None, 7], ids=["in order", "shuffled"])


# Nodes and workers.


class OnlyUnits:
    """In place of Tables, where nothing is read."""

    revision, name = None, "nothing"


def units_of(rows_of_files, unit_rows):
    tables = tuple(File(f"{n}.parquet", 1, rows, f"{n:064x}") for n, rows in enumerate(rows_of_files))
    catalog = Catalog(OnlyUnits(), "default", "train", tables, cut_into_units(rows_of_files, unit_rows))
    return UnitRows(None, catalog, ["key"], 1)


def rows_in(part):
    return [(file, row) for file, start, stop in part.units.tolist() for row in range(start, stop)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 50), max_size=12),
    st.integers(1, 20),
    st.integers(1, 12),
    st.integers(1, 5),
    st.booleans(),
    st.none() | st.integers(0, 9),
)
def test_every_row_is_dealt_once_and_fairly(rows_of_files, unit_rows, nodes, workers, contiguous, seed):
    whole = units_of(rows_of_files, unit_rows)
    if seed is not None:
        whole = whole.shuffle_data_sources(np.random.default_rng(seed))
    shares = []
    for node in range(nodes):
        part = whole.shard_data_sources(nodes, node, contiguous)
        shares.append(len(part.units))
        # As `datasets` does it: a worker without an index of its own reads nothing.
        for worker in range(workers):
            if not part.split_shard_indices_by_worker(workers, worker, contiguous=False):
                assert rows_in(part.shard_data_sources(workers, worker, contiguous=False)) == []
    dealt = [
        row
        for node in range(nodes)
        for worker in range(workers)
        for row in rows_in(whole.shard_data_sources(nodes, node, contiguous).shard_data_sources(workers, worker, contiguous=False))
    ]
    assert sorted(dealt) == [(file, row) for file, rows in enumerate(rows_of_files) for row in range(rows)]
    if nodes <= whole.num_shards:
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 2), (5, 4), (13, 12), (50, 48), (3241, 2880), (6720, 6720)])
def test_the_number_of_shards_can_be_divided(count, expected):
    assert units_of([count], 1).num_shards == expected


@SEEDS
@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
@pytest.mark.parametrize("workers", [0, 2])
def test_nodes_and_workers_together_read_every_row_once(nodes, workers, seed, all_keys):
    found = []
    for rank in range(nodes):
        data = split_dataset_by_node(open_keys(seed), rank=rank, world_size=nodes)
        found += [key for batch in DataLoader(data, batch_size=16, num_workers=workers) for key in batch["key"]]
    assert sorted(found) == all_keys


def test_more_workers_than_units_read_every_row_once():
    data = stream(noise_set(), "validation", columns=["key"])
    found = [row["key"] for row in DataLoader(data, batch_size=None, num_workers=2)]
    assert found == keys(stored_rows(noise_set(), "validation", ["key"]))


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")  # torchdata 0.11 calls it; torch 2.13 warns
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes:UserWarning")  # the machine may have fewer cores
@SEEDS
@pytest.mark.parametrize(("nodes", "workers"), [(1, 0), (1, 2), (1, 3), (2, 2), (5, 2)])
def test_a_stateful_loader_goes_on_exactly(nodes, workers, seed, all_keys):
    def loader(rank):
        data = split_dataset_by_node(open_keys(seed), rank=rank, world_size=nodes)
        data.set_epoch(1)
        return StatefulDataLoader(data, batch_size=10, num_workers=workers)

    everything = []
    for rank in range(nodes):
        first, whole, states = loader(rank), [], []
        for batch in first:
            whole.append(batch["key"])
            states.append(first.state_dict())
        everything += [key for batch in whole for key in batch]
        for cut in {1, len(states) // 2, len(states) - 1} - {0}:
            again = loader(rank)
            again.load_state_dict(states[cut - 1])
            assert [batch["key"] for batch in again] == whole[cut:], (rank, cut)
    assert sorted(everything) == all_keys


def test_workers_that_stay_follow_the_epoch(all_keys):
    data = open_keys(5)
    loader = DataLoader(data, batch_size=16, num_workers=2, persistent_workers=True)
    orders = []
    for epoch in range(3):
        data.set_epoch(epoch)
        orders.append([key for batch in loader for key in batch["key"]])
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == all_keys for order in orders)


def test_a_stream_can_be_pickled(all_keys):
    data = open_keys()
    assert keys(pickle.loads(pickle.dumps(data))) == all_keys
    rows = iter(data)
    next(rows)
    assert keys(pickle.loads(pickle.dumps(data))) == all_keys


# Reading ahead.


def ahead_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fgbg_depth-ahead")]


def test_threads_are_bounded_however_many_streams_are_open(all_keys):
    streams = [iter(open_keys(seed)) for seed in range(12)]
    for _ in range(NUM_ROWS):
        found = [next(rows)["key"] for rows in streams]
        assert len(set(found)) >= 1
    assert 1 <= len(ahead_threads()) <= ahead.MAX_THREADS


def test_two_passes_of_one_stream_at_once_are_independent(all_keys):
    data = open_keys()
    assert [(a["key"], b["key"]) for a, b in zip(data, data, strict=True)] == list(zip(all_keys, all_keys, strict=True))


class Source:
    """Jobs that tell when they are loaded."""

    def __init__(self, fail_at=None):
        self.loaded, self.fail_at, self.lock = [], fail_at, threading.Lock()

    def load(self, job, halt):
        with self.lock:
            self.loaded.append(job)
        if job == self.fail_at:
            raise DataError(f"job {job}")
        return job * 10


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(ahead, "AHEAD_BYTES", 50)
    source = Source()
    with ahead.ReadAhead(list(range(100)), source.load, lambda job: 10) as reader:
        assert reader.take(0) == 0
        assert source.loaded == [0]  # nothing is read ahead yet
        reader.begin()
        for number in range(1, 100):
            assert reader.take(number) == number * 10
            assert max(source.loaded) <= number + 5
    assert sorted(source.loaded) == list(range(100))


def test_an_error_comes_in_its_turn():
    source = Source(fail_at=5)
    with ahead.ReadAhead(list(range(10)), source.load, lambda job: 1) as reader:
        reader.begin()
        assert [reader.take(n) for n in range(5)] == [0, 10, 20, 30, 40]
        with pytest.raises(DataError, match="job 5"):
            reader.take(5)


def test_preparation_comes_before(monkeypatch):
    monkeypatch.setattr(ahead, "AHEAD_BYTES", 10)
    order, lock = [], threading.Lock()

    def note(kind):
        def function(job, halt):
            with lock:
                order.append((kind, job))

        return function

    with ahead.ReadAhead(list(range(20)), note("load"), lambda job: 10, note("prepare")) as reader:
        reader.begin()
        for number in range(20):
            reader.take(number)
    assert {job for kind, job in order if kind == "prepare"} == set(range(20))
    late = [job for job in range(ahead.MAX_THREADS + 1, 20) if order.index(("prepare", job)) > order.index(("load", job - 1))]
    assert late == []
