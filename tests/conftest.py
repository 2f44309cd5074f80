"""What all tests share: where the big pictures are, no network, and the command line as a user runs it."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Before anything imports a library of Hugging Face: nothing is downloaded, and no cache of the machine is read or filled.
_hub_home = tempfile.mkdtemp(prefix="fgbg_depth-hub-")
atexit.register(shutil.rmtree, _hub_home, ignore_errors=True)
os.environ.update(HF_HOME=_hub_home, HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
os.environ["XDG_CACHE_HOME"] = _hub_home  # where densedepth-nyu is looked for

# Pictures, rooms and reference weights that are too large for the repository.
SHARED = Path(os.environ.get("FGBG_DEPTH_SHARED") or Path(__file__).resolve().parents[2] / "shared")


@pytest.fixture(scope="session")
def shared():
    """Path of the shared pictures; a test that needs them fails without."""
    assert SHARED.is_dir(), f"{SHARED} is missing; set FGBG_DEPTH_SHARED to the folder of shared pictures"
    return SHARED
