"""What is refused in S3, before anything is written: others' folders, other recipes, damage, storage that isn't there, wrong URLs."""

import sys
from pathlib import Path

import pytest
from real_runs import PLAIN, call, generate
from s3_server import SECRET

from fgbg_depth.errors import UsageError
from fgbg_depth.files import locked


def test_a_folder_of_others_is_refused(s3_bucket, pictures):
    s3_bucket.put("others/notes.txt", b"mine")
    ended = call(*generate(pictures, f"s3://{s3_bucket.name}/others"))
    assert ended.code == 1 and f"s3://{s3_bucket.name}/others isn't empty (notes.txt)" in ended.err, ended.err
    ended = call(*generate(pictures, f"s3://{s3_bucket.name}/others/notes.txt"))
    assert ended.code == 2 and "is an object, expected a folder" in ended.err, ended.err
    assert s3_bucket.get("others/notes.txt") == b"mine" and len(s3_bucket.versions("others")) == 1


def test_another_recipe_is_refused(s3_bucket, pictures, s3_remote):
    before = s3_bucket.versions("finished/set")
    ended = call(*generate(pictures, s3_remote, PLAIN, "--seed", "5"))
    assert ended.code == 1 and "seed is 0 there and 5 here" in ended.err, ended.err
    assert s3_bucket.versions("finished/set") == before


def test_a_damaged_shard_is_named(s3_bucket, pictures, s3_remote):
    names = ("backgrounds/b000.parquet", "foregrounds/b000.parquet", "data/train/b000-00000.parquet")
    for name in names:
        data = s3_bucket.get(f"finished/set/{name}")
        s3_bucket.put(f"damaged/{name}", data if name != names[-1] else data[:-100])
    ended = call(*generate(pictures, f"s3://{s3_bucket.name}/damaged"))
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
def test_storage_that_is_not_there(changes, url, word, s3_server, pictures, monkeypatch):
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
