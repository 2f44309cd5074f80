"""Worker processes: what they hand back, how their errors arrive, and how they end."""

import atexit
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from real_runs import make_pictures, save_tiny_model

from fgbg_depth import pool
from fgbg_depth.config import Recipe
from fgbg_depth.errors import FgbgDepthError, PlanError, StorageError, WeightsError
from fgbg_depth.generate import generate
from fgbg_depth.pool import run_pool
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.workers import open_predictor


@dataclass(frozen=True)
class Squares:
    """A task that squares numbers; `folder` is where workers leave their marks."""

    folder: Path
    hold_s: float = 0

    def open(self):
        (self.folder / f"worker-{os.getpid()}").touch()
        return self._square

    def _square(self, number, say):
        say(number)
        time.sleep(self.hold_s)
        if number == 13:
            raise PlanError("thirteen")
        if number == 17:
            raise StorageError("seventeen: no room")
        if number == 19:
            raise EOFError("not the pipe's end")
        if number == 23:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 29:
            os._exit(7)
        if number == 31:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            (self.folder / "deaf").touch()
            time.sleep(1000)
        return number * number


@dataclass(frozen=True)
class Broken:
    """A task whose workers can't begin."""

    def open(self):
        raise WeightsError("no weights")


@dataclass(frozen=True)
class SlowToLeave:
    """A task whose workers have something to do when they leave, as some libraries do."""

    folder: Path

    def open(self):
        atexit.register(self._leave)
        return lambda number, say: number

    def _leave(self):
        time.sleep(0.3)
        (self.folder / f"left-{os.getpid()}").touch()


def squares(numbers, num_workers, folder, **options):
    results, said = {}, []
    run_pool(Squares(folder, **options), numbers, num_workers, results.__setitem__, said.append, "Try again")
    return results, said


@pytest.mark.parametrize(("num_workers", "processes"), [(1, 0), (2, 2), (9, 3)])
def test_every_item_is_worked_on_once(num_workers, processes, tmp_path):
    results, said = squares([2, 3, 5], num_workers, tmp_path)
    assert results == {2: 4, 3: 9, 5: 25}
    assert sorted(said) == [2, 3, 5]
    marks = {path.name for path in tmp_path.iterdir()}
    # never more workers than items, and one alone works in this process
    assert len(marks - {f"worker-{os.getpid()}"}) == processes


def test_nothing_to_do_starts_nothing(tmp_path):
    assert squares([], 4, tmp_path) == ({}, [])
    assert list(tmp_path.iterdir()) == []


def test_workers_that_are_done_may_leave_in_their_own_time(tmp_path, capfd):
    run_pool(SlowToLeave(tmp_path), [1, 2, 3], 2, lambda *_: None)
    assert len(list(tmp_path.glob("left-*"))) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "kind", "words"), [(13, PlanError, "^thirteen$"), (17, StorageError, "^seventeen: no room$")])
def test_an_error_of_a_worker_arrives_as_it_is(number, kind, words, tmp_path):
    for num_workers in (1, 2):
        with pytest.raises(kind, match=words):
            squares([2, number], num_workers, tmp_path)


def test_an_unexpected_error_shows_where_it_came_from(tmp_path):
    with pytest.raises(FgbgDepthError, match=r"(?s)failed unexpectedly.*in _square.*EOFError: not the pipe's end"):
        squares([2, 19], 2, tmp_path)


def test_an_error_at_the_start_arrives_too():
    with pytest.raises(WeightsError, match=r"^no weights$"):
        run_pool(Broken(), [1, 2], 2, print)


@pytest.mark.parametrize(("number", "how"), [(23, "signal 9"), (29, "exit code 7")])
def test_a_worker_that_is_gone_is_named_with_its_item(number, how, tmp_path):
    with pytest.raises(FgbgDepthError, match=rf"a worker process ended by {how} while it was at {number} \(.*\)\. Try again$"):
        squares([2, number, 3], 2, tmp_path)


def test_workers_are_stopped_and_the_deaf_are_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "STOP_TIMEOUT_S", 0.3)
    began, results = time.monotonic(), {}

    def when_said(_):
        while not (tmp_path / "deaf").exists():
            assert time.monotonic() < began + 60
            time.sleep(0.01)
        raise KeyboardInterrupt  # as Ctrl-C does while the parent waits

    with pytest.raises(KeyboardInterrupt):
        run_pool(Squares(tmp_path), [31, 2], 2, results.__setitem__, when_said)
    assert time.monotonic() - began < 60 and results == {}
    pids = [int(path.name.removeprefix("worker-")) for path in tmp_path.glob("worker-*")]
    assert len(pids) in (1, 2)  # the second may have been stopped before it began
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_do_not_hear_ctrl_c(tmp_path):
    """In a terminal it goes to all processes at once; the parent alone decides."""
    hit = []

    def interrupt(_):
        for path in tmp_path.glob("worker-*"):
            pid = int(path.name.removeprefix("worker-"))
            hit.append(pid)
            os.kill(pid, signal.SIGINT)

    results = {}
    run_pool(Squares(tmp_path, hold_s=0.2), [2, 3, 5, 7], 2, results.__setitem__, interrupt)
    assert len(hit) >= 4
    assert results == {2: 4, 3: 9, 5: 25, 7: 49}


def test_ctrl_c_is_held_back_only_while_a_worker_starts():
    this_thread, reached = threading.get_ident(), False
    with pytest.raises(KeyboardInterrupt), pool._no_interrupt():
        signal.pthread_kill(this_thread, signal.SIGINT)
        reached = True  # and it is raised at the end of the block
    assert reached
    with pytest.raises(KeyboardInterrupt):
        signal.pthread_kill(this_thread, signal.SIGINT)
        time.sleep(10)


# --- the task of generate ---


def test_weights_that_change_during_a_run_are_noticed(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    pictures = make_pictures(tmp_path, range(3), range(1))
    recipe = Recipe().replace(image_size=64, foreground_size=(20, 20), placements=1, depth_model=str(model))
    prepared = prepare(tmp_path / "set", recipe, Options(pictures.backgrounds, pictures.foregrounds))
    maps = open_predictor(prepared.estimator, prepared.weights)(np.zeros((2, 64, 64, 3), np.uint8))
    assert maps.shape == (2, 64, 64)
    with pytest.raises(WeightsError, match="changed while the run was going on"):
        open_predictor(prepared.estimator, "0" * 64)


def test_a_wrong_number_of_workers_is_refused(tmp_path):
    pictures = make_pictures(tmp_path, range(3), range(1))
    options = Options(pictures.backgrounds, pictures.foregrounds, num_workers=0)
    with pytest.raises(ValueError, match="expected at least 1"):
        generate(tmp_path / "set", Recipe().replace(depth_model="none"), options)
    assert not (tmp_path / "set").exists()
