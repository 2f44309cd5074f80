"""The benchmark of new versions, on tiny sets: what it counts is what was sent."""

import json
import sys

import pytest
from conftest import ROOT
from real_runs import tree

from fgbg_depth.config import Recipe

sys.path[:0] = [str(ROOT / "scripts")]

import bench_versions  # noqa: E402
from version_bench import layouts, sending  # noqa: E402
from version_bench.report import markdown  # noqa: E402
from version_bench.sets import NAMES, make_sets, save_other_model  # noqa: E402

RECIPE = {
    "image_size": 64,
    "foreground_size": (30, 20),
    "placements": 2,
    "rows_per_shard": 16,
    "first_shard_rows": 8,
    "rows_per_group": 4,
    "depth_batch": 2,
    "hold_out": "none",
    "splits": (1.0, 0.0, 0.0),
}
PICTURES = {"num_backgrounds": 3, "num_foregrounds": 2, "num_workers": 1}
LARGE = (".parquet", ".png")  # what the Hub keeps apart from git


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(recipe, {name: folder})."""
    work = tmp_path_factory.mktemp("versions")
    models = [save_other_model(work / f"model-{seed}", RECIPE["image_size"], seed) for seed in (0, 1)]
    recipe = Recipe().replace(**RECIPE, depth_model=str(models[0]))
    return recipe, make_sets(work, recipe, models[1], **PICTURES)


@pytest.fixture(scope="module")
def report(made, tmp_path_factory):
    """The report with half of the cases; the others differ from these in the names of the sets alone."""
    recipe, folders = made
    before = {name: tree(folder) for name, folder in folders.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_versions, "CASES", [sending.CASES[number] for number in (0, 1, 3, 5)])
        patch.setattr(layouts, "LAYOUTS", dict(list(layouts.LAYOUTS.items())[:2]))
        found = bench_versions.bench(folders, recipe, tmp_path_factory.mktemp("home"))
    assert {name: tree(folder) for name, folder in folders.items()} == before, "the sets were changed"
    return found


def new_large(folders, old, new):
    """{path: bytes} of the large files of a set that another one doesn't have, by content."""
    before, after = tree(folders[old]), tree(folders[new])
    names = [path for path, digest in after.items() if path.endswith(LARGE) and digest not in before.values()]
    return {path: (folders[new] / path).stat().st_size for path in names}


def test_sets_are_what_they_are_called(made):
    folders = made[1]
    assert tuple(folders) == NAMES
    trees = {name: tree(folder) for name, folder in folders.items()}
    shards = {name: {path: digest for path, digest in files.items() if path.startswith("data/")} for name, files in trees.items()}
    assert shards["base"].items() < shards["appended"].items()
    assert trees["annotated"] == trees["regenerated"] != trees["base"]
    rows = {name: layouts.num_rows(folder) for name, folder in folders.items()}
    assert rows == {"base": 16, "annotated": 16, "regenerated": 16, "appended": 24, "anew": 24}


def test_sets_are_found_again(made, tmp_path):
    recipe, folders = made
    before = {name: tree(folder) for name, folder in folders.items()}
    work, models = folders["base"].parents[1], folders["base"].parents[1] / "model-1"
    assert make_sets(work, recipe, models, **PICTURES) == folders
    assert {name: tree(folder) for name, folder in folders.items()} == before


def test_publish_sends_just_the_new_files(report, made):
    folders = made[1]
    for case, (old, new) in zip(report["cases"], [("base", "appended"), ("base", "annotated")], strict=False):
        expected = new_large(folders, old, new)
        assert case["blob_bytes"] == sum(expected.values())
        assert case["files"] > len(expected)
        assert 0 < case["chunk_bytes"] <= case["blob_bytes"]
        assert min(case["other_bytes"], case["received_bytes"], case["seconds"], case["hf_xet"]["forgetful_bytes"]) > 0
        assert 0 < case["hf_xet"]["bytes"] < 2 * case["blob_bytes"]


def test_new_chunks_are_those_that_hf_xet_counts(report):
    assert [case["hf_xet"]["chunk_bytes"] for case in report["cases"]] == [case["chunk_bytes"] for case in report["cases"]]


def test_a_card_edit_sends_the_card_alone(report):
    case = report["cases"][2]
    assert (case["files"], case["dropped"], case["blob_bytes"], case["chunk_bytes"]) == (1, 0, 0, 0)
    assert case["hf_xet"] == {"bytes": 0, "forgetful_bytes": 0, "chunk_bytes": 0}
    assert case["other_bytes"] > 1000


def test_push_to_hub_sends_all_rows_again(report):
    push, rows = report["cases"][3], report["data_bytes"]
    assert (push["way"], push["files"]) == ("push_to_hub", 2)  # train and the card
    assert push["blob_bytes"] > 0.8 * rows["appended"] > 2 * (rows["appended"] - rows["base"])


def test_columns_are_counted(report, made):
    columns = report["columns"]
    assert columns["base"]["depth"] != columns["annotated"]["depth"]
    assert all(columns["base"][name] == columns["annotated"][name] for name in ("image", "mask", "key"))
    for name, found in columns.items():
        assert 0.3 * report["data_bytes"][name] < sum(found.values()) < report["data_bytes"][name]


def test_layouts_hold_the_same_rows(made, tmp_path):
    folders = made[1]
    first = layouts.write_again(folders["base"], tmp_path / "first", 4, False)
    by_content = layouts.write_again(folders["base"], tmp_path / "content", 8, True, skip=2)
    assert len(first) == len(by_content) == 2
    assert layouts.num_rows(folders["base"]) == sum(len(_keys(path)) for path in first) == 16
    assert [_keys(path) for path in by_content] == [keys[:2] + keys[3:] for keys in map(_keys, first)]


def _keys(path):
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=["key"])["key"].to_pylist()


def test_layouts_are_estimated(report):
    found = report["layouts"]
    assert set(found) == set(layouts.REWRITES)
    for title, sizes in found.items():
        assert list(sizes) == list(layouts.LAYOUTS)[:2]
        assert all(0 < count <= report["data_bytes"]["anew"] * 1.5 for count in sizes.values()), title


def test_report_is_json_and_a_table(report):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("version_bench.report.LAYOUTS", list(layouts.LAYOUTS)[:2])
        text = markdown(json.loads(json.dumps(report)))
    lines = text.splitlines()
    assert lines[0].startswith("16 rows, ") and "8 rows more" in lines[0]
    for case in report["cases"]:
        row = next(line for line in lines if line.startswith(f"| `{case['way']}`: {case['title']} |"))
        assert f" {case['blob_bytes'] / 1e6:.2f} " in row and row.count("|") == lines[3].count("|")
    without = {**report, "cases": [{**case, "hf_xet": None} for case in report["cases"]], "layouts": {}}
    assert markdown(without).count("not installed") == 2 * len(report["cases"])


def test_rows_below_one_are_refused(capsys):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["bench_versions.py", "--rows", "0"])
        bench_versions.main()
    assert ended.value.code == 2
    assert "--rows is 0" in capsys.readouterr().err
