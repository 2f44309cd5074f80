"""A process that leaves in the middle of a stream ends at once and cleanly, however it leaves."""

import json
import os
import subprocess
import sys
import time

import pytest
from hub import faults
from streams import noise_set

TIMES = 2  # an abort at the end of the interpreter comes in nearly every run, but not in all
AHEAD = "rows = iter(data)\nfor _ in range(45): next(rows)\n"  # reading ahead is under way
THREAD = "def work():\n    rows = iter(data)\n    for _ in range(45): next(rows)\nthread = threading.Thread(target=work)\n"
LEAVE = {
    "the first row only": "next(iter(data))",
    "an iterator that lives on": f"{AHEAD}print('bye')",
    "sys.exit": f"{AHEAD}sys.exit(0)",
    "break": "for number, row in enumerate(data):\n    if number == 45: break",
    "two streams": f"{AHEAD}more = iter(fgbg_depth.stream(repo, shuffle_seed=1))\nfor _ in range(60): next(more)",
    "take": "list(data.take(41))",
    "a thread of its own": f"{THREAD}thread.start(); thread.join()",
    "to the end": "list(data)",
}
WITH_WORKERS = {
    "break": "for batch in loader: break",
    "an iterator that lives on": "batches = iter(loader); next(batches); next(batches)",
    "sys.exit": "batches = iter(loader); next(batches)\nsys.exit(0)",
}
OPEN = "import sys, threading, fgbg_depth\nrepo = sys.argv[1]\ndata = fgbg_depth.stream(repo)\n"
LOADER = "loader = DataLoader(data.select_columns(['key']), batch_size=4, num_workers=2)\n"
# Imports are paid once: each way is gone in a fork, which then leaves through the interpreter's own end, as any process does.
FORKS = """
import json, os, sys, fgbg_depth.streaming
if sys.argv[3] == "workers":
    from torch.utils.data import DataLoader
for way in json.loads(sys.argv[2]):
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    way = ""
exec(way)
"""


@pytest.fixture(scope="module", autouse=True)
def noise(hub):
    hub.create_repo("alice/noise").write_folder(noise_set())
    hub.set_speed(delay_s=0.01)  # so that requests are under way when the process leaves


def start(hub, tmp_path, code, *arguments, **environment):
    script = tmp_path / "script.py"
    script.write_text(code)
    env = {**os.environ, **hub.env(tmp_path / "home"), **environment}
    return subprocess.Popen([sys.executable, str(script), *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("source", ["hub", "folder"])
def test_leaving_early_is_clean(hub, tmp_path, source):
    repo = "alice/noise" if source == "hub" else str(noise_set())
    ways = [OPEN + way for way in LEAVE.values()] * TIMES
    process = start(hub, tmp_path, FORKS, repo, json.dumps(ways), "alone", USE_TORCH="0")
    said = process.communicate(timeout=300)[0].splitlines()
    assert process.returncode == 0
    assert [line for line in said if line != "bye"] == ["0"] * len(ways)
    assert said.count("bye") == TIMES


def test_leaving_workers_early_is_clean(hub, tmp_path):
    ways = [OPEN + LOADER + way for way in WITH_WORKERS.values()] * TIMES
    process = start(hub, tmp_path, FORKS, "alice/noise", json.dumps(ways), "workers")
    said = process.communicate(timeout=300)[0].splitlines()
    assert (process.returncode, said) == (0, ["0"] * len(ways))


def test_a_process_of_its_own_leaves_cleanly(hub, tmp_path):
    for way in ("the first row only", "sys.exit"):
        started = [start(hub, tmp_path, OPEN + LEAVE[way], "alice/noise", USE_TORCH="0") for _ in range(2)]
        for process in started:
            assert (process.communicate(timeout=120)[0], process.returncode) == ("", 0)


def test_an_error_is_told_as_ever(hub, tmp_path):
    process = start(hub, tmp_path, f"{OPEN}{AHEAD}raise KeyError('mine')", "alice/noise", USE_TORCH="0")
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and said.rstrip().endswith("KeyError: 'mine'")
    assert said.count("Traceback") == 1 and "terminate" not in said


def test_a_silent_hub_does_not_hold_the_process(hub, tmp_path):
    """The threads that read ahead wait for bytes that don't come."""
    rule = hub.faults.add(faults.hang(60), path="b000-0000[23]", count=None)
    process = start(hub, tmp_path, f"{OPEN}{AHEAD}import time; time.sleep(0.3); print(time.time())", "alice/noise", USE_TORCH="0")
    said = process.communicate(timeout=50)[0]
    seconds = time.time() - float(said)
    hub.faults.clear()
    assert process.returncode == 0 and rule.fired
    assert seconds < 8
