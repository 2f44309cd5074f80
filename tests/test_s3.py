"""Sets in S3: the same bytes as in a folder, whole objects or none, and errors that say what to do."""

import os
import pickle
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

import pytest
from datasets import load_dataset
from real_runs import (
    PLAIN,
    RUN_TIMEOUT_S,
    add_background,
    call,
    call_good,
    end_of,
    environment,
    generate,
    kill_group,
    make_pictures,
    start,
    tree,
)
from s3_server import SECRET, Bucket, Server

import fgbg_depth
from fgbg_depth import files, s3, scratch
from fgbg_depth.asset_tables import AssetReader, at_hand, read_entries
from fgbg_depth.errors import DataError, FolderError, StorageError, UsageError
from fgbg_depth.files import locked, sha256_of, size_and_sha256, whole_file, write_text
from fgbg_depth.folders import as_folder
from fgbg_depth.s3 import S3Path
from fgbg_depth.shards import open_table

HEAVY = ("s3fs", "aiobotocore", "botocore", "aiohttp")


@pytest.fixture(scope="module")
def server():
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield server
    server.stop()


@pytest.fixture(scope="module")
def bucket(server):
    return Bucket(server, "sets")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def local(pictures, tmp_path_factory):
    """(folder, names of heavy modules that making it loaded): the set that S3 has to hold too."""
    folder = tmp_path_factory.mktemp("local") / "set"
    code = f"import sys; from fgbg_depth import cli; print(cli.main(sys.argv[1:]), *[m for m in {HEAVY} if m in sys.modules])"
    words = [sys.executable, "-c", code, *map(str, generate(pictures, folder))]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    code, *loaded = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    return folder, loaded


@pytest.fixture(scope="module")
def remote(pictures, bucket):
    """URL of a finished set. Nobody may change it."""
    call_good(*generate(pictures, url := f"s3://{bucket.name}/finished/set"))
    return url


def files_of(folder):
    """{path: sha256} of the files of a local folder."""
    return {name: sha256 for name, sha256 in tree(folder).items() if sha256 != "folder"}


# --- making sets ---


def test_a_local_set_needs_nothing_of_s3(local):
    assert local[1] == []


def test_the_same_bytes_as_in_a_folder(local, remote, bucket):
    assert bucket.tree("finished/set") == files_of(local[0])


def test_killed_and_resumed(local, bucket, pictures, tmp_path, monkeypatch):
    words = generate(pictures, f"s3://{bucket.name}/killed", workers=2)
    process, until = start(words, env={"TMPDIR": str(tmp_path)}), time.monotonic() + RUN_TIMEOUT_S
    while sum(name.startswith("data/") for name in bucket.versions("killed")) < 2:
        assert process.poll() is None and time.monotonic() < until, end_of(process)
        time.sleep(0.005)
    kill_group(process)
    process.communicate()
    expected, before, versions = files_of(local[0]), bucket.tree("killed"), bucket.versions("killed")
    assert 4 <= len(before) < len(expected) and before.items() <= expected.items()
    assert list(tmp_path.glob(f"{scratch.PREFIX}*")), "the run was killed before it had a scratch folder"
    call_good(*generate(pictures, words[words.index("--out") + 1]))
    assert bucket.tree("killed") == expected
    assert versions.items() <= bucket.versions("killed").items(), "finished objects were written again"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_own", {})
    ours = scratch.scratch_folder()
    assert set(tmp_path.iterdir()) == {ours, ours.with_name(f"{ours.name}{scratch.LOCK_SUFFIX}")}, "those of the killed run are left"
    scratch.drop_scratch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "workers", "words"),
    [("deny", 2, ("AccessDenied", "s3:PutObject")), ("hang up", 1, ("can't be reached, or broke off", "AWS_ENDPOINT_URL"))],
)
def test_an_upload_that_fails(fault, workers, words, local, server, bucket, pictures):
    folder = f"failing-{fault[:4]}"
    arguments = generate(pictures, f"s3://{bucket.name}/{folder}", workers=workers)
    bad = "data/train/b000-00002.parquet"
    with server.faulty(lambda method, key: fault if method == "PUT" and key.endswith(bad) else None):
        ended = call(*arguments)
    assert ended.code == 1 and f"/{folder}/{bad}: " in ended.err and "run the same command again" in ended.err, ended.err
    assert all(word in ended.err for word in words) and SECRET not in ended.err and "Traceback" not in ended.err, ended.err
    there = bucket.tree(folder)
    assert bad not in there and "data/train/b000-00000.parquet" in there and there.items() <= files_of(local[0]).items()


def test_parts_and_a_further_batch(local, bucket, pictures, tmp_path):
    url, folder = f"s3://{bucket.name}/parts", tmp_path / "set"
    for part in ("2/2", "1/2"):
        call_good(*generate(pictures, url, PLAIN, "--shards", part))
    assert "stats.json" not in bucket.tree("parts")
    call_good("finish", url, "--quiet")
    assert bucket.tree("parts") == files_of(local[0])
    shutil.copytree(local[0], folder)
    more = pictures.copy(tmp_path / "more")
    add_background(more.backgrounds, 50)
    for place in (folder, url):
        call_good(*generate(more, place, PLAIN, "--append"))
    assert bucket.tree("parts") == files_of(folder) != files_of(local[0])


def test_another_run_that_came_first(bucket, pictures, remote, tmp_path, monkeypatch):
    """Without a lock, the asset tables decide whose set it is: they are never replaced."""
    other = pictures.copy(tmp_path)
    add_background(other.backgrounds, 60)
    race = f"s3://{bucket.name}/race"

    def first(place):
        """Another run writes its tables after this one has looked."""
        for kind in ("backgrounds", "foregrounds"):
            with whole_file(as_folder(race) / kind / "b000.parquet") as temp:
                temp.write_bytes((as_folder(place) / kind / "b000.parquet").read_bytes())

    from fgbg_depth import generate as module

    monkeypatch.setattr(module, "prepare", lambda *args, before=module.prepare: [before(*args), first(remote)][0])
    versions = bucket.versions("race")
    ended = call(*generate(other, race))
    assert ended.code == 1 and "another run began batch 0" in ended.err, ended.err
    assert not versions and set(bucket.tree("race")) == {"backgrounds/b000.parquet", "foregrounds/b000.parquet"}
    assert bucket.tree("race").items() <= bucket.tree("finished/set").items()


# --- refusals ---


def test_a_folder_of_others_is_refused(bucket, pictures):
    bucket.put("others/notes.txt", b"mine")
    ended = call(*generate(pictures, f"s3://{bucket.name}/others"))
    assert ended.code == 1 and f"s3://{bucket.name}/others isn't empty (notes.txt)" in ended.err, ended.err
    ended = call(*generate(pictures, f"s3://{bucket.name}/others/notes.txt"))
    assert ended.code == 2 and "is an object, expected a folder" in ended.err, ended.err
    assert bucket.get("others/notes.txt") == b"mine" and len(bucket.versions("others")) == 1


def test_another_recipe_is_refused(bucket, pictures, remote):
    before = bucket.versions("finished/set")
    ended = call(*generate(pictures, remote, PLAIN, "--seed", "5"))
    assert ended.code == 1 and "seed is 0 there and 5 here" in ended.err, ended.err
    assert bucket.versions("finished/set") == before


def test_a_damaged_shard_is_named(bucket, pictures, remote):
    names = ("backgrounds/b000.parquet", "foregrounds/b000.parquet", "data/train/b000-00000.parquet")
    for name in names:
        data = bucket.get(f"finished/set/{name}")
        bucket.put(f"damaged/{name}", data if name != names[-1] else data[:-100])
    ended = call(*generate(pictures, f"s3://{bucket.name}/damaged"))
    assert ended.code == 1 and f"damaged/{names[-1]}: not a readable Parquet file" in ended.err, ended.err


@pytest.mark.parametrize(
    ("changes", "url", "word"),
    [
        ({}, "s3://no-such-bucket/set", "there is no bucket 'no-such-bucket'"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "s3://sets/x", "no credentials were found"),
        ({"AWS_PROFILE": "nobody"}, "s3://sets/x", "AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "http://user:pass-word@127.0.0.1:1"}, "s3://sets/x", "can't be reached"),
        ({"AWS_ENDPOINT_URL": "user:pass-word"}, "s3://sets/x", "AWS_ENDPOINT_URL"),
    ],
)
def test_storage_that_is_not_there(changes, url, word, server, pictures, monkeypatch):
    import s3fs

    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # it keeps what it found at first
    try:
        ended = call(*generate(pictures, url))
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
    assert ended.code == 1 and f"{url}: " in ended.err and word in ended.err, ended.err
    assert "pass-word" not in ended.err and SECRET not in ended.err


def test_s3fs_that_is_missing(monkeypatch, pictures):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    ended = call(*generate(pictures, "s3://sets/x"))
    assert ended.code == 2 and "pip install 'fgbg-depth[s3]'" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("card", "s3://sets/x"),
        ("annotate", "DIR", "--out", "s3://sets/x", "--depth-model", "none"),
        ("publish", "s3://sets/x", "--repo", "me/x"),
        ("preview", "s3://sets/x"),
        ("diff", "s3://sets/x", "DIR"),
        ("generate", "--backgrounds", "s3://sets/bg", "--foregrounds", "DIR", "--out", "DIR"),
        ("generate", "--backgrounds", "DIR", "--foregrounds", "DIR", "--out", "gs://sets/x"),
        ("verify", "https://somewhere/x"),
        ("stats", "hf://datasets/me/x"),
    ],
    ids=" ".join,
)
def test_urls_elsewhere_are_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call(*words)
    assert ended.code == 2 and "s3://BUCKET/FOLDER" in ended.err, ended.err
    assert not list(tmp_path.iterdir()), "a folder was made"


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("s3://user:pass-word@host/x", "holds a login"),
        ("s3:///x", "is no name of a bucket"),
        ("s3://UP/x", "is no name of a bucket"),
        ("s3://sets/../x", "'..'"),
        ("ftp://sets/x", "ftp://"),
        (Path("s3://sets/x"), "pass the URL as text"),
    ],
)
def test_places_that_are_none(place, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=word) as caught, locked(place):
        pass
    assert "pass-word" not in str(caught.value)
    assert not list(tmp_path.iterdir())


# --- reading sets ---


def test_verify_and_stats(remote, local, bucket):
    good = call_good("verify", remote, "--rebuild", 2, "--workers", 1, "--quiet")
    assert "is good" in good.out and "2 rows made anew" in good.out
    assert call_good("stats", remote, "--json").out == call_good("stats", local[0], "--json").out
    assert "agrees with the pixels of 168 rows" in call_good("stats", remote, "--recompute", "--workers", 1, "--quiet").out
    assert fgbg_depth.load_stats(remote, "test") == fgbg_depth.load_stats(local[0], "test")
    with pytest.raises(DataError, match="is missing"):
        fgbg_depth.load_stats(f"s3://{bucket.name}/nothing")
    with pytest.raises(StorageError, match="there is no bucket"):
        fgbg_depth.load_stats("s3://no-such-bucket/nothing")


def test_verify_names_damage(bucket, remote):
    for name in bucket.versions("finished/set"):
        bucket.put(f"bad/{name}", bucket.get(f"finished/set/{name}"))
    name = "data/test/b000-00001.parquet"
    data = bytearray(bucket.get(f"bad/{name}"))
    data[len(data) // 3] ^= 1
    bucket.put(f"bad/{name}", bytes(data))
    bucket.delete("bad/stats.json")
    ended = call("verify", f"s3://{bucket.name}/bad", "--workers", 1, "--quiet")
    assert ended.code == 1 and f"{name}, row " in ended.out and "stats.json: is missing" in ended.out, ended.out
    assert f"aws s3 rm s3://{bucket.name}/bad/{name} && fgbg-depth generate" in ended.out


def test_load_dataset(remote, local, tmp_path, server, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)  # the server is on this machine
    options = {"key": "AKIAEXAMPLE", "secret": SECRET, "endpoint_url": server.environment["AWS_ENDPOINT_URL"]}
    theirs = load_dataset(
        "parquet", data_files={"test": f"{remote}/data/test/*.parquet"}, storage_options=options, split="test", cache_dir=str(tmp_path)
    )
    ours = load_dataset(str(local[0]), split="test", cache_dir=str(tmp_path))
    assert theirs.features == ours.features and theirs["key"] == ours["key"]
    assert theirs[3]["image"].tobytes() == ours[3]["image"].tobytes()


# --- paths, files and uploads ---


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


def test_listing(bucket):
    for key in ("list/", "list/a.txt", "list/b/", "list/b/c.txt", "list/b/d/e.py", "listing/f.txt"):
        bucket.put(key, b"x")
    folder = as_folder(f"s3://{bucket.name}/list")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["a.txt", "b/c.txt", "b/d/e.py"]
    assert [path.name for path in folder.rglob("*.py")] == ["e.py"] and [path.name for path in folder.glob("*.txt")] == ["a.txt"]
    assert folder.is_dir() and not folder.is_file() and (folder / "a.txt").is_file() and not (folder / "a.txt").is_dir()
    assert not (folder / "z").exists() and len([*folder._list(count=2)]) == 3  # pages
    with pytest.raises(FileNotFoundError):
        (folder / "z").read_text()


def test_a_file_is_read_in_ranges(bucket, server, monkeypatch):
    monkeypatch.setattr(s3, "TAIL_BYTES", 100)
    monkeypatch.setattr(s3, "READ_BYTES", 50)
    monkeypatch.setattr(s3, "GAP_BYTES", 30)
    rng = random.Random(0)
    data = rng.randbytes(1000)
    bucket.put("ranges/x", data)
    path = as_folder(f"s3://{bucket.name}/ranges/x")
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
        server.requests.clear()
        for start, stop in ((10, 60), (505, 600), (45, 46)):
            file.seek(start)
            assert file.read(stop - start) == data[start:stop]
        assert server.requests == []


def test_a_footer_is_one_request(remote, server):
    for path in (as_folder(remote) / "data" / "train").rglob("*.parquet"):
        server.requests.clear()
        with open_table(path) as table:
            assert table.metadata.num_rows in (8, 24, 16)
        assert len(server.requests) == 1


def test_rows_that_cannot_be_read(remote, server, monkeypatch):
    """What isn't the file's fault is never told as damage."""
    monkeypatch.setattr(s3, "TAIL_BYTES", 1000)  # so that opening a small file doesn't fetch all of it
    monkeypatch.setattr(s3, "READ_BYTES", 1000)
    path = as_folder(remote) / "data" / "train" / "b000-00001.parquet"
    with open_table(path) as table:
        with server.faulty(lambda method, key: "deny"), pytest.raises(StorageError, match="AccessDenied"):
            table.read_row_group(0)
        assert table.read_row_group(0).num_rows == 8
    with server.faulty(lambda method, key: "deny" if key.endswith("train/b000-00001.parquet") else None):
        ended = call("verify", remote, "--workers", 1, "--quiet")
    assert ended.code == 1 and f"{path}: the credentials may not do that (403)" in ended.err and not ended.out, ended


@pytest.mark.parametrize("fault", [None, "deny"])
def test_a_large_file_goes_in_parts(fault, bucket, server, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PUT_BYTES", 1 << 20)
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    source, path = tmp_path / "large", as_folder(f"s3://{bucket.name}/large/{fault}")
    source.write_bytes(random.Random(1).randbytes(6 << 20))
    parts = []

    def second_part(method, key):
        parts.append(method == "PUT")
        return fault if parts[-1] and sum(parts) == 2 else None

    with server.faulty(second_part):
        if fault is None:
            s3.upload(source, path, only_new=True)
            assert sum(parts) == 2
        else:
            with pytest.raises(StorageError, match="AccessDenied"):
                s3.upload(source, path)
    assert path.is_file() == (fault is None) and bucket.uploads() == []
    if fault is None:
        assert size_and_sha256(path) == (6 << 20, sha256_of(source)) and sha256_of(path) == sha256_of(source)
        with pytest.raises(FileExistsError):
            s3.upload(source, path, only_new=True)


def test_equal_text_is_left_alone(bucket):
    path = as_folder(f"s3://{bucket.name}/text/x.json")
    write_text(path, "one")
    before = bucket.versions("text")
    write_text(path, "one")
    assert bucket.versions("text") == before
    write_text(path, "two")
    assert path.read_text() == "two" and bucket.versions("text") != before


def test_a_block_that_fails_uploads_nothing(bucket):
    with pytest.raises(FolderError), whole_file(as_folder(f"s3://{bucket.name}/block/x")) as temp:
        temp.write_text("half")
        raise FolderError("stop")
    assert not temp.exists() and bucket.tree("block") == {}


def test_asset_tables_come_once(remote, server, monkeypatch):
    monkeypatch.setattr(files, "_copies", {})
    entries, _ = read_entries(remote, "background")
    server.requests.clear()
    reader, near = AssetReader(entries), at_hand(entries)
    for entry in entries:
        assert reader.pixels(entry.plan.id, alpha=False).shape == (60, 80, 3)
    assert len(server.requests) == 1 and all(isinstance(entry.table, Path) for entry in near)
