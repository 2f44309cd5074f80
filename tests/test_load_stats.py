"""load_stats and depth_to_metres as a user calls them, on folders; the Hub has tests of its own."""

import json

import pytest

import fgbg_depth
from fgbg_depth.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "stats.json").write_text(json.dumps({"train": {"image": {"mean": [0.1, 0.2, 0.3]}}, "all": {}}))
    return tmp_path


def test_a_split_or_the_whole_table(folder):
    assert fgbg_depth.load_stats(folder)["image"]["mean"] == [0.1, 0.2, 0.3]
    assert fgbg_depth.load_stats(str(folder), split="all") == {}
    assert set(fgbg_depth.load_stats(folder, split=None)) == {"train", "all"}


def test_what_is_wrong_is_said(folder, tmp_path):
    with pytest.raises(UsageError, match=r"no split 'test'; it has train, all"):
        fgbg_depth.load_stats(folder, split="test")
    with pytest.raises(UsageError, match="is a folder; a revision"):
        fgbg_depth.load_stats(folder, revision="v1.0.0")
    with pytest.raises(UsageError, match="neither a folder nor a repo id"):
        fgbg_depth.load_stats(tmp_path / "missing")
    (folder / "stats.json").write_text("{")
    with pytest.raises(DataError, match="can't be read"):
        fgbg_depth.load_stats(folder)
    (folder / "stats.json").unlink()
    with pytest.raises(DataError, match=r"stats\.json is missing: the set is unfinished"):
        fgbg_depth.load_stats(folder)


def test_a_repo_that_cannot_be_reached():
    # The tests run off line: the client says so before it opens a connection.
    with pytest.raises((DataError, UsageError), match=r"nobody/nothing"):
        fgbg_depth.load_stats("nobody/nothing")
