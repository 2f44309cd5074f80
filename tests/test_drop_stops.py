"""drop-asset is stopped at every write, and killed for real: the set never looks whole meanwhile, and the same command ends it."""

import shutil
from pathlib import Path

import pytest
from kill_runs import Moment, kill_at, order_of_events
from real_runs import PLAIN, call, call_good, generate, make_pictures, refused, run_good, tree

from fgbg_depth import files
from fgbg_depth.drop import drop_assets, plan_drop
from fgbg_depth.dropped import DROPPED_NAME
from fgbg_depth.verify import verify_set

IDS = ("room_00", "blob_01")  # of both kinds: two asset tables are rewritten
RECIPE = (*PLAIN, "--rows-per-shard", "16", "--first-shard-rows", "4", "--rows-per-group", "4", "--placements", "2", "--hold-out", "none")


class Stopped(BaseException):
    """Stands for kill -9: nobody catches it."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("sources"), range(4), range(2))


@pytest.fixture(scope="module")
def whole(sources, tmp_path_factory):
    """A finished set whose first file has but four rows, some or all of which go."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    call_good(*generate(sources, folder, RECIPE))
    return folder


@pytest.fixture(scope="module")
def goal(whole, tmp_path_factory):
    """(the set without the pictures, its tree)."""
    folder = shutil.copytree(whole, tmp_path_factory.mktemp("goal") / "set")
    drop_assets(folder, IDS, num_workers=1)
    assert verify_set(folder, num_workers=1, rebuild=1000).good
    return folder, tree(folder)


def command(folder):
    return ("drop-asset", folder, *IDS, "--quiet", "--workers", 1)


def stop_at(monkeypatch, number, after):
    """Raise Stopped at the number-th change of a file that isn't temporary, before or after it; returns the list of changes."""
    changes, replace, unlink = [], Path.replace, Path.unlink

    def changing(path, change):
        changes.append(path.name)
        if len(changes) == number and not after:
            raise Stopped
        change()
        if len(changes) == number and after:
            raise Stopped

    def counted_unlink(path, missing_ok=False):
        if path.name.startswith("."):  # temporary files and the lock: a killed run leaves them, and the next one takes them away
            unlink(path, missing_ok=True)
        else:
            changing(path, lambda: unlink(path, missing_ok=missing_ok))

    monkeypatch.setattr(Path, "replace", lambda path, target: changing(Path(target), lambda: replace(path, target)))
    monkeypatch.setattr(Path, "unlink", counted_unlink)
    return changes


def test_stopped_at_every_write_the_same_command_ends_it(whole, goal, sources, tmp_path, monkeypatch):
    """Between two writes verify finds it, generate, annotate and publish refuse it, and what is made at last is always the same."""
    number = 1
    while True:
        folder = shutil.copytree(whole, tmp_path / f"{number}")
        with monkeypatch.context() as patch:
            changes = stop_at(patch, number, after=number % 2 == 1)
            try:
                drop_assets(folder, IDS, num_workers=1)
            except Stopped:
                pass
            else:
                break
        begun = tree(folder) != tree(whole)
        ended = tree(folder) == goal[1]
        if begun and not ended and number in (1, 4, len_of_shards(whole) + 2):
            assert not verify_set(folder, num_workers=1).good, changes
        if begun and holds_them(folder):
            words = "a run of drop-asset was stopped. Finish it with `fgbg-depth drop-asset"
            if number in (1, 4):
                refused(generate(sources, folder, RECIPE), folder, words)
                refused(("annotate", folder, "--depth-model", "none", "--out", tmp_path / "new", "--quiet"), folder, folder)
        call_good(*command(folder)) if not ended else None
        assert tree(folder) == goal[1], changes
        shutil.rmtree(folder)
        number += 3
    assert DROPPED_NAME in changes and changes[-1] == "README.md" and changes.index("manifest.json") > changes.index("stats.json")
    assert changes.index(DROPPED_NAME) == 0 and number > 15


def len_of_shards(folder):
    done = plan_drop(folder, IDS)
    return len(done.rewritten) + len(done.deleted)


def holds_them(folder):
    """True as long as the asset tables have one of the pictures."""
    import pyarrow.parquet as pq

    ids = [pq.read_table(path, columns=["id"], partitioning=None).column("id").to_pylist() for path in folder.glob("*grounds/*.parquet")]
    return bool(set(IDS) & {asset_id for table in ids for asset_id in table})


def test_an_unfinished_drop_goes_on_with_other_pictures_too(whole, tmp_path, monkeypatch):
    """What was begun is ended with what is asked for now; and at the end nothing tells that it was stopped."""
    folder, at_once = shutil.copytree(whole, tmp_path / "set"), shutil.copytree(whole, tmp_path / "other")
    with monkeypatch.context() as patch:
        stop_at(patch, 4, after=True)
        with pytest.raises(Stopped):
            drop_assets(folder, IDS[:1], num_workers=1)
    ended = call_good("drop-asset", folder, IDS[1], "--quiet", "--workers", 1)
    assert "an earlier run was stopped; this one has finished it" in ended.err and IDS[0] in ended.out
    drop_assets(at_once, IDS, num_workers=1)
    assert tree(folder) == tree(at_once)
    assert call("drop-asset", folder, IDS[0]).code == 2  # it is gone: there is no such picture


def test_finish_ends_what_comes_after_the_tables(whole, goal, tmp_path, monkeypatch):
    folder = shutil.copytree(whole, tmp_path / "set")
    with monkeypatch.context() as patch:
        changes = stop_at(patch, -1, after=True)
        drop_assets(shutil.copytree(whole, tmp_path / "watched"), IDS, num_workers=1)
    with monkeypatch.context() as patch:
        stop_at(patch, changes.index("stats.json"), after=True)
        with pytest.raises(Stopped):
            drop_assets(folder, IDS, num_workers=1)
    findings = verify_set(folder, num_workers=1).findings
    assert any(f.file == DROPPED_NAME and f.repair.startswith("fgbg-depth finish ") for f in findings)
    call_good("finish", folder, "--quiet")
    assert tree(folder) == goal[1]


def test_killed_with_signal_9(whole, goal, tmp_path):
    """Two real processes of workers: killed, and run again."""
    folder = shutil.copytree(whole, tmp_path / "set")
    arguments = ("drop-asset", folder, *IDS, "--quiet", "--workers", 2)
    watched = shutil.copytree(whole, tmp_path / "watched")
    order = order_of_events(("drop-asset", watched, *IDS, "--quiet", "--workers", 2), watched)
    kill_at(arguments, folder, order, Moment(len(order) // 3, 0))
    run_good(*arguments)
    assert tree(folder) == goal[1]


def test_no_other_run_meanwhile(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "set")
    with files.locked(folder):
        ended = call(*command(folder))
    assert ended.code == 1 and "in use by another run" in ended.err
