"""Several processes that work through a list of items, and how they end.

Workers are spawned, never forked: a forked copy of a threaded library may hang. Each takes one item at a time, so the order
in which results come back is not the order of the items; callers sort what they collect.

A worker whose parent was killed finds its pipe broken and ends. One that is killed itself is noticed by the parent, which
stops the others and names the item that it was at.
"""

import multiprocessing
import signal
import sys
import traceback
from collections import deque
from multiprocessing.connection import wait

from . import errors
from .produce import one_thread

STOP_TIMEOUT_S = 5  # a worker that hasn't ended after SIGTERM for so long is killed


def run_pool(task, items, num_workers, on_result, on_progress=None):
    """Work through items, in this process for one worker, else in several.

    Args:
        task: an object that can be pickled, with `open() -> function (item, say)`; `open` is called once in each worker.
            What the function returns goes to `on_result`; `say(count)` tells how far it is.
        items: list of what can be pickled.
        num_workers: at least 1.
        on_result: function (item, result), called in this process.
        on_progress: function (count), called in this process.

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
    pool = _Pool(task, min(num_workers, len(items)))
    try:
        pool.run(items, on_result, say)
    finally:
        pool.stop()


class _Pool:
    def __init__(self, task, count):
        context = multiprocessing.get_context("spawn")
        self._workers = {}
        for number in range(count):
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
                    kind, *values = pipe.recv()
                except (EOFError, ConnectionError):
                    raise self._died(pipe, busy[pipe]) from None
                if kind == "said":
                    say(*values)
                    continue
                if kind == "error":
                    raise _rebuilt(*values)
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
        at = f" while it was at {item}" if item is not None else " while it started"
        return errors.FgbgDepthError(
            f"a worker process ended by {how}{at} (signal 9 often means that memory ran out; try fewer --workers)"
        )

    def stop(self):
        for pipe, process in self._workers.items():
            pipe.close()
            if process.is_alive():
                process.terminate()
        for process in self._workers.values():
            process.join(STOP_TIMEOUT_S)
            if process.is_alive():
                process.kill()
                process.join()


def _rebuilt(name, message, trace):
    """A worker's exception; one that isn't ours keeps its traceback as text."""
    kind = getattr(errors, name, None)
    if kind is None:
        return errors.FgbgDepthError(f"a worker failed unexpectedly:\n{trace}")
    return kind(message)


def _live(pipe, task):
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through `finally`, so that temporary files go
    try:
        with one_thread():
            work = task.open()
            pipe.send(("ready",))
            while (item := pipe.recv()) is not None:
                pipe.send(("done", work(item, lambda count: pipe.send(("said", count)))))
    except (EOFError, ConnectionError):
        sys.exit(1)  # the parent is gone; nobody is left to tell
    except Exception as error:
        pipe.send(("error", type(error).__name__, str(error), traceback.format_exc()))
        sys.exit(1)
