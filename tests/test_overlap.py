"""Three stages at once: order, bounds, errors and stops of the stages, and the bytes of shards made that way."""

import signal
import threading
import time

import numpy as np
import pytest
from conftest import SAMPLES

from fgbg_depth.asset_tables import PlannedReader
from fgbg_depth.config import Recipe
from fgbg_depth.errors import DataError, DepthModelError
from fgbg_depth.overlap import AHEAD, in_turn, overlap
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.produce import Job, Made, ShardMaker, composites
from fgbg_depth.shards import read_footer
from fgbg_depth.studio import CutoutMaker, FittedCanvases, Studio

LIMIT_S = 20  # nothing here takes so long, unless it hangs
BOTH = pytest.mark.parametrize("stages", [overlap, in_turn])


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def wait_until(true):
    until = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.001)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_come_in_order(stages, count):
    assert stages((n for n in range(count)), lambda n: n * n, list) == [n * n for n in range(count)]


def test_the_work_is_done_in_the_callers_thread_and_the_rest_elsewhere():
    seen = {}

    def note(stage):
        seen[stage] = threading.current_thread()

    def source():
        note("source")
        yield 1

    def sink(items):
        note("sink")
        return list(items)

    overlap(source(), lambda _: note("work"), sink)
    assert seen["work"] is threading.current_thread()
    assert len(set(seen.values())) == 3


def test_all_three_stages_run_at_the_same_time():
    """Each waits for the two others: in turn that would never end."""
    meet = threading.Barrier(3, timeout=LIMIT_S)

    def source():
        for n in range(3):
            if n == 2:
                meet.wait()
            yield n

    def work(n):
        if n == 1:
            meet.wait()
        return n

    def sink(items):
        first = next(items)
        meet.wait()
        return [first, *items]

    assert overlap(source(), work, sink) == [0, 1, 2]


def test_the_source_runs_ahead_only_so_far():
    made = []

    def source():
        for n in range(20):
            made.append(n)
            yield n

    def work(n):
        if n == 0:
            wait_until(lambda: len(made) == AHEAD + 2)  # the item at work, those that wait, and one in the source's hand
            time.sleep(0.05)
            assert len(made) == AHEAD + 2
        return n

    assert overlap(source(), work, list) == list(range(20))


def test_a_sink_that_stands_still_holds_all_back():
    at_work = []

    def work(n):
        at_work.append(n)
        return n

    def sink(items):
        next(items)
        time.sleep(0.1)
        assert len(at_work) == AHEAD + 2  # that one, those that wait, and one that can't be handed on
        return sum(items)

    assert overlap((n for n in range(30)), work, sink) == sum(range(1, 30))


@BOTH
@pytest.mark.parametrize("where", ["source", "work", "sink"])
@pytest.mark.parametrize("kind", [DepthModelError, ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_arrives_as_it_is(stages, where, kind):
    closed, error = [], kind("thirteen")

    def fail(stage, n):
        if stage == where and n == 13:
            raise error

    def source():
        try:
            for n in range(100):
                fail("source", n)
                yield n
        finally:
            closed.append(True)

    def work(n):
        fail("work", n)
        return n

    def sink(items):
        for n in items:
            fail("sink", n)

    with pytest.raises(kind) as caught:
        stages(source(), work, sink)
    assert caught.value is error and closed == [True]


@pytest.mark.parametrize("later", ["source", "work"])
def test_the_error_of_the_earliest_item_is_the_one_that_counts(later):
    late = threading.Event()

    def source():
        for n in range(8):
            if later == "source" and n == 4:
                late.set()
                raise ValueError("later")
            yield n

    def work(n):
        if later == "work" and n == 4:
            late.set()
            raise ValueError("later")
        return n

    def sink(items):
        for n in items:
            if n == 2:
                assert late.wait(LIMIT_S)
                raise DataError("earlier")

    with pytest.raises(DataError, match=r"^earlier$"):
        overlap(source(), work, sink)


def test_good_items_before_an_error_reach_the_sink():
    seen = []

    def work(n):
        if n == 5:
            raise ValueError("five")
        return n

    with pytest.raises(ValueError, match="five"):
        overlap((n for n in range(9)), work, seen.extend)
    assert seen == [0, 1, 2, 3, 4]


def test_a_sink_that_has_enough_ends_the_work():
    assert overlap((n for n in range(10**9)), lambda n: n, lambda items: [next(items), next(items)]) == [0, 1]


@pytest.mark.parametrize("busy", ["work", "sink"])
def test_ctrl_c_ends_all_stages_at_once(busy):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are begun deaf to it
    main = threading.get_ident()
    sent = threading.Timer(0.15, signal.pthread_kill, (main, signal.SIGINT))

    def slow(stage):
        if stage == busy:
            time.sleep(0.02)

    def sink(items):
        for _ in items:
            slow("sink")

    began = time.monotonic()
    sent.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            overlap((n for n in range(10**4)), lambda n: slow("work"), sink)
        sent.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 2


# --- shards ---

RECIPE = Recipe(
    image_size=48, foreground_size=(20, 16), placements=1, depth_model="densedepth-mini", depth_input_size=(48, 48), hold_out="none",
    depth_batch=5, first_shard_rows=13, rows_per_shard=13, rows_per_group=6,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A function that makes the first three shards in a folder, and what it needs."""
    plain = RECIPE.replace(depth_model="none")
    prepared = prepare(tmp_path_factory.mktemp("no") / "set", plain, Options(SAMPLES / "bg", SAMPLES / "fg"))
    work, plan = prepared.work, prepared.plan
    readers = {kind: PlannedReader(work.entries[kind], work.newcomers[kind], plain) for kind in work.entries}
    canvases = FittedCanvases(plain, plan.backgrounds, readers["background"])
    studio = Studio(plain, canvases, CutoutMaker(plan.foregrounds, readers["foreground"]))

    def make(folder, predict, overlapped, recipe=RECIPE, one_by_one=False, **callbacks):
        job = Job(folder, recipe, "f" * 64, dict.fromkeys(work.lists, "e" * 64), {"numpy": np.__version__})
        maker, told, mine = ShardMaker(job, composites(job, plan, studio), predict, overlapped), [], plan.shards()[:3]
        if one_by_one:
            told = [maker(shard) for shard in mine]
        else:
            maker.make(mine, on_shard=lambda _, report: told.append(report), **callbacks)
        return told, {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}

    return make


def depth_of(images):
    return images.astype(np.float32).mean(axis=3) / 50 + 0.5


def test_shards_are_the_same_however_they_are_made(shards, tmp_path):
    seen = {}

    def predict_for(name):
        def predict(images):
            seen.setdefault(name, []).append(images.copy())
            return depth_of(images)

        return predict

    _, expected = shards(tmp_path / "in-turn", predict_for("in turn"), False)
    _, overlapped = shards(tmp_path / "overlapped", predict_for("overlapped"), True)
    _, one_by_one = shards(tmp_path / "single", predict_for("single"), True, one_by_one=True)
    assert len(expected) == 3 and overlapped == expected and one_by_one == expected
    assert [len(images) for images in seen["in turn"]] == [5, 5, 3] * 3  # no batch crosses a shard
    for name in ("overlapped", "single"):
        assert all(map(np.array_equal, seen[name], seen["in turn"])) and len(seen[name]) == 9


def test_progress_and_results_come_in_the_callers_thread(shards, tmp_path):
    threads, counts = set(), []

    def on_rows(count):
        threads.add(threading.get_ident())
        counts.append(count)

    told, _ = shards(tmp_path, depth_of, True, on_rows=on_rows)
    assert threads == {threading.get_ident()}
    assert counts == [6, 6, 1] * 3
    assert [report.rows for report in told] == [13] * 3 and all(report.left_out == () for report in told)


def test_the_time_of_the_network_is_told(shards, tmp_path):
    def slow(images):
        time.sleep(0.03)
        return depth_of(images)

    began = time.perf_counter()
    told, _ = shards(tmp_path, slow, True)
    took = time.perf_counter() - began
    made = Made.of(told)
    assert made.rows == 39
    assert 9 * 0.03 <= made.busy_s < made.wall_s <= took
    assert made.depth_busy == made.busy_s / made.wall_s
    assert Made().depth_busy is None


def test_without_a_network_nothing_is_busy(shards, tmp_path):
    before = threading.active_count()
    told, files = shards(tmp_path, None, True, RECIPE.replace(depth_model="none"), on_rows=lambda _: None)
    assert len(files) == 3 and Made.of(told).depth_busy is None
    assert threading.active_count() == before


@pytest.mark.parametrize("overlapped", [True, False])
def test_a_network_that_fails_leaves_finished_shards_and_no_other_file(shards, tmp_path, overlapped):
    calls = []

    def predict(images):
        calls.append(len(images))
        if len(calls) == 8:
            raise DepthModelError("no more")
        return depth_of(images)

    with pytest.raises(DepthModelError, match=r"^rows \S+ to \S+: no more Finished shards are kept\.$"):
        shards(tmp_path, predict, overlapped)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["b000-00000.parquet", "b000-00001.parquet"]
    assert read_footer(next(tmp_path.rglob("b000-00001.parquet"))).stop == 26
