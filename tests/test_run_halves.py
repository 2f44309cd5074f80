"""The suite in two processes: every file in one half, every failure seen, and both processes ended by Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_halves import FAILED, FIRST, INTERRUPTED, NO_TESTS, OK, TESTS, halves, together

GOOD = "def test_good():\n    pass\n"
BAD = "def test_bad():\n    assert 6 * 9 == 42\n"
SLOW = """
import pathlib
import time

import pytest

HERE = pathlib.Path(__file__)


@pytest.fixture
def thing():
    HERE.with_suffix(".begun").touch()
    yield
    HERE.with_suffix(".tidied").touch()


def test_slow(thing):
    time.sleep(60)
"""
DEAF = """
import pathlib
import signal
import time

HERE = pathlib.Path(__file__)


def test_deaf():
    signal.signal(signal.SIGINT, lambda *_: HERE.with_suffix(".heard").touch())
    HERE.with_suffix(".begun").touch()
    while True:
        time.sleep(60)
"""
WAIT_S = 240  # on an idle machine it takes two


def test_every_file_is_in_one_half():
    first, second = halves()
    assert sorted(first + second) == sorted(map(str, TESTS.glob("test_*.py"))) and not set(first) & set(second)
    assert str(Path(__file__)) in second
    for beginning in FIRST:
        assert any(Path(path).name.startswith(beginning) for path in first), f"{beginning}: no file begins so"


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((OK, OK), OK),
        ((OK, FAILED), FAILED),
        ((FAILED, OK), FAILED),
        ((OK, NO_TESTS), OK),
        ((NO_TESTS, NO_TESTS), NO_TESTS),
        ((NO_TESTS, FAILED), FAILED),
        ((OK, -9), FAILED),
        ((2, 4), FAILED),
        ((4, 4), 4),
    ],
)
def test_one_exit_code(codes, code):
    assert together(codes) == code


def write(folder, **texts):
    """Test files; returns their paths."""
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"test_{name}.py")
        paths[-1].write_text(text)
    return [str(path) for path in paths]


def started(groups, end_s=WAIT_S):
    """A process that runs some files in two halves, as `python tests/run_halves.py -q` does with those of the suite."""
    code = f"import sys, run_halves as r; r.END_S = {end_s}; r.halves = lambda: {groups!r}; sys.argv[1:] = ['-q']; sys.exit(r.main())"
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_failure_is_seen(tmp_path):
    good, bad = write(tmp_path, good=GOOD, bad=BAD)
    process = started([[good], [bad]])
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == FAILED
    assert "assert (6 * 9) == 42" in out and "FAILED" in out and "test_bad" in out
    assert out.index("1 passed") < out.index("=== the second half ===") < out.index("1 failed") < out.index("first half: 1 files, ")
    assert "second half: 1 files" in out and out.count("exit code 1") == 1


def wait_until_begun(process, paths):
    until = time.monotonic() + WAIT_S
    while not all(path.with_suffix(".begun").exists() for path in paths):
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_ctrl_c_ends_both(tmp_path):
    files = [Path(path) for path in write(tmp_path, one=SLOW, other=SLOW)]
    process = started([[str(path)] for path in files])
    wait_until_begun(process, files)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == INTERRUPTED and out.count("KeyboardInterrupt") >= 2 and "both halves have ended" in out
    assert all(path.with_suffix(".tidied").exists() for path in files), "fixtures weren't torn down"


def test_what_is_deaf_is_killed(tmp_path):
    files = [Path(path) for path in write(tmp_path, one=DEAF, other=DEAF)]
    process = started([[str(path)] for path in files], end_s=1)
    wait_until_begun(process, files)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=WAIT_S)  # it ends when nobody holds the pipe any more
    assert process.returncode == INTERRUPTED
    assert all(path.with_suffix(".heard").exists() for path in files)
