"""Batches of rows on disk and of streams: every row once, and exact resume, pixels included."""

import itertools
import zlib

import pytest
import small_sets
import streams
import torch
from torch.utils.data import DataLoader

from fgbg_depth import stream
from fgbg_depth.errors import UsageError
from fgbg_depth.training import Collate, Decode, JointTransform, Loader, open_rows

BATCH = 5
NUM_ROWS = len(small_sets.planned_keys("plain")["train"])
BATCHES = -(-NUM_ROWS // BATCH)


def small_set():
    return small_sets.small_set("plain")


def collate():
    return Collate(JointTransform(24, "resized", scale=(0.3, 1.0), seed=2))


def open_loader(streaming, num_workers=0, seed=3, **words):
    rows = open_rows(small_set(), streaming=streaming, **({"shuffle_seed": seed} if streaming else {}))
    return Loader(rows, BATCH, collate=collate(), num_workers=num_workers, seed=seed, **words)


def digest(batch):
    """A batch as something to compare: its keys and a checksum of its pixels."""
    return tuple(batch["key"]), zlib.crc32(batch["image"].contiguous().numpy().tobytes() + batch["mask"].numpy().tobytes())


@pytest.fixture(scope="module")
def undisturbed(caches):
    """{(streaming, workers): digests of all batches of two epochs}."""
    found = {}
    for streaming, num_workers in ((False, 0), (True, 0), (True, 2)):
        loader = open_loader(streaming, num_workers)
        found[streaming, num_workers] = [[digest(batch) for batch in loader] for _ in range(2)]
    found[False, 2] = found[False, 0]  # rows on disk come the same with any number of workers
    return found


@pytest.mark.parametrize("way", [(False, 0), (True, 0), (True, 2)])
def test_every_row_comes_once_in_each_epoch(undisturbed, way):
    first, second = ([key for keys, _ in epoch for key in keys] for epoch in undisturbed[way])
    wanted = sorted(row["key"] for row in streams.stored_rows(small_set(), columns=["key"]))
    assert sorted(first) == sorted(second) == wanted
    assert first != second and first != wanted
    assert [checksum for _, checksum in undisturbed[way][0]] != [checksum for _, checksum in undisturbed[way][1]]


@pytest.mark.parametrize("way", [(False, 0), (False, 2), (True, 0), (True, 2)])
@pytest.mark.parametrize("stop", [0, 3, BATCHES + 2])
def test_a_resume_goes_on_with_the_very_next_batch(undisturbed, way, stop):
    wanted = list(itertools.chain(*undisturbed[way]))
    loader, seen = open_loader(*way), []
    while len(seen) < stop:
        for batch in loader:
            seen.append(digest(batch))
            if len(seen) == stop:
                state = loader.state_dict()
                break
    if not stop:
        state = loader.state_dict()
    assert seen == wanted[:stop] and state["epoch"] == stop // BATCHES

    again = open_loader(*way)
    again.load_state_dict(state)
    while again.epoch < 2:
        seen += [digest(batch) for batch in again]
    assert seen == wanted


def test_a_state_at_the_end_of_an_epoch_begins_the_next_one(undisturbed):
    for way in ((False, 0), (True, 0)):
        loader = open_loader(*way)
        assert len(list(loader)) == BATCHES
        again = open_loader(*way)
        again.load_state_dict(loader.state_dict())
        assert (again.epoch, again.batch) == (1, 0)
        assert [digest(batch) for batch in again] == undisturbed[way][1]


@pytest.mark.parametrize("way", [(False, 0), (True, 0), (True, 2)])
@pytest.mark.parametrize("is_new", [False, True])
def test_many_stops_lose_nothing(undisturbed, way, is_new):
    """One batch at a time, by a `break` of the same loader or by a new one: not every worker gives a batch between two stops."""
    loader, seen = open_loader(*way), []
    for count in (1, 1, 1, 2):
        seen += [digest(batch) for batch in itertools.islice(loader, count)]
        if is_new:
            state, loader = loader.state_dict(), open_loader(*way)
            loader.load_state_dict(state)
    assert (loader.epoch, loader.batch) == (0, 5)
    assert seen + [digest(batch) for batch in loader] == undisturbed[way][0]
    assert (loader.epoch, loader.batch) == (1, 0)


def test_a_state_can_be_saved_again_before_anything_was_read(undisturbed):
    loader = open_loader(True)
    batches = iter(loader)
    next(batches)
    again = open_loader(True)
    again.load_state_dict(loader.state_dict())
    third = open_loader(True)
    third.load_state_dict(again.state_dict())
    assert digest(next(iter(third))) == undisturbed[True, 0][0][1]


def test_rows_on_disk_go_on_with_another_number_of_workers(undisturbed):
    loader = open_loader(False, 2)
    batches = iter(loader)
    seen = [digest(next(batches)) for _ in range(4)]
    again = open_loader(False, 0)
    again.load_state_dict(loader.state_dict())
    assert seen + [digest(batch) for batch in again] == undisturbed[False, 0][0]


def test_state_dict_of_a_mapped_stream_is_exact_without_a_loader(undisturbed):
    transform = JointTransform(24, "resized", scale=(0.3, 1.0), seed=2)

    def rows():
        return stream(small_set(), columns=["key", "image", "mask"], shuffle_seed=3).map(Decode(transform))

    def look(row):
        return row["key"], zlib.crc32(row["image"].contiguous().numpy().tobytes())

    whole = [look(row) for row in rows()]
    first = rows()
    seen = [look(row) for row in itertools.islice(first, 17)]
    rest = rows()
    rest.load_state_dict(first.state_dict())
    assert seen + [look(row) for row in rest] == whole
    assert [key for key, _ in whole] == [key for keys, _ in undisturbed[True, 0][0] for key in keys]


def test_a_state_of_other_batches_is_refused():
    state = open_loader(False).state_dict()
    for other, message in (
        (open_loader(False, seed=4), "saved with seed 3, here it is 4"),
        (open_loader(False, shuffle=False), "shuffle True"),
        (open_loader(False, drop_last=True), "drop_last"),
        (open_loader(False, node=(1, 2)), "node"),
    ):
        with pytest.raises(UsageError, match=message):
            other.load_state_dict(state)
    with pytest.raises(UsageError, match="num_workers 0, here it is 2"):
        open_loader(True, 2).load_state_dict(open_loader(True, 0).state_dict())


def test_order_seed_and_drop_last():
    def keys(**words):
        return [list(batch["key"]) for batch in open_loader(False, **words)]

    plain = [row["key"] for row in streams.stored_rows(small_set(), columns=["key"])]
    assert list(itertools.chain(*keys(shuffle=False))) == plain
    assert keys(seed=5) != keys(seed=6)
    dropped = keys(drop_last=True)
    assert [len(batch) for batch in dropped] == [BATCH] * (NUM_ROWS // BATCH) == [BATCH] * len(open_loader(False, drop_last=True))
    assert len(open_loader(False)) == BATCHES


def test_nodes_share_the_rows_in_equal_parts():
    parts = [[key for batch in open_loader(False, node=(rank, 3)) for key in batch["key"]] for rank in range(3)]
    share = NUM_ROWS // 3
    assert [len(part) for part in parts] == [share] * 3
    assert len(set(itertools.chain(*parts))) == share * 3 >= NUM_ROWS - 2
    assert {len(open_loader(False, node=(rank, 3))) for rank in range(3)} == {-(-share // BATCH)}


def test_what_makes_no_sense_is_refused():
    rows = open_rows(small_set(), streaming=True)
    for words, message in (({"shuffle": True}, "where it is opened"), ({"node": (0, 2)}, "split_dataset_by_node")):
        with pytest.raises(UsageError, match=message):
            Loader(rows, **words)
    with pytest.raises(UsageError, match="0 <= rank < nodes"):
        open_loader(False, node=(2, 2))
    with pytest.raises(TypeError, match="can't be counted"):
        len(Loader(rows))


def test_the_trainers_own_chance_is_left_alone():
    torch.manual_seed(1)
    list(open_loader(False))
    list(open_loader(True))
    found = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(found, torch.rand(1))


def test_torchs_own_loader_takes_rows_and_collate(caches):
    folder = small_sets.small_set("metric16")
    for streaming in (False, True):
        loader = DataLoader(open_rows(folder, streaming=streaming), 3, collate_fn=Collate(), num_workers=1)
        batches = list(loader)
        assert sum(len(batch["key"]) for batch in batches) == len(streams.stored_rows(folder))
        assert batches[0]["depth"].dtype == torch.uint16 and batches[0]["image"].is_shared()
