"""A switch that ends what other threads are doing: reads that wait for bytes, and pauses between tries."""

import contextlib
import threading


class Stopped(Exception):
    """The reader was told to stop; nobody waits for the bytes any more."""


class Halt:
    """Set once, by the thread that gives up; seen by those that read."""

    def __init__(self):
        self._event, self._answers = threading.Event(), []

    def set(self):
        """Make every `check` and `pause` raise Stopped, and break off the answers that are being read."""
        self._event.set()
        for answer in list(self._answers):
            answer.break_off()

    def check(self):
        """Raise Stopped if it is set."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds):
        """Sleep, but not beyond the moment when it is set."""
        if self._event.wait(seconds):
            raise Stopped

    @contextlib.contextmanager
    def watching(self, answer):
        """While the block runs, `set` breaks this answer off."""
        self._answers.append(answer)
        try:
            self.check()
            yield answer
        finally:
            self._answers.remove(answer)
