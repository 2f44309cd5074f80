"""Sets in S3 as they are read: verify, statistics, `load_dataset`, and how many requests a table takes."""

from pathlib import Path

import pytest
from datasets import load_dataset
from real_runs import call, call_good
from s3_server import SECRET

import fgbg_depth
from fgbg_depth import files, s3
from fgbg_depth.asset_tables import AssetReader, at_hand, read_entries
from fgbg_depth.errors import DataError, StorageError
from fgbg_depth.folders import as_folder
from fgbg_depth.shards import open_table


def test_verify_and_stats(s3_remote, s3_local, s3_bucket):
    good = call_good("verify", s3_remote, "--rebuild", 2, "--workers", 1, "--quiet")
    assert "is good" in good.out and "2 rows made anew" in good.out
    assert call_good("stats", s3_remote, "--json").out == call_good("stats", s3_local[0], "--json").out
    assert "agrees with the pixels of 168 rows" in call_good("stats", s3_remote, "--recompute", "--workers", 1, "--quiet").out
    assert fgbg_depth.load_stats(s3_remote, "test") == fgbg_depth.load_stats(s3_local[0], "test")
    with pytest.raises(DataError, match="is missing"):
        fgbg_depth.load_stats(f"s3://{s3_bucket.name}/nothing")
    with pytest.raises(StorageError, match="there is no bucket"):
        fgbg_depth.load_stats("s3://no-such-bucket/nothing")


def test_verify_names_damage(s3_bucket, s3_remote):
    for name in s3_bucket.versions("finished/set"):
        s3_bucket.put(f"bad/{name}", s3_bucket.get(f"finished/set/{name}"))
    name = "data/test/b000-00001.parquet"
    data = bytearray(s3_bucket.get(f"bad/{name}"))
    data[len(data) // 3] ^= 1
    s3_bucket.put(f"bad/{name}", bytes(data))
    s3_bucket.delete("bad/stats.json")
    ended = call("verify", f"s3://{s3_bucket.name}/bad", "--workers", 1, "--quiet")
    assert ended.code == 1 and f"{name}, row " in ended.out and "stats.json: is missing" in ended.out, ended.out
    assert f"aws s3 rm s3://{s3_bucket.name}/bad/{name} && fgbg-depth generate" in ended.out


def test_load_dataset(s3_remote, s3_local, tmp_path, s3_server, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)  # the server is on this machine
    options = {"key": "AKIAEXAMPLE", "secret": SECRET, "endpoint_url": s3_server.environment["AWS_ENDPOINT_URL"]}
    theirs = load_dataset(
        "parquet", data_files={"test": f"{s3_remote}/data/test/*.parquet"}, storage_options=options, split="test", cache_dir=str(tmp_path)
    )
    ours = load_dataset(str(s3_local[0]), split="test", cache_dir=str(tmp_path))
    assert theirs.features == ours.features and theirs["key"] == ours["key"]
    assert theirs[3]["image"].tobytes() == ours[3]["image"].tobytes()


def test_a_footer_is_one_request(s3_remote, s3_server):
    for path in (as_folder(s3_remote) / "data" / "train").rglob("*.parquet"):
        s3_server.requests.clear()
        with open_table(path) as table:
            assert table.metadata.num_rows in (8, 24, 16)
        assert len(s3_server.requests) == 1


def test_rows_that_cannot_be_read(s3_remote, s3_server, monkeypatch):
    """What isn't the file's fault is never told as damage."""
    monkeypatch.setattr(s3, "TAIL_BYTES", 1000)  # so that opening a small file doesn't fetch all of it
    monkeypatch.setattr(s3, "READ_BYTES", 1000)
    path = as_folder(s3_remote) / "data" / "train" / "b000-00001.parquet"
    with open_table(path) as table:
        with s3_server.faulty(lambda method, key: "deny"), pytest.raises(StorageError, match="AccessDenied"):
            table.read_row_group(0)
        assert table.read_row_group(0).num_rows == 8
    with s3_server.faulty(lambda method, key: "deny" if key.endswith("train/b000-00001.parquet") else None):
        ended = call("verify", s3_remote, "--workers", 1, "--quiet")
    assert ended.code == 1 and f"{path}: the credentials may not do that (403)" in ended.err and not ended.out, ended


def test_asset_tables_come_once(s3_remote, s3_server, monkeypatch):
    monkeypatch.setattr(files, "_copies", {})
    entries, _ = read_entries(s3_remote, "background")
    s3_server.requests.clear()
    reader, near = AssetReader(entries), at_hand(entries)
    for entry in entries:
        assert reader.pixels(entry.plan.id, alpha=False).shape == (60, 80, 3)
    assert len(s3_server.requests) == 1 and all(isinstance(entry.table, Path) for entry in near)
