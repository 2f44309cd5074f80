"""Runs of `annotate` that were stopped go on, and end with the same bytes; what is finished is left alone."""

import pyarrow.parquet as pq
import pytest
from annotate_sets import NO_DEPTH, ONE_WORKER, again, command, made, model, times
from kill_runs import choose_moments, kill_at, order_of_events
from real_runs import call_good, data_files, identities, run_good, tree
from small_sets import small_set
from verify_sets import copy_of

from fgbg_depth.annotate import annotate
from fgbg_depth.progress import Quiet


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A set that was annotated without depth, and the order in which its files came."""
    folder = tmp_path_factory.mktemp("undisturbed") / "new"
    return folder, order_of_events(command(made("tiny"), folder, "none"), folder)


def killed_and_finished(arguments, folder, expected, order, count, seed):
    """Kill a run at some moments, each time going on where it was, and let it finish; returns the events at which it was killed."""
    hits, finished = [], {}
    for moment in choose_moments(order, count, seed):
        killed = kill_at(arguments, folder, order, moment)
        whole = {name: sha256 for name, sha256 in tree(folder).items() if "/." not in f"/{name}"}
        assert whole.items() <= expected.items(), f"a file isn't whole after a kill at {killed.event}"
        if killed.event is not None and tree(folder) != expected:
            hits.append(killed.event)
        now = identities(folder)
        assert finished.items() <= now.items(), "a finished file was written again"
        finished = now
    run_good(*arguments)
    assert tree(folder) == expected
    assert finished.items() <= identities(folder).items()
    return hits


def test_killed_runs_end_with_the_same_bytes(undisturbed, tmp_path):
    reference, order = undisturbed
    untouched = tree(made("tiny"))
    expected = tree(made("none"))
    assert tree(reference) == expected
    hits = killed_and_finished(command(made("tiny"), tmp_path / "new", "none", workers=2), tmp_path / "new", expected, order, 6, seed=5)
    assert len(hits) >= 4 and any(hit.startswith("data/") for hit in hits), hits
    assert tree(made("tiny")) == untouched


def test_killed_runs_with_depth_end_with_the_same_bytes(undisturbed, tmp_path):
    order = {event: place for event, place in undisturbed[1].items() if event.startswith("data/")}  # the names are the same
    arguments = command(made("none"), tmp_path / "new", model("tiny"), "--trust")
    hits = killed_and_finished(arguments, tmp_path / "new", tree(made("tiny")), order, 2, seed=6)
    assert hits, "no run was killed while the set was unfinished"


def test_what_is_missing_is_made_and_the_rest_is_left_alone(tmp_path):
    folder = copy_of(made("tiny"), tmp_path / "new")
    gone = [*data_files(folder)[1:3], "metadata/test/b000.parquet", "manifest.json", "README.md", "stats.json", "assets/samples.png"]
    for name in gone:
        (folder / name).unlink()
    before = identities(folder)
    result = again(made("none"), folder, {"depth_model": model("tiny")})
    assert tree(folder) == tree(made("tiny"))
    assert before.items() <= identities(folder).items()
    assert result.rows_made == sum(pq.read_metadata(folder / name).num_rows for name in gone[:2]) < result.rows


def test_a_finished_set_is_left_alone(tmp_path):
    folder = copy_of(made("tiny"), tmp_path / "new")
    before = times(folder)
    ended = call_good(*command(made("none"), folder, model("tiny")))
    assert "nothing had to be made" in ended.out
    after = times(folder)
    assert {path: after[path] for path in before if path != folder} == {path: before[path] for path in before if path != folder}


def test_progress_is_shown(tmp_path):
    seen = []

    class Recorder(Quiet):
        def task(self, title, total, done=0, unit="files"):
            seen.append((title, total))
            return super().task(title, total, done, unit)

    annotate(small_set("relative8"), tmp_path / "new", NO_DEPTH, ONE_WORKER, Recorder())
    titles = [title for title, _ in seen]
    order = ("check rows", "copy the source pictures", "make rows", "hash the files")
    assert [title for title in titles if title in order] == list(order)
    assert ("make rows", 12) in seen
