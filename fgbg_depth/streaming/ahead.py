"""Reading ahead: background threads fetch what comes next, in order, within bounds.

Threads belong to the process, not to a stream: at most `MAX_THREADS`, however many streams are open, and the bytes that
wait are bounded likewise. They are daemons, and when the interpreter leaves they are told to stop and waited for a moment, so an
early break ends the process at once and cleanly. They fetch bytes and nothing else; no code of pyarrow runs in them.
"""

import atexit
import collections
import os
import threading
import time
import weakref

from .halt import Halt

MAX_THREADS = 4  # four row groups under way fill 100 MB/s at 100 ms of delay
AHEAD_BYTES = 32 << 20  # fetched and not yet used, all streams of a process together
GOODBYE_S = 2  # how long the interpreter waits for threads that are just breaking off


class ReadAhead:
    """Results of jobs, one after the other, fetched before they are asked for.

    Args:
        jobs: list; `load(job, halt)` gives the result of one.
        load: function.
        cost: function (job) -> bytes, an estimate.
        prepare: function (job, halt), called some jobs before `load`, for what would hold it up; its errors don't count.
    """

    def __init__(self, jobs, load, cost, prepare=None):
        self._jobs, self._load, self._cost, self._prepare = jobs, load, cost, prepare
        self._halt, self._tasks, self._begun = Halt(), {}, False
        self._next, self._prepared, self._waiting_bytes = 0, 0, 0
        _open.add(self)

    def begin(self):
        """Fetch ahead from now on."""
        if not self._begun:
            self._begun = True
            self._top_up()

    def take(self, number):
        """The result of a job; they are taken in order. Raises what its `load` raised."""
        if not self._begun:
            self._next = self._prepared = number + 1
            return self._load(self._jobs[number], self._halt)
        self._top_up()
        task = self._tasks.pop(number)
        try:
            return task.result()
        finally:
            self._waiting_bytes -= task.cost
            self._top_up()

    def close(self):
        """Let go of all that is under way."""
        self._halt.set()
        self._tasks.clear()
        _open.discard(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _top_up(self):
        budget = AHEAD_BYTES / max(1, len(_open))
        while self._next < len(self._jobs):
            job = self._jobs[self._next]
            cost = self._cost(job)
            if self._tasks and self._waiting_bytes + cost > budget:
                return
            self._prepare_from(self._next + MAX_THREADS)
            self._tasks[self._next] = _pool().submit(_Task(self._load, job, self._halt, cost))
            self._waiting_bytes += cost
            self._next += 1

    def _prepare_from(self, number):
        while self._prepare and self._prepared <= min(number, len(self._jobs) - 1):
            _pool().submit(_Task(self._prepare, self._jobs[self._prepared], self._halt, 0))
            self._prepared += 1


class _Task:
    def __init__(self, load, job, halt, cost):
        self.load, self.job, self.halt, self.cost = load, job, halt, cost
        self._done, self._value, self._error = threading.Event(), None, None

    def run(self):
        try:
            self.halt.check()
            self._value = self.load(self.job, self.halt)
        except BaseException as error:  # it is raised where the result is asked for
            self._error = error
        self._done.set()

    def result(self):
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value


class _Pool:
    """Threads that run tasks in the order of their coming."""

    def __init__(self):
        self._tasks, self._wake, self._idle, self.threads = collections.deque(), threading.Condition(), 0, []
        self.is_over = False

    def submit(self, task):
        with self._wake:
            self._tasks.append(task)
            if len(self._tasks) > self._idle and len(self.threads) < MAX_THREADS:
                thread = threading.Thread(target=self._work, name=f"fgbg_depth-ahead-{len(self.threads)}", daemon=True)
                self.threads.append(thread)
                thread.start()
            self._wake.notify()
        return task

    def _work(self):
        while True:
            with self._wake:
                self._idle += 1
                while not self._tasks and not self.is_over:
                    self._wake.wait()
                self._idle -= 1
                if self.is_over:
                    return
                task = self._tasks.popleft()
            task.run()
            del task  # else a thread that waits keeps the bytes of its last task

    def end(self):
        with self._wake:
            self.is_over = True
            self._wake.notify_all()


_open = weakref.WeakSet()
_process = {"pool": None}


def _pool():
    if _process["pool"] is None:
        _process["pool"] = _Pool()
    return _process["pool"]


def _leave():
    """Stop all threads before the interpreter goes."""
    for stream in list(_open):
        stream.close()
    pool, _process["pool"] = _process["pool"], None
    if pool is not None:
        pool.end()
        until = time.monotonic() + GOODBYE_S
        for thread in pool.threads:
            thread.join(max(0, until - time.monotonic()))


def _forget():
    """In a forked process: the threads stayed behind."""
    _process["pool"] = None
    _open.clear()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
