"""Three stages of one stream of work at the same time: a source, the work itself, and a sink.

The source runs ahead in a thread of its own, the work is done in the thread of the caller, and the sink takes the results in a
third one. Between two stages a few items wait, no more: memory stays bounded, and a slow stage holds back the one before it. Order
is kept, so what comes out is what the three would give in turn.

An error goes the way of the items: what came before it is finished first, so the error that is raised is that of the earliest item,
as in turn. Ctrl-C and what else isn't an `Exception` stops all stages at their next item. No thread is left behind.
"""

import contextlib
import threading
from collections import deque

AHEAD = 2  # items that wait between two stages: enough that a hiccup of one stage doesn't reach the next


def overlap(source, work, sink, ahead=AHEAD):
    """Run three stages at the same time.

    Args:
        source: generator of items; it runs in a thread.
        work: function (item) -> result, called in this thread, in order.
        sink: function (iterator of results); it runs in a thread.
        ahead: items that may wait before the work, and results behind it.

    Returns:
        what `sink` returned.

    Raises:
        whatever a stage raised; of several errors that of the earliest item.
    """
    ready, done, outcome = _Channel(ahead), _Channel(ahead), {}

    def fill():
        try:
            with contextlib.closing(source):
                for item in source:
                    ready.put(item)
        except _Stopped:
            return
        except BaseException as error:
            ready.end(error)
        else:
            ready.end()

    def drain():
        try:
            outcome["result"] = sink(iter(done))
        except BaseException as error:
            outcome["error"] = error
        finally:
            done.stop()

    threads = [threading.Thread(target=stage, name=f"fgbg-depth-{stage.__name__}") for stage in (fill, drain)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        _carry(ready, work, done)
        threads[1].join()
    finally:
        ready.stop()
        done.stop()
        for thread in started:
            thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def in_turn(source, work, sink):
    """The same stages one after the other, item by item, in this thread; see `overlap`."""
    with contextlib.closing(source):
        return sink(work(item) for item in source)


def _carry(ready, work, done):
    """The middle stage. What goes wrong before or here is handed on behind the results that are good."""
    try:
        for item in ready:
            done.put(work(item))
    except _Stopped:
        return  # the sink has ended
    except Exception as error:
        done.end(error)
    else:
        done.end()


class _Stopped(Exception):
    """The other side wants no more."""


class _Channel:
    """A bounded queue between two threads. It can end, with an error or without, or be stopped from either side."""

    def __init__(self, limit):
        self._items, self._limit, self._changed = deque(), limit, threading.Condition()
        self._ended = self._stopped = False
        self._error = None

    def put(self, item):
        """Hand an item on; waits while the queue is full. _Stopped when nobody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._limit)
            if self._stopped:
                raise _Stopped
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error=None):
        """No more items come; `error` is raised behind the last one."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self):
        """Both sides have to end at once; what waits is dropped."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._items or self._ended)
                if self._stopped:
                    raise _Stopped
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # the next one may take long to come
        if self._error is not None:
            raise self._error
