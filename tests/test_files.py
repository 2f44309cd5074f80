"""Files that appear whole or not at all, and the lock of a folder."""

import errno
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_runs import environment

from fgbg_depth import schema
from fgbg_depth.errors import FolderError, StorageError, UsageError
from fgbg_depth.files import LOCK_NAME, _try_lock, locked, sha256_of, storage_errors, sweep, temp_path, whole_file, write_bytes, write_text
from fgbg_depth.shards import Footer, write_table

FULL = "/dev/full"  # a file of Linux on which every write fails for want of room


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


# --- whole files ---


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with whole_file(path) as temp:
        temp.write_text("half")
        assert not path.exists()
        assert temp.parent == path.parent
    assert path.read_text() == "half"
    assert names(tmp_path) == ["deep", "file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_is_not_finished_is_removed_and_the_old_file_stays(error, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as temp:
        temp.write_text("new")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_file_that_was_not_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "file.txt"):
        pass
    assert names(tmp_path) == []


def test_equal_bytes_are_not_written_again(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "größe")
    before = path.stat()
    write_bytes(path, "größe".encode())
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_text(path, "other")
    assert path.read_text() == "other" and path.stat().st_ino != before.st_ino


def test_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1_000_000)
    coreutils = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    assert sha256_of(path) == coreutils.split()[0]


# --- errors of the disk ---


def test_a_full_disk_is_a_storage_error(tmp_path):
    words = r"the disk is full.*run the same command again"
    with pytest.raises(StorageError, match=words), storage_errors(tmp_path / "x"), open(FULL, "wb") as file:
        file.write(b"x" * 100_000)


def test_a_disk_that_is_full_for_pyarrow_is_a_storage_error(tmp_path):
    table = pa.table({"a": pa.array([os.urandom(10_000)] * 20, pa.binary())})
    plain = {"compression": "NONE", "use_dictionary": False}
    # Not pq.write_table: when it fails it removes the file, which is a device here.
    with (
        pytest.raises(StorageError, match="the disk is full"),
        storage_errors(tmp_path / "x"),
        pq.ParquetWriter(FULL, table.schema, **plain) as writer,
    ):
        writer.write_table(table)


@pytest.mark.parametrize("rows", [1, 400])
def test_a_table_on_a_full_disk_is_a_storage_error_and_leaves_nothing(rows, tmp_path, monkeypatch):
    """With few rows the disk is full only when the file is closed."""

    def on_full_disk(path):
        temp = path.with_name(".temp")
        temp.symlink_to(FULL)
        return temp

    monkeypatch.setattr("fgbg_depth.files.temp_path", on_full_disk)
    groups = ({"key": ["k"] * rows, "picture": [os.urandom(5_000)] * rows} for _ in range(3))
    columns = {"key": pa.string(), "picture": schema.PICTURE}
    footer = Footer("default", 0, "train", 0, 0, 3 * rows, "r", "a")
    with pytest.raises(StorageError, match=r"b000-00000\.parquet: the disk is full"):
        write_table(tmp_path / "b000-00000.parquet", columns, groups, lambda: footer)
    assert names(tmp_path) == []


def test_a_folder_without_permission_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="may not write"), storage_errors(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(IsADirectoryError), storage_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "a folder")


# --- sweeping ---


def test_only_our_temporary_files_are_swept(tmp_path):
    (tmp_path / "data").mkdir()
    ours = [temp_path(tmp_path / "stats.json"), tmp_path / "data" / ".b000-00001.parquet.fgbg-depth-4711"]
    names_of_others = (".hidden", ".movie.part-17", "b.fgbg-depth-1", ".x.fgbg-depth-", ".x.fgbg-depth-1a", ".fgbg-depth-1")
    theirs = [tmp_path / name for name in names_of_others]
    for path in ours + theirs:
        path.write_text("x")
    link = tmp_path / ".link.fgbg-depth-1"
    link.symlink_to(tmp_path / ".hidden")
    folder = tmp_path / ".folder.fgbg-depth-1"
    folder.mkdir()
    sweep(tmp_path)
    assert [path for path in ours if path.exists()] == []
    assert [path for path in (*theirs, link, folder) if not path.exists()] == []


# --- the lock ---

HOLD = """
import sys
from fgbg_depth.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], env=environment(), **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_by_one_process_alone(tmp_path):
    folder = tmp_path / "set"
    with holder(folder) as process:
        with pytest.raises(FolderError, match="in use by another run"), locked(folder):
            pass
        assert folder.is_dir()
        process.stdin.close()
        assert process.wait() == 0
    assert not folder.exists()  # nothing was made in it
    with locked(folder):
        assert names(folder) == [LOCK_NAME]
        (folder / "file").touch()
    assert names(folder) == ["file"]


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path):
    with holder(tmp_path) as process:
        process.kill()
    assert names(tmp_path) == [LOCK_NAME]
    with locked(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_lock_file_that_was_just_removed_is_no_lock(tmp_path):
    """Its last holder took the name away between our open and our flock: others would hold a file of the same name."""
    with open(tmp_path / LOCK_NAME, "a+b") as handle:
        assert _try_lock(handle)
    with open(tmp_path / LOCK_NAME, "a+b") as handle:
        (tmp_path / LOCK_NAME).unlink()
        assert not _try_lock(handle)


def test_folders_that_were_made_for_nothing_go_again(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError), locked(tmp_path / "old" / "new" / "set"):
        raise ValueError
    assert names(tmp_path) == ["old"]
    with pytest.raises(ValueError), locked(tmp_path / "old"):
        raise ValueError
    assert names(tmp_path) == ["old"]  # it was there before


@pytest.mark.parametrize("path", ["file", "file/below", "x" * 300, "/proc/nowhere"])
def test_what_can_be_no_folder_is_refused(path, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="choose another --out"), locked(tmp_path / path):
        pass
    assert names(tmp_path) == ["file"]
