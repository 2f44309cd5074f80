"""Tasks for workers in a Ray cluster, and ways to find those workers on this machine; the workers import this file too."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from fgbg_depth.errors import PlanError, WeightsError

WAIT_S = 60  # for other workers, which take a second or two to start on an idle machine


@dataclass(frozen=True)
class Squares:
    """Squares numbers, as soon as `together` workers are there. The first `deaths` workers that come to 13 are killed.

    `folder` is where all leave their marks.
    """

    folder: Path
    deaths: int = 0
    together: int = 1

    def open(self):
        (self.folder / f"worker-{os.getpid()}").touch()
        return self._square

    def _square(self, number, say):
        say(1)
        until = time.monotonic() + WAIT_S
        while len(list(self.folder.glob("worker-*"))) < self.together and time.monotonic() < until:
            time.sleep(0.05)
        if number == 13 and len(list(self.folder.glob("death-*"))) < self.deaths:
            (self.folder / f"death-{os.getpid()}").touch()
            time.sleep(1.5)  # until what was said has been heard
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 17:
            raise PlanError("seventeen")
        if number == 19:
            raise ZeroDivisionError("nineteen")
        return number * number


@dataclass(frozen=True)
class Broken:
    """Workers that can't begin: they say why, or die."""

    dies: bool = False

    def open(self):
        if self.dies:
            os._exit(9)
        raise WeightsError("no weights")


def who(word):
    """What it was given, and where it runs."""
    return word, os.getpid()


def actors():
    """Process ids of the actors of this process's cluster (RAY_TMPDIR is its own), as Linux lists them in /proc; those at work first."""
    found, home = [], f"RAY_TMPDIR={os.environ['RAY_TMPDIR']}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, variables = (folder / "cmdline").read_text(), (folder / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has just ended
        if words.startswith("ray::Actor") and home in variables:
            found.append((".work" not in words, int(folder.name)))
    return [pid for _, pid in sorted(found)]


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
