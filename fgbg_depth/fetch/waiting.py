"""Which picture is fetched next: the list's order, but no host is asked too often or by too many at once.

Threads take work here and put what has to be tried again back; nobody sleeps while another host could be served.
"""

import threading
import time
from collections import deque


class Line:
    """Work in order, one queue for each host.

    Args:
        items: (host, item) pairs in their order.
        per_host: items of one host under way at once; one alone until the host is admitted.
        gap_s: least time between two of one host [s].
        now: function that gives the time [s].
    """

    def __init__(self, items, per_host, gap_s=0.0, now=time.monotonic):
        self._ready, self._later, self._active = {}, {}, {}
        self._not_before, self._gap_s = {}, {}  # a host has a gap once it is admitted
        self._per_host, self._least_gap_s, self._now = per_host, gap_s, now
        self._changed, self._stopped = threading.Condition(), False
        for number, (host, item) in enumerate(items):
            self._ready.setdefault(host, deque()).append((number, item))
            self._later.setdefault(host, [])
            self._active.setdefault(host, 0)

    def take(self):
        """The next (host, (number, item)), as soon as there is one; None when all is done, or after `stop`."""
        with self._changed:
            while not self._stopped:
                taken, wake = self._next()
                if taken is not None:
                    return taken
                if wake is None and not any(self._active.values()):
                    self._changed.notify_all()  # the others are waiting for what will not come
                    return None
                self._changed.wait(None if wake is None else max(0.0, wake - self._now()))
            return None

    def _next(self):
        """(what to do now or None, when it is worth to look again or None)."""
        wake, now = None, self._now()
        for host in list(self._ready):
            ready, later = self._ready[host], self._later[host]
            if not ready and not later and not self._active[host]:
                del self._ready[host]  # a list may have thousands of hosts: those that are done aren't looked at again
            if self._active[host] >= (self._per_host if host in self._gap_s else 1) or not (ready or later):
                continue
            first = min(later, default=None)
            due = max(self._not_before.get(host, now), now if ready else first[0])
            if due > now:
                wake = due if wake is None else min(wake, due)
                continue
            if first is not None and first[0] <= now:
                later.remove(first)
                numbered = first[1:]
            else:
                numbered = ready.popleft()
            self._active[host] += 1
            self._not_before[host] = max(self._not_before.get(host, now), now + self._gap_s.get(host, self._least_gap_s))
            return (host, numbered), None
        return None, wake

    def done(self, host):
        """An item of a host is finished, for better or worse."""
        with self._changed:
            self._active[host] -= 1
            self._changed.notify_all()

    def again(self, host, numbered, wait_s, whole_host=False):
        """Try an item again after some time; with `whole_host` nothing is asked of that host before."""
        with self._changed:
            at = self._now() + wait_s
            self._later[host].append((at, *numbered))
            if whole_host:
                self._not_before[host] = max(self._not_before.get(host, 0), at)
            self._active[host] -= 1
            self._changed.notify_all()

    def admit(self, host, gap_s=0.0):
        """A host's wishes are known: it may be asked by several, with at least so much time between two requests [s]."""
        with self._changed:
            if host not in self._gap_s:
                self._gap_s[host] = max(gap_s, self._least_gap_s)
                self._not_before[host] = max(self._not_before.get(host, 0), self._now() + self._gap_s[host])
                self._changed.notify_all()

    def stop(self):
        """Give out nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
