"""`fgbg-depth publish` is killed (-9) at chosen requests; main is whole each time, and a second run goes on."""

import os
import random
import signal
import threading

import publishing
import pytest
from hub import faults
from publishing import (
    assert_main_is_whole,
    assert_same_as_folder,
    copy_of,
    first_set,
    publish_set,
    rewind,
    second_set,
    start_publish,
    state_of,
)

NAME = "alice/killed"
CLIENT_OPTIONS = {"settings": publishing.SETTINGS}
MOMENTS = ("before a request", "after a request", "before the answer of the commit", "after the commit", "after the tag")
RUN_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def base(hub, client, tmp_path_factory):
    """(repo, its state with v1.0.0)."""
    client.run(publish_set, copy_of(first_set(), tmp_path_factory.mktemp("sets") / "first"), NAME)
    return hub.repo(NAME), state_of(hub.repo(NAME))


@pytest.mark.parametrize("seed", range(len(MOMENTS) + 3))
def test_a_killed_run_leaves_main_whole_and_the_next_goes_on(hub, client, base, tmp_path, seed):
    repo, state = base
    rewind(repo, *state)
    folder, mark = copy_of(second_set(), tmp_path / "set"), hub.log.mark()
    moment, holder, reached = MOMENTS[seed % len(MOMENTS)], {}, threading.Event()

    def kill(_):
        os.kill(holder["process"].pid, signal.SIGKILL)
        holder["process"].wait()
        reached.set()

    if moment == "before a request":
        hub.faults.add(faults.call(kill), after=random.Random(seed).randrange(1, 22))
    elif moment == "after a request":
        hub.faults.add(faults.call_after(kill), after=random.Random(seed).randrange(1, 22))
    elif moment == "before the answer of the commit":
        hub.faults.add(faults.call_after(kill), method="POST", path="/commit/")
    elif moment == "after the commit":
        hub.faults.add(faults.call(kill), method="GET", path="/tree/", after=1)
    else:
        hub.faults.add(faults.call_after(kill), method="POST", path="/tag/")
    holder["process"] = start_publish(hub, folder, NAME, tmp_path / "home", num_threads=1 + seed % 4)
    out, err = holder["process"].communicate(timeout=RUN_TIMEOUT_S)
    assert reached.is_set() and holder["process"].returncode == -signal.SIGKILL, (out, err)
    hub.log.wait_idle()
    hub.faults.clear()

    assert_main_is_whole(repo)
    assert (repo.read("manifest.json") == (folder / "manifest.json").read_bytes()) == (repo.head() != state[0]["heads"]["main"])
    done = client.run(publish_set, folder, NAME)
    assert done["version"] == "v1.1.0" and repo.tags == {"v1.0.0": state[0]["heads"]["main"], "v1.1.0": repo.head()}
    assert len(repo.titles()) == 3
    assert_same_as_folder(repo, folder)
    assert set(hub.log.blob_uploads(mark).values()) == {1}
    hub.check()


def test_ctrl_c_says_how_to_go_on(hub, client, base, tmp_path):
    repo, state = base
    rewind(repo, *state)
    folder, holder = copy_of(second_set(), tmp_path / "set"), {}
    hub.faults.add(faults.call(lambda _: holder["process"].send_signal(signal.SIGINT)), method="PUT")
    hub.faults.add(faults.hang(RUN_TIMEOUT_S), method="PUT")
    holder["process"] = start_publish(hub, folder, NAME, tmp_path / "home", num_threads=1)
    _, err = holder["process"].communicate(timeout=RUN_TIMEOUT_S)
    hub.faults.clear()
    assert holder["process"].returncode == 130, err
    assert "run the same command again to go on" in err and "Traceback" not in err
    assert_main_is_whole(repo)
    assert client.run(publish_set, folder, NAME)["version"] == "v1.1.0"
