"""The benchmark of streaming, with few rows: it runs, counts, and its numbers make sense."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import small_sets
from conftest import ROOT

from fgbg_depth.generate import generate

sys.path[:0] = [str(ROOT / "scripts")]

from streaming_bench import layouts, measure, report  # noqa: E402
from streaming_bench.ways import WAYS  # noqa: E402

ROWS = 16


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The report of a run with two ways."""
    home = tmp_path_factory.mktemp("bench")
    recipe = small_sets.recipe("relative8").replace(hold_out="none", splits=(1.0, 0.0, 0.0), placements=2)
    options = replace(small_sets._options(2), num_workers=1)
    assert generate(home / "set", recipe, options).rows == ROWS
    words = ["--set", home / "set", "--work", home / "work", "--peers-python", home / "nowhere", "--rounds", 1]
    words += ["--ways", "ours", "default", "mds", "--measures", "pass", "metadata", "--delay-ms", 1, "--bytes-per-s", 1e9]
    command = [sys.executable, str(ROOT / "scripts" / "bench_streaming.py"), "--json", *map(str, words)]
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_way_reads_every_row(found):
    assert set(found["results"]) == {"ours", "default"}
    for way in found["results"].values():
        assert [way[name][0]["rows"] for name in ("pass", "metadata")] == [ROWS, ROWS]


def test_bytes_and_requests_are_those_of_the_log(found):
    ours, size = found["results"]["ours"], found["layouts"]["ours"]["bytes"]
    assert ours["pass"][0]["bytes"] > size  # the card and the lists come on top
    assert ours["metadata"][0]["bytes"] < ours["pass"][0]["bytes"]
    assert all(way[name][0]["requests"] > 3 for way in found["results"].values() for name in way)
    assert found["layouts"]["ours"]["files"] == 3 and found["layouts"]["default"]["files"] == 1


def test_aims_are_ratios_of_the_medians(found):
    ours, default, size = found["medians"]["ours"], found["medians"]["default"], found["layouts"]["ours"]["bytes"]
    assert [aim["found"] for aim in found["aims"]] == [
        ours["metadata"]["bytes"] / size,
        ours["pass"]["seconds"] / default["pass"]["seconds"],
    ]
    assert all(aim["reached"] == (aim["found"] <= aim["at_most"]) for aim in found["aims"])


def test_the_best_peer_is_the_quickest():
    numbers = {
        name: {"first": {"bytes": size}, "pass": {"seconds": seconds}}
        for name, size, seconds in (("ours", 3, 4.0), ("default", 60, 8.0), ("mds", 20, 5.0), ("webdataset", 1, 2.5))
    }
    found = {aim["aim"].rpartition(" / ")[2]: (aim["found"], aim["reached"]) for aim in report.aims(numbers, WAYS, 100)}
    assert found == {
        "those of push_to_hub's default": (0.5, True),  # the last of that name: seconds
        "those of the best peer (webdataset)": (1.6, False),
    }
    assert report.aims(numbers, WAYS, 100)[0]["found"] == 3 / 60


def test_peers_that_are_not_there_are_named(found):
    assert "make bench-env" in found["left_out"]["peers"]


def test_the_tables_hold_every_number(found):
    text = report.markdown(found, WAYS)
    assert text.count("| ours, `load_dataset` |") == 2
    assert f"{found['medians']['ours']['pass']['rows_per_s']:,.0f}" in text
    assert "make bench-env" in text


def test_a_way_that_loses_a_row_is_an_error():
    good, bad = {"rows": 3, "keys": 5, "pixels": 7}, {"rows": 2, "keys": 5, "pixels": 7}
    measure.check_same_rows({"ours": {"pass": [good]}, "default": {"pass": [good]}})
    with pytest.raises(RuntimeError, match="different rows"):
        measure.check_same_rows({"ours": {"pass": [good]}, "default": {"pass": [bad]}})


def test_what_was_made_of_other_rows_is_made_anew(tmp_path):
    (tmp_path / "of_others.txt").write_text("stays")
    state = layouts.state_folder(tmp_path, 100)
    (state / "ours.json").write_text("{}")
    assert (layouts.state_folder(tmp_path, 100) / "ours.json").is_file()
    assert not (layouts.state_folder(tmp_path, 200) / "ours.json").exists()
    assert (tmp_path / "of_others.txt").is_file()
    shutil.rmtree(state)
