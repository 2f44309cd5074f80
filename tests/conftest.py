"""What all tests share: where the pictures are, no network, the command line as a user runs it, and the rule on skips."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Before anything imports a library of Hugging Face: nothing is downloaded, and no cache of the machine is read or filled.
_hub_home = tempfile.mkdtemp(prefix="fgbg_depth-hub-")
atexit.register(shutil.rmtree, _hub_home, ignore_errors=True)
os.environ.update(HF_HOME=_hub_home, HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
os.environ["XDG_CACHE_HOME"] = _hub_home  # where densedepth-nyu is looked for
os.environ.pop("FGBG_DEPTH_WEIGHTS", None)

# A shell that starts this in the background has it ignore Ctrl-C, and so all that it starts: runs that tests stop wouldn't hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "fgbg_depth" / "samples"
# Pictures, rooms and reference weights that are too large for the repository.
SHARED = Path(os.environ.get("FGBG_DEPTH_SHARED") or ROOT.parent / "shared")

# Helpers tell what an assertion compared, as tests do; fixtures that several files share have modules of their own.
pytest.register_assert_rewrite("card_texts", "densedepth.command", "exact_pixels", "old_datasets", "publishing", "real_runs", "verify_sets")
pytest_plugins = ("fetch_fixtures", "hub_fixtures", "s3_fixtures", "set_fixtures")


def run_cli(*words, check=True, **options):
    """Run `python -m fgbg_depth ...` as a process of its own; returns the CompletedProcess with text output."""
    command = [sys.executable, "-m", "fgbg_depth", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done


def pytest_sessionfinish(session):
    """A test that is skipped for want of something counts as failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("skipped tests count as failed: CI has to run every one", red=True)


@pytest.fixture(scope="session", autouse=True)
def no_waste():
    """What takes time and shows nothing, in this process: a disk is waited for, though no power fails; a plot is drawn again, though the
    statistics are the same. (That they give the same bytes is shown in `test_plots`, by `plots.draw_plots` itself.)
    """
    from fgbg_depth.sheets import plots, write

    drawn = {}

    def draw_once(stats, max_bytes):
        key = json.dumps([stats, max_bytes])
        if key not in drawn:
            drawn[key] = plots.draw_plots(stats, max_bytes)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(write, "draw_plots", draw_once)
        yield


@pytest.fixture(scope="session")
def shared():
    """Path of the shared pictures; a test that needs them fails without."""
    assert SHARED.is_dir(), f"{SHARED} is missing; set FGBG_DEPTH_SHARED to the folder of shared pictures"
    return SHARED


@pytest.fixture(scope="session")
def nyu_h5(tmp_path_factory):
    """A Keras file like the authors' nyu.h5, with the reference weights: 173 MB, removed at the end."""
    from densedepth import reference

    path = tmp_path_factory.mktemp("keras") / "nyu.h5"
    assert reference.write_h5(path, reference.model_config("nyu")) == reference.SEED0_SHA256
    yield path
    path.unlink()
