"""Several processes that work through a list of items, and how they end.

Workers are spawned, never forked: a forked copy of a threaded library may hang. Each takes one item at a time, so the order
in which results come back is not the order of the items; callers sort what they collect.

A worker whose parent was killed finds its pipe broken and ends. One that is killed itself is noticed by the parent, which
stops the others and names the item that it was at. Ctrl-C reaches all processes of a terminal at once; workers don't hear it,
from their first moment on, and are stopped by the parent.
"""

import contextlib
import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

from . import errors
from .produce import one_thread

STOP_TIMEOUT_S = 5  # workers that haven't ended after SIGTERM for so long are killed
STOPPED = 143  # exit code of a worker that was told to end: 128 + SIGTERM
FAILED = 1


def run_pool(task, items, num_workers, on_result, on_progress=None, advice=""):
    """Work through items, in this process for one worker, else in several.

    Args:
        task: an object that can be pickled, with `open() -> function (item, say)`; `open` is called once in each worker.
            What the function returns goes to `on_result`; `say(count)` tells how far it is.
        items: list of what can be pickled.
        num_workers: at least 1.
        on_result: function (item, result), called in this process.
        on_progress: function (count), called in this process.
        advice: what to do after a worker was killed; ends the error's message.

    Raises:
        FgbgDepthError: the first error of a worker; the others are stopped.
    """
    say = on_progress or (lambda count: None)
    if min(num_workers, len(items)) <= 1:
        with one_thread():
            work = task.open() if items else None
            for item in items:
                on_result(item, work(item, say))
        return
    pool = _Pool(advice)
    try:
        pool.start(task, min(num_workers, len(items)))
        pool.run(items, on_result, say)
    finally:
        pool.stop()


class _Pool:
    def __init__(self, advice):
        self._workers, self._advice = {}, advice

    def start(self, task, count):
        context = multiprocessing.get_context("spawn")
        for number in range(count):
            with _no_interrupt():
                ours, theirs = context.Pipe()
                process = context.Process(target=_live, args=(theirs, task), name=f"fgbg-depth-{number}", daemon=True)
                process.start()
                theirs.close()
                self._workers[ours] = process

    def run(self, items, on_result, say):
        waiting, busy = deque(items), dict.fromkeys(self._workers)
        while busy:
            for pipe in wait(list(busy)):
                try:
                    self._hear(pipe, busy, waiting, on_result, say)
                except (EOFError, ConnectionError):
                    raise self._died(pipe, busy[pipe]) from None

    def _hear(self, pipe, busy, waiting, on_result, say):
        kind, *values = pipe.recv()
        if kind == "said":
            say(*values)
            return
        if kind == "error":
            raise rebuilt(*values)
        if kind == "done":
            on_result(busy[pipe], *values)
        # "ready" comes once, at the start
        busy[pipe] = waiting.popleft() if waiting else None
        pipe.send(busy[pipe])
        if busy[pipe] is None:
            del busy[pipe]

    def _died(self, pipe, item):
        process = self._workers[pipe]
        process.join(STOP_TIMEOUT_S)
        how = f"signal {-process.exitcode}" if (process.exitcode or 0) < 0 else f"exit code {process.exitcode}"
        at = f" while it was at {getattr(item, 'name', item)}" if item is not None else " while it started"
        return errors.FgbgDepthError(
            f"a worker process ended by {how}{at} (signal 9 often means that memory ran out; try fewer --workers). {self._advice}".rstrip()
        )

    def stop(self):
        for pipe, process in self._workers.items():
            pipe.close()
            process.terminate()
        until = time.monotonic() + STOP_TIMEOUT_S
        for process in self._workers.values():
            process.join(max(0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


@contextlib.contextmanager
def _no_interrupt():
    """Hold Ctrl-C back from this thread for a moment; processes that it starts meanwhile never hear it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it lets signals through again, so it must be there before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def rebuilt(name, message, trace):
    """A worker's exception; one that isn't ours keeps its traceback as text."""
    kind = getattr(errors, name, None)
    if kind is None:
        return errors.FgbgDepthError(f"a worker failed unexpectedly:\n{trace}")
    return kind(message)


def _live(pipe, task):
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    try:
        with one_thread():
            work = task.open()
            pipe.send(("ready",))
            while (item := pipe.recv()) is not None:
                pipe.send(("done", work(item, lambda count: pipe.send(("said", count)))))
    except Exception as error:
        with contextlib.suppress(ConnectionError):  # when the parent is gone, which is an error too, nobody is left to tell
            pipe.send(("error", type(error).__name__, str(error), traceback.format_exc()))
        sys.exit(FAILED)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what libraries do at the end isn't disturbed either


def _leave(*_):
    """End through `finally`, so that temporary files go; a second SIGTERM doesn't disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(STOPPED)
