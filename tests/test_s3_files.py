"""Paths, listings, ranges of files and uploads in S3."""

import os
import pickle
import random
from pathlib import PurePosixPath

import pytest

from fgbg_depth import s3
from fgbg_depth.errors import FolderError, StorageError
from fgbg_depth.files import sha256_of, size_and_sha256, whole_file, write_text
from fgbg_depth.folders import as_folder
from fgbg_depth.s3 import S3Path


def test_paths_are_as_those_of_pathlib():
    keys = ["a/b.parquet", "a-b/c.parquet", "a/b/c.tar.gz", "a"]
    ours, theirs = [S3Path.parse(f"s3://sets//top/{key}/") for key in keys], [PurePosixPath("/top", key) for key in keys]
    order = sorted(range(4), key=theirs.__getitem__)
    assert [str(path) for path in sorted(ours)] == [f"s3://sets/top/{keys[i]}" for i in order]
    for our, their in zip(ours, theirs, strict=True):
        assert (our.name, our.stem, our.suffix, our.parent.name) == (their.name, their.stem, their.suffix, their.parent.name)
        assert our.relative_to(S3Path("sets", ["top"])) == their.relative_to("/top")
        assert our.with_name("x").key == str(their.with_name("x"))[1:]
        copy = pickle.loads(pickle.dumps(our))
        assert copy == our and hash(copy) == hash(our) and len({copy, our}) == 1
    with pytest.raises(ValueError, match="isn't below"):
        ours[0].relative_to(ours[1])
    with pytest.raises(TypeError):
        os.fspath(ours[0])


def test_listing(s3_bucket):
    for key in ("list/", "list/a.txt", "list/b/", "list/b/c.txt", "list/b/d/e.py", "listing/f.txt"):
        s3_bucket.put(key, b"x")
    folder = as_folder(f"s3://{s3_bucket.name}/list")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["a.txt", "b/c.txt", "b/d/e.py"]
    assert [path.name for path in folder.rglob("*.py")] == ["e.py"] and [path.name for path in folder.glob("*.txt")] == ["a.txt"]
    assert folder.is_dir() and not folder.is_file() and (folder / "a.txt").is_file() and not (folder / "a.txt").is_dir()
    assert not (folder / "z").exists() and len([*folder._list(count=2)]) == 3  # pages
    with pytest.raises(FileNotFoundError):
        (folder / "z").read_text()


def test_a_file_is_read_in_ranges(s3_bucket, s3_server, monkeypatch):
    monkeypatch.setattr(s3, "TAIL_BYTES", 100)
    monkeypatch.setattr(s3, "READ_BYTES", 50)
    monkeypatch.setattr(s3, "GAP_BYTES", 30)
    rng = random.Random(0)
    data = rng.randbytes(1000)
    s3_bucket.put("ranges/x", data)
    path = as_folder(f"s3://{s3_bucket.name}/ranges/x")
    with path.open() as file:
        for _ in range(60):
            start, size = rng.randrange(1001), rng.randrange(200)
            file.seek(start)
            assert file.read(size) == data[start : start + size] and file.tell() == min(1000, start + size)
        assert file.seek(-8, 2) == 992 and file.read() == data[-8:] and file.read() == b""
        file.seek(0)
        assert file.readall() == data
    with path.open() as file:
        file.prefetch([(10, 20), (40, 60), (500, 700)])
        s3_server.requests.clear()
        for start, stop in ((10, 60), (505, 600), (45, 46)):
            file.seek(start)
            assert file.read(stop - start) == data[start:stop]
        assert s3_server.requests == []


@pytest.mark.parametrize("fault", [None, "deny"])
def test_a_large_file_goes_in_parts(fault, s3_bucket, s3_server, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PUT_BYTES", 1 << 20)
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    source, path = tmp_path / "large", as_folder(f"s3://{s3_bucket.name}/large/{fault}")
    source.write_bytes(random.Random(1).randbytes(6 << 20))
    parts = []

    def second_part(method, key):
        parts.append(method == "PUT")
        return fault if parts[-1] and sum(parts) == 2 else None

    with s3_server.faulty(second_part):
        if fault is None:
            s3.upload(source, path, only_new=True)
            assert sum(parts) == 2
        else:
            with pytest.raises(StorageError, match="AccessDenied"):
                s3.upload(source, path)
    assert path.is_file() == (fault is None) and s3_bucket.uploads() == []
    if fault is None:
        assert size_and_sha256(path) == (6 << 20, sha256_of(source)) and sha256_of(path) == sha256_of(source)
        with pytest.raises(FileExistsError):
            s3.upload(source, path, only_new=True)


def test_equal_text_is_left_alone(s3_bucket):
    path = as_folder(f"s3://{s3_bucket.name}/text/x.json")
    write_text(path, "one")
    before = s3_bucket.versions("text")
    write_text(path, "one")
    assert s3_bucket.versions("text") == before
    write_text(path, "two")
    assert path.read_text() == "two" and s3_bucket.versions("text") != before


def test_a_block_that_fails_uploads_nothing(s3_bucket):
    with pytest.raises(FolderError), whole_file(as_folder(f"s3://{s3_bucket.name}/block/x")) as temp:
        temp.write_text("half")
        raise FolderError("stop")
    assert not temp.exists() and s3_bucket.tree("block") == {}
