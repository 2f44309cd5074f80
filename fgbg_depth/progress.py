"""Progress of long work, on stderr: a bar with rate and time left, or plain lines where there is no terminal."""

import contextlib
import sys
import time

PLAIN_EVERY_S = 10  # a log file shows that the work lives, and stays short


class Task:
    """One piece of work under way; `update` tells how far it is."""

    def update(self, done, total=None):
        """Args: done: units finished so far, earlier runs included; total: all units, None leaves it as it is."""


class Quiet:
    """Shows nothing; the base of the others."""

    @contextlib.contextmanager
    def task(self, title, total, done=0, unit="files"):
        """Show one piece of work.

        Args:
            title: what is done.
            total: number of units, None when it isn't known yet.
            done: units that were finished before.
            unit: what is counted.

        Yields:
            Task.
        """
        yield Task()


class Plain(Quiet):
    """A line now and then, for logs."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr

    @contextlib.contextmanager
    def task(self, title, total, done=0, unit="files"):
        task = _PlainTask(self._stream, title, total, done, unit)
        yield task
        task.close()


class _PlainTask(Task):
    def __init__(self, stream, title, total, done, unit):
        self._stream, self._title, self._total, self._unit = stream, title, total, unit
        self._first, self._done = done, done
        self._started = self._last = time.monotonic()

    def update(self, done, total=None):
        self._done, self._total = done, total if total is not None else self._total
        if time.monotonic() - self._last >= PLAIN_EVERY_S:
            self._last = time.monotonic()
            self._say(self._last - self._started)

    def close(self):
        elapsed = time.monotonic() - self._started
        if self._done > self._first or elapsed >= PLAIN_EVERY_S:
            self._say(elapsed, end=f" in {elapsed:.1f} s")

    def _say(self, elapsed, end=""):
        if not self._done and not self._total:  # a task that counts nothing
            print(f"{self._title}{end or ' ...'}", file=self._stream, flush=True)
            return
        rate = (self._done - self._first) / elapsed if elapsed > 0 else 0
        of = f" of {self._total:,}" if self._total else ""
        left = ""
        if not end and rate > 0 and self._total:
            left = f", {clock((self._total - self._done) / rate)} left"
        print(f"{self._title}: {self._done:,}{of} {self._unit}{end}, {rate:,.1f} {self._unit}/s{left}", file=self._stream, flush=True)


class Bar(Quiet):
    """A bar of `rich`, for terminals."""

    def __init__(self):
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextlib.contextmanager
    def task(self, title, total, done=0, unit="files"):
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

        class Count(ProgressColumn):
            def render(self, task):
                if not task.completed and not task.total:  # nothing is counted, or not yet
                    return ""
                return f"{task.completed:,.0f}" + (f" of {task.total:,.0f}" if task.total else "") + f" {unit}"

        class Rate(ProgressColumn):
            def render(self, task):
                return f"{task.speed:,.1f} {unit}/s" if task.speed else ""

        columns = (TextColumn("{task.description}"), BarColumn(), Count(), Rate(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, speed_estimate_period=60) as shown:
            number = shown.add_task(title, total=total, completed=done)
            yield _BarTask(shown, number)


class _BarTask(Task):
    def __init__(self, shown, number):
        self._shown, self._number = shown, number

    def update(self, done, total=None):
        self._shown.update(self._number, completed=done, **({"total": total} if total is not None else {}))


def for_stream(stream=None):
    """A Bar on a terminal, Plain lines elsewhere."""
    stream = stream or sys.stderr
    return Bar() if stream.isatty() else Plain(stream)


def clock(seconds):
    """Seconds as people read them: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def size(count_bytes):
    """Bytes as people read them, in powers of 1,000."""
    value = float(count_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
