"""One set by several runs at once: `generate --shards I/N`, then `finish`.

The parts are real processes in one folder. What comes out has to be the folder of one plain run, byte for byte.
"""

import errno
import itertools
import os
import shutil
import subprocess
import sys

import pytest
from kill_runs import kill_group, wait_for
from real_runs import (
    PLAIN,
    RECIPE,
    call,
    call_good,
    data_files,
    end_of,
    environment,
    generate,
    identities,
    refused,
    run_good,
    start,
    temporary_files,
    tree,
)

from fgbg_depth.asset_tables import KINDS, table_path
from fgbg_depth.batches import read_state
from fgbg_depth.config import Recipe
from fgbg_depth.errors import FolderError, UsageError
from fgbg_depth.files import locked, temp_path
from fgbg_depth.generate import write_asset_tables
from fgbg_depth.partition import Part, locked_part, parse_part, tables_alone
from fgbg_depth.parts import finish, generate_part
from fgbg_depth.prepare import Options, prepare

PARTS = 3


def part(pictures, folder, number, recipe=PLAIN, *flags, count=PARTS):
    """The words of a quiet run of one part."""
    return (*generate(pictures, folder, recipe, *flags), "--shards", f"{number}/{count}")


def make_parts(pictures, folder, recipe=PLAIN, *flags, numbers=None, count=PARTS):
    for number in numbers or range(1, count + 1):
        call_good(*part(pictures, folder, number, recipe, *flags, count=count))


# --- which shards are whose ---


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_every_shard_is_in_one_part(count):
    shards = [f"shard-{i}" for i in range(7)]
    parts = [Part(number, count).of(shards) for number in range(1, count + 1)]
    assert sorted(itertools.chain(*parts)) == shards
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "0/0", "-1/3", "1", "1/", "/3", "1/3/5", "a/b", "1.0/3", " 1/3", "", "1/1234567890"])
def test_what_names_no_part_is_wrong_use(text):
    with pytest.raises(UsageError, match="expected I/N with I from 1 to N"):
        parse_part(text)


def test_the_command_line_refuses_what_names_no_part(pictures, tmp_path):
    for text in ("0/3", "4/3"):
        ended = call(*generate(pictures, tmp_path / "set"), "--shards", text)
        assert ended.code == 2 and text in ended.err
    assert list(tmp_path.iterdir()) == []
    assert parse_part("3/3") == Part(3, 3)


# --- real processes at once ---


def test_parts_at_once_one_of_them_killed_give_the_bytes_of_a_plain_run(pictures, plain_set, tmp_path):
    folder = tmp_path / "set"
    processes = [start(part(pictures, folder, number)) for number in range(1, PARTS + 1)]
    try:
        wait_for(processes[1], folder, "data/*/.*")
    finally:
        kill_group(processes[1])
        processes[1].communicate()
    ended = [end_of(process) for process in (processes[0], processes[2])]
    assert [run.code for run in ended] == [0, 0], ended
    assert f"{folder}: part 1 of 3 is complete: " in ended[0].out
    there = identities(folder)
    lacks = len(data_files(plain_set)) - len(data_files(folder))
    assert lacks > 0
    words = (f"{lacks} of {len(data_files(plain_set))} shards are missing", f"part 2 of 3 lacks {lacks}", "--shards 2/3")
    refused(("finish", folder, "--quiet"), folder, *words)
    assert "part 1" not in call("finish", folder, "--quiet").err

    again = run_good(*part(pictures, folder, 2))
    assert f"all data files are there; make what comes after them with   fgbg-depth finish {folder}" in again.out
    assert not (folder / "manifest.json").exists()
    finished = run_good("finish", folder, "--quiet")
    assert f'load_dataset("{folder}")' in finished.out
    assert tree(folder) == tree(plain_set)
    assert there.items() <= identities(folder).items()


FINISH = "import sys; from fgbg_depth.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"


def test_finish_gets_along_without_model_and_pictures_and_says_of_them_what_a_plain_run_does(few_pictures, tmp_path):
    recipe = (*RECIPE, "--placements", "1", "--depth-model", "densedepth-mini", "--depth-batch", "4")
    call_good(*generate(few_pictures, tmp_path / "plain", recipe))
    mine = few_pictures.copy(tmp_path / "pictures")
    make_parts(mine, tmp_path / "set", recipe, count=2)
    shutil.rmtree(tmp_path / "pictures")
    command = [sys.executable, "-c", FINISH, "finish", str(tmp_path / "set"), "--quiet"]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("0 False\n")
    assert tree(tmp_path / "set") == tree(tmp_path / "plain")


def test_a_later_batch_is_made_in_parts_too(more_pictures, plain_set, tmp_path):
    for name in ("plain", "parts"):
        shutil.copytree(plain_set, tmp_path / name)
    call_good(*generate(more_pictures, tmp_path / "plain"), "--append")
    make_parts(more_pictures, tmp_path / "parts", PLAIN, "--append")
    call_good("finish", tmp_path / "parts", "--quiet")
    assert tree(tmp_path / "parts") == tree(tmp_path / "plain")


def test_one_set_by_more_parts_than_it_has_shards(few_pictures, tmp_path):
    one_split = ("--hold-out", "none", "--splits", "1", "0", "0")
    recipe = (*PLAIN, "--placements", "1", "--rows-per-shard", "100", "--first-shard-rows", "50", *one_split)
    call_good(*generate(few_pictures, tmp_path / "plain", recipe))
    make_parts(few_pictures, tmp_path / "parts", recipe)
    call_good("finish", tmp_path / "parts", "--quiet")
    assert tree(tmp_path / "parts") == tree(tmp_path / "plain")


# --- finished folders, other recipes, folders without a set ---


def test_finish_again_and_parts_of_a_finished_folder_change_nothing(pictures, plain_set, tmp_path):
    shutil.copytree(plain_set, tmp_path / "set")
    before = identities(tmp_path / "set", "**/*.*")
    assert "nothing had to be made" in call_good("finish", tmp_path / "set", "--quiet").out
    ended = call_good(*part(pictures, tmp_path / "set", 2), "--json")
    assert '"rows_made": 0' in ended.out and '"shards_missing": 0' in ended.out and '"part": 2, "parts": 3' in ended.out
    call_good("finish", tmp_path / "set", "--quiet")
    assert tree(tmp_path / "set") == tree(plain_set)
    assert identities(tmp_path / "set", "**/*.*") == before


def test_another_recipe_or_other_pictures_are_refused(pictures, few_pictures, tmp_path):
    call_good(*part(pictures, tmp_path / "set", 1))
    (tmp_path / "set" / ".part-2-of-3.fgbg-depth-0").touch()  # its lock, which stays
    refused(part(pictures, tmp_path / "set", 2, (*PLAIN, "--seed", "1")), tmp_path / "set", "seed is 0 there and 1 here")
    refused(part(few_pictures, tmp_path / "set", 2), tmp_path / "set", "the pictures differ", "4 missing backgrounds")


def test_finish_wants_a_set(pictures, plain_set, tmp_path):
    refused(("finish", tmp_path / "nowhere"), tmp_path, "is no folder")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    refused(("finish", tmp_path / "other"), tmp_path, "holds no set", "--shards I/N")
    shutil.copytree(plain_set, tmp_path / "begun")
    table_path(tmp_path / "begun", "foreground", 0).unlink()
    refused(("finish", tmp_path / "begun"), tmp_path / "begun", "asset tables of batch 0 aren't all there")
    shutil.copytree(plain_set, tmp_path / "lacking")
    for name in data_files(plain_set)[:2]:
        (tmp_path / "lacking" / name).unlink()
    words = f"2 of {len(data_files(plain_set))} shards are missing"
    refused(("finish", tmp_path / "lacking"), tmp_path / "lacking", words, "Run all parts again")


# --- who may be there at the same time ---


def hold(folder, number, count):
    """Locks are of open files, so one process can stand for two."""
    with locked_part(folder, Part(number, count)):
        pass


def test_parts_and_whole_runs_keep_each_other_out(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("fgbg_depth.files.SHARED_LOCK_WAIT_S", 0.1)
    folder = tmp_path / "set"
    with locked_part(folder, Part(1, 3)):
        for words in (generate(pictures, folder), ("finish", folder)):
            ended = call(*words)
            assert ended.code == 1 and "is in use by another run" in ended.err, ended.err
        hold(folder, 2, 3)
        with pytest.raises(FolderError, match=r"part 1 of 3 of .* is being made by another run"):
            hold(folder, 1, 3)
        with pytest.raises(FolderError, match=r"part 1 of 3 of .* is being made, and this is part 1 of 4.*--shards I/3"):
            hold(folder, 1, 4)
    hold(folder, 1, 4)  # what is no longer made is in nobody's way
    with locked(folder):
        ended = call(*part(pictures, folder, 1))
        assert ended.code == 1 and "is in use by another run" in ended.err


def test_the_lock_is_gone_when_the_last_part_leaves(tmp_path):
    with locked_part(tmp_path, Part(1, 2)):
        with locked_part(tmp_path, Part(2, 2)):
            pass
        with pytest.raises(FolderError), locked(tmp_path):
            pass
    assert temporary_files(tmp_path) == [".part-1-of-2.fgbg-depth-0", ".part-2-of-2.fgbg-depth-0"]
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_refused(pictures, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    for words in (part(pictures, tmp_path / "set", 1), generate(pictures, tmp_path / "set")):
        ended = call(*words)
        assert ended.code == 2 and "its file system has no locks" in ended.err and "`-o flock`" in ended.err


def test_machines_with_equal_process_ids_write_different_temporary_files(tmp_path, monkeypatch):
    here = temp_path(tmp_path / "stats.json")
    assert temp_path(tmp_path / "stats.json") == here
    monkeypatch.setattr("fgbg_depth.files._writers", {})  # as on another machine
    assert temp_path(tmp_path / "stats.json") != here


def test_a_part_sweeps_its_own_files_only(pictures, plain_set, tmp_path):
    folder = tmp_path / "set"
    make_parts(pictures, folder, numbers=[1])
    planned = sorted(data_files(plain_set), key=lambda name: [*map(name.count, ("test", "validation", "train")), name])  # the plan's order
    mine, others = Part(2, PARTS).of(planned), Part(3, PARTS).of(planned)
    left = [temp_path(folder / name) for name in (mine[0], "canvases-2-of-3", others[0], "canvases-3-of-3", "stats.json")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}7").write_text("of another process")
    make_parts(pictures, folder, numbers=[2])
    assert [path.with_name(f"{path.name}7").exists() for path in left] == [False, False, True, True, True]
    make_parts(pictures, folder, numbers=[3])
    call_good("finish", folder, "--quiet")
    assert tree(folder) == tree(plain_set)


# --- two that begin a set at the same moment ---


def prepared_for(pictures, folder, **changes):
    recipe = Recipe().replace(**{"image_size": 64, "foreground_size": (24, 20), "placements": 2, "depth_model": "none", **changes})
    return prepare(folder, recipe, Options(pictures.backgrounds, pictures.foregrounds))


def write_tables(prepared):
    with tables_alone(prepared.folder, [table_path(prepared.folder, kind, 0) for kind in KINDS]):
        write_asset_tables(prepared)


def test_whoever_comes_first_writes_the_tables_and_the_second_finds_them(few_pictures, tmp_path):
    tmp_path.joinpath("set").mkdir()
    first, second = (prepared_for(few_pictures, tmp_path / "set") for _ in range(2))  # neither has seen a table
    write_tables(first)
    before = identities(tmp_path / "set")
    half = temp_path(table_path(tmp_path / "set", "background", 0)).with_name(".b000.parquet.fgbg-depth-7")
    half.write_text("half")  # of one that was killed
    write_tables(second)
    assert identities(tmp_path / "set") == before and len(before) == 2 and not half.exists()


@pytest.mark.parametrize("changes", [{"seed": 5}, {}])
def test_two_that_begin_different_sets_at_the_same_moment(changes, few_pictures, pictures, tmp_path, monkeypatch):
    """The second looked before the first wrote its tables, and finds that out before it makes a row."""
    (tmp_path / "set").mkdir()
    other = prepared_for(few_pictures if changes else pictures, tmp_path / "set", **changes)
    recipe = prepared_for(few_pictures, tmp_path / "set").recipe
    monkeypatch.setattr("fgbg_depth.parts.write_asset_tables", lambda prepared: write_asset_tables(other))
    options = Options(few_pictures.backgrounds, few_pictures.foregrounds, num_workers=1)
    with pytest.raises(FolderError, match="made by another recipe: seed is 5" if changes else "with other pictures at the same moment"):
        generate_part(tmp_path / "set", recipe, options, Part(1, 2))
    assert data_files(tmp_path / "set") == []


def test_a_table_that_is_being_written_is_no_strange_file(tmp_path):
    (tmp_path / "backgrounds").mkdir()
    temp_path(tmp_path / "backgrounds" / "b000.parquet").write_text("half")
    assert read_state(tmp_path).lists == {}
    (tmp_path / "backgrounds" / "note.txt").write_text("mine")
    with pytest.raises(FolderError, match="isn't empty"):
        read_state(tmp_path)


def test_finish_is_a_function_too(pictures, plain_set, tmp_path):
    make_parts(pictures, tmp_path / "set")
    result = finish(tmp_path / "set")
    assert (result.rows, result.rows_made, result.shards) == (168, 0, len(data_files(plain_set)))
    assert tree(tmp_path / "set") == tree(plain_set)
