"""`fgbg_depth.stream` over a folder: the rows, their order, and that a state names the very next row."""

import itertools
import json
import pickle
import threading

import numpy as np
import pytest
import torch
from datasets import Features, Image, load_dataset
from datasets.distributed import split_dataset_by_node
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import NAMES, has_depth, planned_keys, small_set
from streams import GROUP_ROWS, TRAIN_ROWS, digest, keys, make_noise_set, noise_set, stored_rows
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from fgbg_depth import schema, stream
from fgbg_depth.errors import DataError, UsageError
from fgbg_depth.streaming import ahead
from fgbg_depth.streaming.catalog import Catalog, File, cut_into_units
from fgbg_depth.streaming.rows import UnitRows

NUM_ROWS = sum(TRAIN_ROWS)
EVERY_TABLE = [(name, config) for name in NAMES for config in schema.CONFIGS]
SEEDS = pytest.mark.parametrize("seed", [None, 7], ids=["in order", "shuffled"])


@pytest.fixture(scope="module")
def all_keys():
    return keys(stored_rows(noise_set(), columns=["key"]))


@pytest.fixture
def noise_copy(tmp_path):
    return make_noise_set(tmp_path / "noise")


def open_keys(seed=None, epoch=0, folder=None):
    data = stream(folder or noise_set(), columns=["key"], shuffle_seed=seed)
    data.set_epoch(epoch)
    return data


# What comes.


@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_every_table_comes_as_plain_load_dataset_gives_it(name, config):
    folder, columns = str(small_set(name)), schema.config_columns(config, has_depth(name))
    for split, plain in load_dataset(folder, config, streaming=True).items():
        ours = stream(folder, split, config=config)
        assert ours.features == plain.features == Features.from_dict(schema.features(columns))
        assert list(ours.features) == list(plain.features)
        assert [digest(row) for row in ours] == [digest(row) for row in plain]
        assert {s: i.num_examples for s, i in ours.info.splits.items()} == {s: i.num_examples for s, i in plain.info.splits.items()}
        assert (ours.split, ours.info.dataset_name, ours.info.config_name) == (split, name, config)


def test_the_order_is_that_of_the_plan():
    for split, expected in planned_keys("plain").items():
        assert keys(stream(small_set("plain"), split)) == keys(stream(small_set("plain"), split, config="metadata")) == expected


def test_some_columns():
    data = stream(noise_set(), columns=["mask", "key"])
    assert list(data.features) == ["key", "mask"]
    expected = stored_rows(noise_set(), columns=["key", "mask"])
    assert [digest(row) for row in data] == [digest(row) for row in expected]


def test_pictures_that_are_not_decoded():
    data = stream(noise_set(), columns=["image"]).cast_column("image", Image(decode=False))
    assert list(data) == stored_rows(noise_set(), columns=["image"])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_formats_are_those_of_plain_datasets(kind):
    folder = str(small_set("metric16"))
    plain = load_dataset(folder, split="train", streaming=True).with_format(kind)
    count = 0
    for ours, theirs in zip(stream(folder).with_format(kind), plain, strict=True):
        count += 1
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value)
            if kind == "torch" or name in ("image", "mask", "depth"):  # numpy's own formatter widens single numbers of rows
                assert getattr(ours[name], "dtype", type(ours[name])) == getattr(value, "dtype", type(value))
    assert count == len(planned_keys("metric16")["train"])
    if kind == "torch":
        assert ours["depth"].dtype == torch.uint16


def test_map_filter_take_skip_and_batch(all_keys):
    data = stream(noise_set(), columns=["key", "placement"])
    assert keys(data.filter(lambda row: row["placement"] == 1)) == all_keys[1::3]
    assert keys(data.map(lambda row: {"key": row["key"].upper()}).take(3)) == [key.upper() for key in all_keys[:3]]
    assert keys(data.skip(170)) == all_keys[170:]
    assert [batch["key"] for batch in data.batch(100)] == [all_keys[:100], all_keys[100:]]
    assert [batch["key"] for batch in data.iter(100)] == [all_keys[:100], all_keys[100:]]
    assert [table.num_rows for table in data.with_format("arrow").iter(100)] == [100, 74]
    shuffled = keys(data.shuffle(seed=1, buffer_size=30))
    assert shuffled != all_keys and sorted(shuffled) == all_keys


def test_a_repo_is_a_folder_or_an_id(tmp_path):
    for wrong in ("nonsense", tmp_path / "nothing" / "here", "a/b/c", "./x", "../x"):
        with pytest.raises(UsageError, match="neither a folder nor a repo id"):
            stream(wrong)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"split": "tset"}, "no split 'tset'; it has train, validation"),
        ({"config": "depth"}, "expected one of default, metadata"),
        ({"config": "backgrounds"}, "no split 'train'; it has none"),
        ({"columns": ["key", "depth"]}, "no column 'depth'; it has key, background"),
        ({"columns": []}, "columns is empty"),
        ({"columns": "key"}, r"expected a list such as \['key'\]"),
        ({"revision": "v1.0.0"}, "is a folder; a revision"),
        ({"shuffle_seed": -1}, "shuffle_seed is -1"),
        ({"shuffle_seed": 0.5}, "shuffle_seed is 0.5"),
    ],
)
def test_wrong_use_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        stream(noise_set(), **words)


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        stream(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="can't be read"):
        stream(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99, "files": {}}')
    with pytest.raises(DataError, match="expected a manifest of format 1"):
        stream(tmp_path)


# Order.


def test_a_seed_gives_each_epoch_an_order_of_its_own(all_keys):
    orders = {(seed, epoch): keys(open_keys(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len({tuple(order) for order in orders.values()}) == len(orders)
    for (seed, epoch), order in orders.items():
        assert sorted(order) == all_keys
        assert order == keys(open_keys(seed, epoch))
    assert keys(open_keys()) == all_keys


def test_row_groups_are_shuffled_and_their_rows_stay_together(all_keys):
    place = {key: number for number, key in enumerate(all_keys)}
    order = [place[key] for key in keys(open_keys(7))]
    joints = sum(b != a + 1 for a, b in itertools.pairwise(order))
    num_groups = sum(-(-rows // GROUP_ROWS) for rows in TRAIN_ROWS)
    assert num_groups / 2 < joints < num_groups


# States.


@SEEDS
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_state_names_the_next_row_wherever_it_is_taken(seed, epoch, all_keys):
    data = open_keys(seed, epoch)
    whole, states = [], [data.state_dict()]
    for row in data:
        whole.append(row["key"])
        states.append(data.state_dict())
    assert sorted(whole) == all_keys
    for cut, state in enumerate(states):
        again = open_keys(seed, epoch)
        again.load_state_dict(state)
        assert keys(again) == whole[cut:]


@SEEDS
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.map(lambda row: {"n": len(row["key"])}),
        lambda data: data.filter(lambda row: not row["key"].endswith("3")),
        lambda data: data.take(101),
        lambda data: data.skip(33),
        lambda data: data.with_format("numpy"),
        lambda data: split_dataset_by_node(data, rank=1, world_size=3),
        lambda data: split_dataset_by_node(data, rank=1, world_size=5),
        lambda data: data.shard(num_shards=4, index=2),
    ],
    ids=["map", "filter", "take", "skip", "format", "nodes", "nodes that don't divide", "shard"],
)
def test_states_hold_behind_other_steps(seed, change):
    whole = keys(change(open_keys(seed)))
    for cut in {0, 1, 7, 19, 20, 21, len(whole) // 2, len(whole) - 1, len(whole)}:
        data = change(open_keys(seed))
        rows = iter(data)
        before = [next(rows)["key"] for _ in range(min(cut, len(whole)))]
        state = data.state_dict()
        rows.close()
        again = change(open_keys(seed))
        again.load_state_dict(state)
        assert before + keys(again) == whole, cut


def test_a_state_goes_through_json_and_pickle(all_keys):
    data = open_keys(3)
    rows = iter(data)
    before = [next(rows)["key"] for _ in range(50)]
    for state in (json.loads(json.dumps(data.state_dict())), pickle.loads(pickle.dumps(data.state_dict()))):
        again = open_keys(3)
        again.load_state_dict(state)
        assert sorted(before + keys(again)) == all_keys


def test_a_state_of_other_rows_is_refused(tmp_path):
    data = open_keys(3)
    rows = iter(data)
    next(rows)
    state = data.state_dict()
    other = make_noise_set(tmp_path / "other", seed=1)
    wrong = [open_keys(4), open_keys(None), open_keys(3, folder=other), stream(noise_set(), "validation", shuffle_seed=3)]
    wrong.append(split_dataset_by_node(open_keys(3), rank=0, world_size=2))
    for data in wrong:
        data.load_state_dict(state)
        with pytest.raises(UsageError, match=r"another sequence of rows.*Open the stream as it was then"):
            next(iter(data))
    right = open_keys(3, folder=make_noise_set(tmp_path / "same"))  # the same content elsewhere
    right.load_state_dict(state)
    assert len(keys(right)) == NUM_ROWS - 1


def test_columns_may_change_between_state_and_resume(all_keys):
    data = open_keys()
    rows = iter(data)
    [next(rows) for _ in range(25)]
    again = stream(noise_set(), columns=["key", "image"])
    again.load_state_dict(data.state_dict())
    assert keys(again) == all_keys[25:]


@pytest.mark.parametrize("recipe_rows", [7, 13, 50, 1000])
def test_units_that_are_no_row_groups_give_the_same_rows(recipe_rows, tmp_path, all_keys):
    folder = make_noise_set(tmp_path / "set", recipe_rows=recipe_rows)
    data = stream(folder, columns=["key"])
    assert keys(data) == all_keys
    for cut in range(0, NUM_ROWS, 5):
        data = stream(folder, columns=["key"])
        rows = iter(data)
        [next(rows) for _ in range(cut)]
        again = stream(folder, columns=["key"])
        again.load_state_dict(data.state_dict())
        assert keys(again) == all_keys[cut:]
        rows.close()


@pytest.mark.parametrize("text", ["rows_per_group = 0\n", "rows_per_group = 'x'\n", "[[\n", ""])
def test_a_recipe_that_cannot_be_read_costs_no_rows(text, noise_copy, all_keys):
    from fgbg_depth.manifest import build_manifest, manifest_text

    (noise_copy / "recipe.toml").write_text(text)
    (noise_copy / "manifest.json").write_text(manifest_text(build_manifest(noise_copy, {})))
    assert keys(stream(noise_copy, columns=["key"])) == all_keys


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


# Damage.


def test_a_file_of_another_size_is_refused(noise_copy):
    path = noise_copy / "data" / "train" / "b000-00002.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    rows = iter(stream(noise_copy, columns=["key"]))
    assert len([next(rows) for _ in range(80)]) == 80
    with pytest.raises(DataError, match=r"b000-00002\.parquet has .* bytes, manifest\.json says .*fgbg-depth verify"):
        next(rows)


def test_a_missing_file_is_named(noise_copy):
    (noise_copy / "data" / "train" / "b000-00003.parquet").unlink()
    with pytest.raises(DataError, match=r"b000-00003\.parquet can't be read"):
        keys(stream(noise_copy, columns=["key"]))


def test_bytes_that_are_no_rows_are_refused(noise_copy):
    path = noise_copy / "data" / "train" / "b000-00001.parquet"
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"b000-00001\.parquet of .*can't be decoded"):
        keys(stream(noise_copy, columns=["key"]))


@pytest.mark.parametrize("where", ["end", "length", "footer"])
def test_a_broken_footer_is_refused(where, noise_copy):
    path = noise_copy / "data" / "train" / "b000-00001.parquet"
    data = bytearray(path.read_bytes())
    if where == "end":
        data[-4:] = b"ABCD"
    elif where == "length":
        data[-8:-4] = b"\xff\xff\xff\x7f"
    else:
        data[-200:-8] = b"\xff" * 192
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"b000-00001\.parquet of .*(no Parquet file|footer can't be read)"):
        keys(stream(noise_copy, columns=["key"]))


def test_a_count_that_differs_from_the_manifest_is_refused(noise_copy):
    text = (noise_copy / "manifest.json").read_text()
    assert text.count('"rows": 34') == 1
    (noise_copy / "manifest.json").write_text(text.replace('"rows": 34', '"rows": 33'))
    with pytest.raises(DataError, match=r"b000-00003\.parquet of .* has 34 rows, manifest\.json says 33"):
        keys(stream(noise_copy, columns=["key"]))
