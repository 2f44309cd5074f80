"""The benchmark of loading, with few rows: ours and the peers that need no library read the same rows, and its numbers make sense."""

import json
import multiprocessing
import os
import subprocess
import sys

import pytest
import small_sets
from conftest import ROOT

sys.path[:0] = [str(ROOT / "scripts")]

from bench_rows.kept import data_files  # noqa: E402
from bench_rows.pack import pack  # noqa: E402
from loading_bench import layouts, memory, read, readers, report  # noqa: E402
from loading_bench.ways import BATCH_ROWS, WAYS  # noqa: E402

from fgbg_depth.generate import generate  # noqa: E402

NAMES = ("helpers", "zip")  # each is a process of its own, twice; the others are read in this one
ROWS = 40


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The report of a run in this environment, which has all that loose files and zips need."""
    home = tmp_path_factory.mktemp("bench")
    recipe = small_sets.recipe("relative8").replace(hold_out="none", splits=(1.0, 0.0, 0.0), placements=5, rows_per_shard=30)
    assert generate(home / "set", recipe, small_sets._options(2)).rows == ROWS
    words = ["--set", home / "set", "--work", home / "work", "--peers-python", sys.executable, "--rounds", 1, "--ways", *NAMES]
    command = [sys.executable, str(ROOT / "scripts" / "bench_loading.py"), "--json", *map(str, words)]
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_way_reads_the_same_rows(found):
    assert set(found["results"]) == set(NAMES) and found["rows"] == ROWS > BATCH_ROWS
    rounds = [r for way in found["results"].values() for r in way]
    assert len(rounds) == 2 * len(NAMES)
    assert len({(r["rows"], r["keys"], r["pixels"]) for r in rounds}) == 1 and rounds[0]["pixels"]
    assert all(r["rows_per_s"] > 0 and r["first_s"] > 0 for r in rounds)


@pytest.mark.parametrize("name", ["helpers-stream", "plain", "plain-stream", "folder"])
def test_other_ways_read_them_too(found, name, tmp_path, caches):
    folder = found["layouts"]["ours"]["folder"]
    if name == "folder":
        pack("folder", tmp_path, data_files(folder), layouts.SCALARS)
        folder = tmp_path
    tally = {"rows": 0, "keys": 0, "pixels": 0}
    for batch in getattr(readers, WAYS[name].reader)(folder, "pillow").loader():
        read.count(tally, batch)
    assert tally == {key: found["results"]["zip"][0][key] for key in tally}


def test_memory_is_that_of_all_processes(found):
    for way in found["results"].values():
        assert "peak_bytes" in way[0] and "peak_bytes" not in way[1]
        assert way[0]["peak_bytes"] > 50e6  # torch alone has more


def test_layouts_hold_the_same_bytes(found):
    files = {name: facts["files"] for name, facts in found["layouts"].items()}
    assert files == {"ours": 3, "zip": 3 * 2 + 1}
    sizes = [facts["bytes"] for facts in found["layouts"].values()]
    assert max(sizes) < 2 * min(sizes)


def test_the_table_holds_every_way(found):
    text = report.markdown(found, WAYS)
    assert all(f"| {WAYS[name].title} | {found['medians'][name]['rows_per_s']:,.0f} |" in text for name in NAMES)
    assert f"{found['aim']['found']:.2f}; aimed at 1 or more" in text


def test_the_aim_is_our_better_way_over_the_best_peer():
    rates = {"plain": 900, "helpers": 500, "helpers-stream": 450, "zip": 250, "mds": 625}
    numbers = {name: {"rows_per_s": rate} for name, rate in rates.items()}
    assert report.ratio(numbers, WAYS) == {"ours": "helpers", "peer": "mds", "found": 0.8, "reached": False}
    assert report.ratio({"plain": {"rows_per_s": 1}, "zip": {"rows_per_s": 2}}, WAYS) is None


def test_medians_leave_out_the_round_that_measures_memory():
    rounds = [{"rows_per_s": r, "first_s": 1.0} for r in (10, 30, 20)] + [{"rows_per_s": 1, "first_s": 9.0, "peak_bytes": 5}]
    wanted = {"rows_per_s": 20, "first_s": 1.0, "lowest": 10, "highest": 30, "peak_bytes": 5}
    assert report.medians({"zip": rounds}) == {"zip": wanted}


def test_a_way_that_loses_a_row_is_an_error():
    good, bad = {"rows": 3, "keys": 5, "pixels": 7}, {"rows": 3, "keys": 5, "pixels": 8}
    report.check_same_rows({"helpers": [good], "zip": [good]})
    with pytest.raises(RuntimeError, match="different rows"):
        report.check_same_rows({"helpers": [good], "zip": [bad]})


def test_missing_peers_are_named(found):
    text = report.markdown({**found, "aim": None, "left_out": {"peers": "no interpreter; `make bench-env`"}}, WAYS)
    assert "Left out: peers: no interpreter; `make bench-env`." in text


def test_what_was_made_of_other_rows_is_made_anew(tmp_path):
    (tmp_path / "of_others.txt").write_text("stays")
    state = layouts.state_folder(tmp_path, 100)
    (state / "zip.json").write_text("{}")
    assert (layouts.state_folder(tmp_path, 100) / "zip.json").is_file()
    assert not (layouts.state_folder(tmp_path, 200) / "zip.json").exists()
    assert (tmp_path / "of_others.txt").is_file()


def _hold(count, ready, end):
    kept = b"x" * count
    ready.set()
    end.wait()
    del kept


def test_memory_counts_children():
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    before = memory.tree_bytes(os.getpid())
    child = context.Process(target=_hold, args=(200_000_000, ready, end))
    child.start()
    ready.wait(60)
    grown = memory.tree_bytes(os.getpid()) - before
    end.set()
    child.join()
    assert grown > 190e6
