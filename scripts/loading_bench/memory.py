"""Peak memory of this process and all below it, as PSS: pages that several share are counted once."""

import os
import threading
from pathlib import Path

EVERY_S = 0.1  # looking costs a few milliseconds for each process; the rate is measured in other rounds


class Sampler:
    """Looks now and then, in a thread, for as long as the `with` lasts; `peak_bytes` is the most that it saw."""

    def __init__(self):
        self.peak_bytes, self._done = 0, threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _look(self):
        while True:
            self.peak_bytes = max(self.peak_bytes, tree_bytes(os.getpid()))
            if self._done.wait(EVERY_S):
                return


def tree_bytes(pid):
    """PSS of a process and its descendants now."""
    return sum(map(_pss_bytes, _tree(pid)))


def _tree(pid):
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _text(children).split():
            yield from _tree(int(child))


def _pss_bytes(pid):
    for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path):
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""
