"""The request log: what was asked, by whom, what was answered, how many bytes went each way."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Entry:
    """One request. `status` is None while there is no answer, and stays so if the connection ended before one."""

    number: int
    port: str  # "hub" or "cdn"
    method: str
    path: str
    query: str
    range: str | None
    auth: bool  # an Authorization header came
    user_agent: str
    started_s: float = field(default_factory=time.monotonic)
    user: str | None = None
    status: int | None = None
    bytes_in: int = 0  # of the body
    bytes_out: int = 0  # of the body, counted when they are handed to the socket
    fault: str | None = None  # name of the fault that struck
    routed: bool = True  # False: no route of the emulator knows this path
    seconds: float | None = None  # None while it is being served

    @property
    def target(self):
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self):
        query = re.sub(r"&?X-[A-Z]\w+=[^&]*", "", f"?{self.query}").rstrip("?")  # without the signature
        parts = [f"{self.port} {self.method} {self.path}{query} -> {self.status}", f"in {self.bytes_in} out {self.bytes_out}"]
        parts += [self.range] if self.range else []
        parts += [f"[{self.fault}]"] if self.fault else []
        return "  ".join(parts)


class Log:
    """All requests in order of arrival. Safe to read while requests come in."""

    def __init__(self, on_end=None):
        self._entries, self._lock, self._idle = [], threading.Lock(), threading.Condition()
        self._open = 0
        self._on_end = on_end  # called with each finished entry, for printing

    def begin(self, request):
        headers = request.headers
        with self._lock:
            entry = Entry(
                len(self._entries), request.port, request.method, request.path, request.query, headers.get("Range"),
                headers.get("Authorization") is not None, headers.get("User-Agent") or "",
            )  # fmt: skip
            self._entries.append(entry)
        with self._idle:
            self._open += 1
        return entry

    def end(self, entry):
        entry.seconds = time.monotonic() - entry.started_s
        if self._on_end:
            self._on_end(entry)
        with self._idle:
            self._open -= 1
            self._idle.notify_all()

    def wait_idle(self, timeout_s=10):
        """Wait until no request is being served: after a client was killed, what it sent is still being read."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._open == 0, timeout_s):
                raise TimeoutError(f"{self._open} requests are still being served after {timeout_s} s")

    def mark(self):
        """A place in the log, for `since=`."""
        with self._lock:
            return len(self._entries)

    def filter(self, method=None, path=None, port=None, status=None, since=0):
        """Entries that match everything given, in order of arrival.

        Args:
            method: such as "PUT".
            path: regular expression, searched in path and query as they came (still quoted).
            port: "hub" or "cdn".
            status: exact status; 2, 4 or 5 mean the whole class.
            since: what `mark` gave.
        """
        with self._lock:
            entries = self._entries[since:]
        return [
            e
            for e in entries
            if (method is None or e.method == method)
            and (path is None or re.search(path, e.target))
            and (port is None or e.port == port)
            and (status is None or e.status == status or (status < 10 and (e.status or 0) // 100 == status))
        ]

    def lines(self, since=0):
        """The log as `METHOD path status`, one string each: short to compare in a test."""
        return [f"{e.method} {e.path} {e.status}" for e in self.filter(since=since)]

    def bytes_out(self, since=0):
        return sum(e.bytes_out for e in self.filter(since=since))

    def bytes_in(self, since=0):
        return sum(e.bytes_in for e in self.filter(since=since))

    def commits(self, since=0):
        """Requests that made a commit."""
        return self.filter("POST", r"^/api/\w+/[^/]+/[^/]+/commit/", "hub", 2, since)

    def blob_uploads(self, since=0):
        """How often each blob, or part of one, arrived whole: Counter of (sha256, part number or None).

        A count above 1 is a blob that was sent twice. Uploads that a fault broke off are not in it.
        """
        found = Counter()
        for entry in self.filter("PUT", port="cdn", status=2, since=since):
            part = re.search(r"partNumber=(\d+)", entry.query)
            found[entry.path.rsplit("/", 1)[1], int(part[1]) if part else None] += 1
        return found

    def unrouted(self, since=0):
        """Requests for which the emulator has no route: something that it should learn, or a client on a wrong path."""
        return [e for e in self.filter(since=since) if not e.routed]

    def auth_on_cdn(self):
        """Requests that carried a token to the cdn: there must be none, its URLs are signed."""
        return [e for e in self.filter(port="cdn") if e.auth]

    def clear(self):
        with self._lock:
            self._entries.clear()

    def __iter__(self):
        return iter(self.filter())

    def __len__(self):
        return self.mark()
