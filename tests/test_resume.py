"""kill -9 at any moment, Ctrl-C, SIGTERM and a full disk: whole files only, and the same command finishes the set.

Everything here runs real processes. The finished folder has to be that of an undisturbed run, byte for byte.
"""

import os
import resource
import shutil
import signal
import time

import pytest
from kill_runs import choose_moments, kill_at, order_of_events, wait_for, wait_for_workers
from real_runs import (
    NUM_BACKGROUNDS,
    PLAIN,
    RECIPE,
    call_good,
    data_files,
    end_of,
    generate,
    identities,
    kill_group,
    run,
    start,
    temporary_files,
    tree,
)

LONG = (*PLAIN, "--placements", "12")
CLEAN_STOP_S = 15  # on an idle machine it takes less than one second


@pytest.fixture(scope="module")
def watched_set(pictures, tmp_path_factory):
    """An undisturbed set without depth, and the order in which its files came."""
    folder = tmp_path_factory.mktemp("plain") / "set"
    return folder, order_of_events(generate(pictures, folder, PLAIN, workers=1), folder)


@pytest.fixture(scope="module")
def long_set(pictures, tmp_path_factory):
    """An undisturbed set that takes longer: there is time to stop it, on a busy machine too."""
    folder = tmp_path_factory.mktemp("long") / "set"
    call_good(*generate(pictures, folder, LONG, workers=1))
    return folder


@pytest.fixture(scope="module")
def appended_set(watched_set, more_pictures, tmp_path_factory):
    """A copy of `watched_set` with an undisturbed second batch."""
    folder = tmp_path_factory.mktemp("appended") / "set"
    shutil.copytree(watched_set[0], folder)
    return folder, order_of_events((*generate(more_pictures, folder, PLAIN, workers=1), "--append"), folder)


@pytest.fixture(scope="module")
def depth_set(pictures, tiny_model, tmp_path_factory):
    """An undisturbed set with depth; its files have the names of `watched_set`, and come in the same order."""
    folder = tmp_path_factory.mktemp("depth") / "set"
    call_good(*generate(pictures, folder, (*RECIPE, "--depth-model", tiny_model), workers=1))
    return folder


# --- kill -9 ---


def one_worker(arguments):
    """The same command with one worker, in which there's no process to be started; it may go on with what several began."""
    place = arguments.index("--workers") + 1
    return (*arguments[:place], 1, *arguments[place + 1 :])


def killed_and_finished(arguments, folder, reference, order, count, seed, before=None):
    """Kill a run at `count` moments, each time going on where it was; then let one worker finish, and compare.

    Args:
        before: tree of the folder at the beginning of an append; its card, statistics and manifest may still be there.

    Returns:
        list of the events at which it was killed while the set was unfinished.
    """
    expected, hits, finished = tree(reference), [], {}
    for moment in choose_moments(order, count, seed):
        killed = kill_at(arguments, folder, order, moment)
        left = {name: sha256 for name, sha256 in tree(folder).items() if "/." not in f"/{name}"}
        for name, sha256 in left.items():
            assert sha256 in (expected.get(name), (before or {}).get(name)), f"{name} isn't whole after a kill at {killed.event}"
        if killed.event is not None and tree(folder) != expected:
            hits.append(killed.event)
        now = identities(folder)
        assert {name: now[name] for name in finished} == finished, "a finished file was written again"
        finished = now
    call_good(*one_worker(arguments))
    assert tree(folder) == expected
    now = identities(folder)
    assert {name: now[name] for name in finished} == finished, "a finished file was written again"
    return hits


def stage_of(event):
    """Which part of a run an event belongs to: before the rows, the rows, or what is made of them."""
    if event.startswith("data/"):
        return "data"
    return "start" if "grounds/b" in event or event.startswith(("canvases", ".fgbg-depth.lock")) else "finish"


# Together 20 moments. Now and then a run ends in the short time between an event and the kill.
PLAIN_KILLS, APPEND_KILLS, DEPTH_KILLS = 10, 8, 2
MISSED_AT_MOST = 2


def test_killed_runs_of_several_workers_end_with_the_same_bytes(pictures, watched_set, tmp_path):
    reference, order = watched_set
    hits = killed_and_finished(generate(pictures, tmp_path / "set", workers=2), tmp_path / "set", reference, order, PLAIN_KILLS, seed=1)
    assert len(hits) >= PLAIN_KILLS - MISSED_AT_MOST, hits
    assert set(map(stage_of, hits)) == {"start", "data", "finish"}, hits


def test_killed_appends_end_with_the_same_bytes(more_pictures, watched_set, appended_set, tmp_path):
    reference, order = appended_set
    folder = tmp_path / "set"
    shutil.copytree(watched_set[0], folder)
    before, shards = tree(folder), identities(folder)
    arguments = (*generate(more_pictures, folder, workers=2), "--append")
    hits = killed_and_finished(arguments, folder, reference, order, APPEND_KILLS, seed=2, before=before)
    assert len(hits) >= APPEND_KILLS - MISSED_AT_MOST, hits
    assert set(map(stage_of, hits)) == {"start", "data", "finish"}, hits
    assert shards.items() <= identities(folder).items()


def test_killed_runs_with_depth_end_with_the_same_bytes(pictures, tiny_model, watched_set, depth_set, tmp_path):
    # One worker: each process loads torch, which takes most of the time. (What several make with depth: `test_generate`.)
    arguments = generate(pictures, tmp_path / "set", (*RECIPE, "--depth-model", tiny_model))
    # The seed gives a moment among the shards, and one after them.
    hits = killed_and_finished(arguments, tmp_path / "set", depth_set, watched_set[1], DEPTH_KILLS, seed=48)
    assert len(hits) >= DEPTH_KILLS - 1, hits
    assert "data" in map(stage_of, hits), hits


# --- one worker killed, the parent killed ---


def is_clean(folder, reference):
    """Whole files of the reference only: no temporary one, no lock."""
    expected = tree(reference)
    assert temporary_files(folder) == []
    assert {name: sha256 for name, sha256 in tree(folder).items() if expected.get(name) != sha256} == {}
    return True


def started_at(arguments, folder, pattern, **options):
    """A run under way: a file like `pattern` is there."""
    process = start(arguments, **options)
    try:
        wait_for(process, folder, pattern)
    except BaseException:
        kill_group(process)
        process.communicate()
        raise
    return process


def test_a_killed_worker_is_named_and_finished_shards_stay(pictures, long_set, tmp_path):
    arguments = generate(pictures, tmp_path / "set", LONG, workers=2)
    process = started_at(arguments, tmp_path / "set", "data/*/[!.]*.parquet")
    os.kill(wait_for_workers(process, 2)[0], signal.SIGKILL)
    ended = end_of(process)
    assert ended.code == 1
    assert ended.err.startswith("fgbg-depth: a worker process ended by signal 9") and len(ended.err.splitlines()) == 1
    assert "run the same command again to go on" in ended.err
    assert is_clean(tmp_path / "set", long_set)
    finished = identities(tmp_path / "set", "data/*/*.parquet")
    assert 0 < len(finished) < len(data_files(long_set))
    call_good(*one_worker(arguments))
    assert tree(tmp_path / "set") == tree(long_set)
    assert finished.items() <= identities(tmp_path / "set").items()


def test_workers_end_when_their_parent_is_killed(pictures, long_set, tmp_path):
    arguments = generate(pictures, tmp_path / "set", LONG, workers=2)
    process = started_at(arguments, tmp_path / "set", "data/*/[!.]*.parquet")
    workers = wait_for_workers(process, 2)
    process.kill()  # the parent alone; its lock goes with it
    process.communicate()  # ends when the workers have closed the pipes that they inherited
    until = time.monotonic() + CLEAN_STOP_S
    while any(map(is_running, workers)):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.05)
    call_good(*one_worker(arguments))
    assert tree(tmp_path / "set") == tree(long_set)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- Ctrl-C and SIGTERM ---


@pytest.mark.parametrize(
    ("number", "to_all", "workers", "pattern"),
    [
        (signal.SIGINT, True, 2, "data/*/[!.]*.parquet"),  # Ctrl-C in a terminal reaches every process
        (signal.SIGINT, True, 2, ".canvases.*"),  # while workers start
        (signal.SIGINT, True, 1, "data/*/.*"),
        (signal.SIGTERM, False, 2, "data/*/.*"),  # `kill`
        (signal.SIGTERM, True, 2, "data/*/[!.]*.parquet"),  # `timeout`, or a machine that is shut down
        (signal.SIGINT, True, 2, "metadata/*/[!.]*.parquet"),  # all shards are there
    ],
)
def test_a_stopped_run_ends_cleanly_and_says_how_to_go_on(number, to_all, workers, pattern, pictures, long_set, tmp_path):
    arguments = generate(pictures, tmp_path / "set", LONG, workers=workers)
    process = started_at(arguments, tmp_path / "set", pattern)
    asked = time.monotonic()
    (os.killpg if to_all else os.kill)(process.pid, number)
    ended = end_of(process)
    assert time.monotonic() - asked < CLEAN_STOP_S
    assert ended.code == 130
    assert ended.err == "fgbg-depth: stopped. Finished shards are kept: run the same command again to go on where it stopped.\n"
    assert is_clean(tmp_path / "set", long_set)
    call_good(*one_worker(arguments))
    assert tree(tmp_path / "set") == tree(long_set)


def test_a_run_that_is_stopped_before_its_first_file_leaves_no_folder(pictures, tmp_path):
    process = started_at(generate(pictures, tmp_path / "new" / "set", workers=2), tmp_path, "new/set/.fgbg-depth.lock")
    os.killpg(process.pid, signal.SIGSTOP)  # looked at where it is: no table was begun
    begun = bool(list(tmp_path.glob("new/set/backgrounds/*")))
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGCONT)
    assert end_of(process).code == 130
    assert begun or list(tmp_path.iterdir()) == []


# --- full disk ---

# Shards that are larger than the scratch file of the backgrounds, which is written before them.
LARGE_SHARDS = (*PLAIN, "--image-size", "32", "--foreground-size", "14", "10", "--image-format", "png", "--rows-per-shard", "200")
CANVAS_BYTES = 32 * 32 * 3 * (4 + 1)  # float32 and uint8


@pytest.fixture(scope="module")
def large_shards(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("large") / "set"
    call_good(*generate(pictures, folder, LARGE_SHARDS, workers=1))
    return folder


def limited(limit_bytes):
    """For Popen: no file may grow beyond a size. The system then refuses writes as it does on a full disk (EFBIG)."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))}


def size_of(folder, pattern):
    return max(path.stat().st_size for path in folder.glob(pattern))


@pytest.mark.parametrize(("stage", "workers"), [("asset table", 1), ("scratch file", 1), ("shard", 1), ("shard", 2)])
def test_a_full_disk_gives_one_error_and_leaves_whole_files(stage, workers, pictures, large_shards, tmp_path):
    tables, scratch = size_of(large_shards, "*grounds/*.parquet"), NUM_BACKGROUNDS * CANVAS_BYTES
    shard = size_of(large_shards, "data/*/*.parquet")
    assert tables + 500 < scratch and scratch + 500 < shard
    limit = {"asset table": tables - 500, "scratch file": tables, "shard": scratch}[stage]
    arguments = generate(pictures, tmp_path / "set", LARGE_SHARDS, workers=workers)
    ended = run(*arguments, **limited(limit))
    assert ended.code == 1
    assert ended.err.startswith(f"fgbg-depth: {tmp_path}") and len(ended.err.splitlines()) == 1, ended.err
    assert "the file is larger than this file system allows" in ended.err and "run the same command again" in ended.err
    assert is_clean(tmp_path / "set", large_shards)
    finished = identities(tmp_path)
    if stage == "shard":  # the two tables, and with one worker the small first shard
        assert len(finished) >= (3 if workers == 1 else 2)
    call_good(*one_worker(arguments))
    assert tree(tmp_path / "set") == tree(large_shards)
    assert finished.items() <= identities(tmp_path).items()
