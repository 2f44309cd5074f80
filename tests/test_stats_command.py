"""`fgbg-depth stats`: the table that it prints, and --recompute, which counts all pixels anew."""

import json

import pytest
from real_runs import call, call_good
from small_sets import recipe, small_set
from verify_sets import copy_of, pixel, refit, rewrite, white

from fgbg_depth.verify.recount import compare_statistics, recount

SHARD = "data/train/b000-00001.parquet"


@pytest.fixture
def plain(tmp_path):
    """A copy of the small set without depth."""
    return copy_of(small_set("plain"), tmp_path / "set")


def recompute(folder, *flags):
    return call("stats", folder, "--recompute", "--quiet", "--workers", "1", *flags)


@pytest.mark.parametrize("name", ["plain", "relative8", "unscaled"])
def test_table_shows_the_numbers_of_stats_json(name):
    stats = json.loads((small_set(name) / "stats.json").read_text())
    lines = [line.split() for line in call_good("stats", small_set(name)).out.splitlines()]
    assert lines[0][:5] == ["split", "column", "mean", "std", "min"]
    for split, columns in stats.items():
        for i, channel in enumerate("RGB"):
            row = next(line for line in lines if line[:3] == [split, "image", channel])
            assert row[3:5] == [f"{columns['image'][key][i]:.4f}" for key in ("mean", "std")]
            assert row[-1] == f"{columns['image']['count']:,}" and row[-2] == f"{columns['image']['outside']['mean'][i]:.4f}"
        for column in ("mask", "depth", "depth_m"):
            shown = [line for line in lines if line[:2] == [split, column] and line[2] != "area"]
            assert len(shown) == (column in columns)
            assert all(line[2] == f"{columns[column]['mean']:.4f}" for line in shown)
        assert ["mask", "area"] in [line[1:3] for line in lines if line[0] == split]


def test_one_split():
    lines = call_good("stats", small_set("plain"), "--split", "test").out.splitlines()
    assert {line.split()[0] for line in lines[1:]} == {"test"}


def test_json_is_that_of_the_file():
    stats = json.loads((small_set("plain") / "stats.json").read_text())
    assert json.loads(call_good("stats", small_set("plain"), "--json").out) == stats
    assert json.loads(call_good("stats", small_set("plain"), "--json", "--split", "all").out) == {"all": stats["all"]}


@pytest.mark.parametrize("name", ["plain", "relative8", "metric16", "unscaled"])
def test_recomputed_statistics_agree(name):
    ended = recompute(small_set(name))
    assert ended.code == 0 and f"agrees with the pixels of {'64' if name == 'plain' else '12'} rows" in ended.out


def test_recompute_with_two_workers_counts_the_same():
    folder, made = small_set("plain"), recipe("plain")
    one, two = (recount(folder, made, False, workers) for workers in (1, 2))
    assert one == two and compare_statistics((folder / "stats.json").read_text(), two) == []


def test_recompute_names_split_and_column(plain):
    stats = json.loads((plain / "stats.json").read_text())
    stats["train"]["mask"]["quantiles"]["0.99"] = 0.5
    stats["test"]["image"]["std"][2] *= 1.0001
    (plain / "stats.json").write_text(json.dumps(stats, indent=1) + "\n")
    ended = recompute(plain)
    assert ended.code == 1
    assert f"{plain / 'stats.json'}, split train, column mask: quantiles.0.99 is 0.5, counted " in ended.out
    assert f"{plain / 'stats.json'}, split test, column image: std[2] is " in ended.out
    told = json.loads(recompute(plain, "--json", "--split", "test").out)
    assert not told["good"] and [(d["split"], d["column"]) for d in told["differences"]] == [("test", "image")]
    assert recompute(plain, "--split", "validation").code == 0


def test_recompute_sees_pixels_that_changed(plain):
    """The footer's sums, stats.json and all hashes say nothing of it."""
    rewrite(plain, SHARD, lambda values: pixel(values, "image", 2, white))
    refit(plain)
    ended = recompute(plain)
    assert ended.code == 1 and "split train, column image: " in ended.out and "split all, column image: " in ended.out
    assert "split test" not in ended.out


def test_recompute_names_a_picture_that_cannot_be_decoded(plain):
    rewrite(plain, "data/test/b000-00000.parquet", lambda values: values["mask"].__setitem__(1, values["mask"][1][:50]))
    ended = recompute(plain)
    assert ended.code == 1 and "data/test/b000-00000.parquet, row 1: " in ended.err and "fgbg-depth verify" in ended.err


def test_statistics_of_other_form(plain):
    text = (plain / "stats.json").read_text()
    (plain / "stats.json").write_text(json.dumps(json.loads(text)))
    assert "written otherwise" in recompute(plain).out
    stats = json.loads(text)
    stats["extra"], stats["all"]["noise"] = stats.pop("validation"), {}
    (plain / "stats.json").write_text(json.dumps(stats))
    out = recompute(plain).out
    assert "split extra: isn't a split of the data" in out and "split validation: is missing" in out and "column noise" in out


@pytest.mark.parametrize(
    ("words", "flags", "code"),
    [("has no split 'dev'", ("--split", "dev"), 2), ("expected at least 1", ("--recompute", "--workers", "0"), 2)],
)
def test_wrong_use(words, flags, code):
    ended = call("stats", small_set("plain"), *flags)
    assert ended.code == code and words in ended.err


def test_no_set(tmp_path):
    ended = call("stats", tmp_path)
    assert ended.code == 1 and "stats.json is missing" in ended.err
    assert call("stats", tmp_path / "none").code == 2
