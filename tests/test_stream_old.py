"""`fgbg_depth.stream` under `datasets` 3.6 and the client of its time, which speaks through another HTTP library."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hub import faults
from old_datasets import old_python
from small_sets import small_set
from streams import digest, noise_set, read, stored_rows

TESTS = Path(__file__).resolve().parent
CUTS = (0, 1, 19, 20, 33, 80, 173, 174)


@pytest.fixture(scope="module")
def ask(hub, tmp_path_factory):
    """A function that lets the old environment do jobs of `streams.read`."""
    home = tmp_path_factory.mktemp("old")

    def ask(*jobs):
        questions, answers = home / "jobs.json", home / "answers.json"
        questions.write_text(json.dumps(jobs))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PIP_", "PYTHON"))}
        env = {**kept, **hub.env(home / "hf"), "PYTHONPATH": str(TESTS.parent)}
        done = subprocess.run([old_python(), TESTS / "streams.py", questions, answers], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(answers.read_text())

    return ask


@pytest.fixture(scope="module")
def repo(hub):
    hub.create_repo("alice/noise").write_folder(noise_set())
    return "alice/noise"


def test_rows_and_states(hub, ask, repo):
    folder, expected = str(noise_set()), [digest(row) for row in stored_rows(noise_set())]
    orders = [{"repo": folder}, {"repo": repo}, {"repo": repo, "shuffle_seed": 3}, {"repo": repo, "shuffle_seed": 3, "epoch": 1}]
    asked = [{**order, "stop": cut} for order in orders for cut in CUTS]
    found = ask(*orders, *asked)
    whole, parts = [rows for rows, _ in found[: len(orders)]], found[len(orders) :]
    assert whole[0] == whole[1] == expected
    assert sorted(whole[2]) == sorted(whole[3]) == sorted(expected)
    assert len({tuple(rows) for rows in whole}) == 3
    rests = ask(*({**job, "stop": None, "state": state} for job, (_, state) in zip(asked, parts, strict=True)))
    for job, (before, _), (after, _) in zip(asked, parts, rests, strict=True):
        assert before + after == whole[[i for i, order in enumerate(orders) if order.items() <= job.items()][-1]], job
    assert not hub.log.auth_on_cdn() and not hub.log.unrouted()


def test_pictures_are_the_same(ask):
    folder = str(small_set("metric16"))
    assert ask({"repo": folder})[0][0] == read(folder)[0]


def test_faults_cost_no_rows(hub, ask, repo):
    for action in (faults.status(503), faults.drop_response(3000), faults.drop(), faults.rate_limit(1)):
        hub.faults.add(action, port="cdn", after=1)
        hub.faults.add(action, port="hub", after=1)
    expected = [digest(row) for row in stored_rows(noise_set())]
    assert ask({"repo": repo})[0][0] == expected
    hub.faults.clear()
