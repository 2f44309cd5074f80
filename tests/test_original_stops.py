"""Exports and imports that are killed at any moment, and go on to the same bytes."""

import pytest
from kill_runs import choose_moments, kill_at, order_of_events
from original_sets import SMALL_FILES
from real_runs import identities, run_good, temporary_files, tree
from small_sets import small_set
from trees_2020 import tree_files, write_files

KILLS = {"import": 3, "export": 2, "zips": 2}


@pytest.fixture(scope="module")
def loose_tree(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("tree"), tree_files()[0])


def words_of(what, source, out):
    """The command line of one kind of run."""
    if what == "import":
        return ("import-original", source, out, "--quiet", "--workers", 2, *SMALL_FILES)
    return ("export-original", source, out, "--quiet", "--workers", 2, *(("--zip",) if what == "zips" else ()))


@pytest.mark.parametrize("what", KILLS)
def test_killed_runs_end_with_the_same_bytes(what, loose_tree, tmp_path):
    source = loose_tree if what == "import" else small_set("plain")
    before = tree(source)
    order = order_of_events(words_of(what, source, tmp_path / "whole"), tmp_path / "whole")
    expected, hits, finished = tree(tmp_path / "whole"), 0, {}
    arguments = words_of(what, source, tmp_path / "out")
    for moment in choose_moments(order, KILLS[what], seed=5):
        killed = kill_at(arguments, tmp_path / "out", order, moment)
        left = {name: sha256 for name, sha256 in tree(tmp_path / "out").items() if "/." not in f"/{name}"}
        assert all(expected.get(name) == sha256 for name, sha256 in left.items()), f"not whole after a kill at {killed.event}"
        hits += killed.event is not None and left != expected
        now = identities(tmp_path / "out")
        assert {name: now[name] for name in finished} == finished, "a finished file was written again"
        finished = now
    assert hits >= KILLS[what] - 1  # now and then a run ends in the short time between an event and the kill
    run_good(*arguments)
    assert tree(tmp_path / "out") == expected and temporary_files(tmp_path / "out") == []
    assert tree(source) == before
