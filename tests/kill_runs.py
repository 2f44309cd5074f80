"""Kill real runs at chosen moments.

Moments are file events: names that appear in the output folder, temporary ones too. An undisturbed run is watched once, which
gives the order of the events; a moment is a place in that order and a delay. `kill_at` starts a run and kills its whole process
group with signal 9 as soon as an event at that place, or a later one, is seen.
"""

import itertools
import os
import random
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from real_runs import RUN_TIMEOUT_S, end_of, kill_group, start

POLL_S = 0.002
DELAYS_S = (0, 0, 0.01, 0.04)  # a small file is written in some milliseconds, a shard in some hundredths of a second
_TEMPORARY = re.compile(r"\.(?P<name>[^/]+)\.fgbg-depth-\d+$")
WORKER = "spawn_main"  # in the command line of a worker


def names_in(folder):
    """Paths of all files below a folder; files may come and go meanwhile."""
    found, waiting = set(), [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    waiting.append(entry.path) if entry.is_dir(follow_symlinks=False) else found.add(entry.path)
        except FileNotFoundError:
            continue
    return {os.path.relpath(path, folder) for path in found}


def event_name(path):
    """A file's name without the number of the process that writes it."""
    return _TEMPORARY.sub(r"\g<name> (temporary)", path)


def watch(process, folder, seen):
    """Yield the names of files as they appear, until the process ends; `seen` holds the paths that were there before."""
    until = time.monotonic() + RUN_TIMEOUT_S
    while process.poll() is None:
        assert time.monotonic() < until, f"a run didn't end within {RUN_TIMEOUT_S} s"
        new = names_in(folder) - seen
        seen = seen | new
        for path in sorted(new):
            yield event_name(path)
        time.sleep(POLL_S)


def order_of_events(arguments, folder):
    """Run to the end, undisturbed; returns {event: its place}."""
    seen, order = names_in(folder), {}
    process = start(arguments)
    for event in watch(process, folder, seen):
        order.setdefault(event, len(order))
    ended = end_of(process)
    assert ended.code == 0, ended.err
    return order


@dataclass(frozen=True)
class Moment:
    """A place in the order of events, and a wait after it [s]."""

    place: int
    delay_s: float


def choose_moments(order, count, seed):
    """Moments spread over a run: one in each of `count` equal parts of its events, ascending."""
    rng = random.Random(seed)
    borders = [round(i * len(order) / count) for i in range(count + 1)]
    parts = itertools.pairwise(borders)
    return [Moment(rng.randrange(low, max(high, low + 1)), rng.choice(DELAYS_S)) for low, high in parts]


@dataclass(frozen=True)
class Killed:
    """How far a killed run came: the event at which it was killed; None when it ended before."""

    event: str | None
    code: int


def kill_at(arguments, folder, order, moment):
    """Start a run and kill its process group at a moment."""
    seen, hit = names_in(folder), None
    process = start(arguments)
    try:
        for event in watch(process, folder, seen):
            if order.get(event, -1) >= moment.place:
                hit = event
                time.sleep(moment.delay_s)
                break
    finally:
        kill_group(process)
        process.communicate()
    return Killed(hit if process.returncode == -signal.SIGKILL else None, process.returncode)


def wait_for(process, folder, pattern):
    """Wait until a file like `pattern` is in the folder; the run mustn't end before."""
    until = time.monotonic() + RUN_TIMEOUT_S
    while not list(Path(folder).glob(pattern)):
        assert process.poll() is None, f"the run ended before {pattern} was there: {process.communicate()}"
        assert time.monotonic() < until, f"{pattern} didn't appear within {RUN_TIMEOUT_S} s"
        time.sleep(POLL_S)


def workers_of(process):
    """Process ids of the workers of a run, as Linux lists them in /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if parent == process.pid and WORKER in words:
            found.append(int(folder.name))
    return found


def wait_for_workers(process, count):
    """Process ids of the workers, as soon as all are there."""
    until = time.monotonic() + RUN_TIMEOUT_S
    while len(found := workers_of(process)) < count:
        assert process.poll() is None and time.monotonic() < until, "the workers didn't start"
        time.sleep(POLL_S)
    return found
