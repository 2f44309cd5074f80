"""robots.txt of the hosts that pictures come from, asked for once each, by the rules of RFC 9309.

A missing file (any 4xx) forbids nothing; one that can't be read (5xx, no answer) forbids all until it can. protego reads wildcards
and takes the longest match, which urllib.robotparser does not.
"""

import threading

from protego import Protego

from .transfer import Failure, Later

MAX_ROBOTS_BYTES = 500 * 1024  # RFC 9309: at least so much has to be read
MAX_GAP_S = 60  # a longer Crawl-delay counts as this


class Robots:
    """Answers of all hosts.

    Args:
        get: function (url) that gives (status, bytes) of a small file, redirects followed; raises Later when there is no answer.
        agent: our product token.
        permitted: hosts ("name" or "name:port") whose owners let us, which aren't asked.
        on_known: function (origin, seconds) that is told when a host's wishes are known, and its Crawl-delay.
    """

    def __init__(self, get, agent, permitted=(), on_known=lambda origin, gap_s: None):
        self._get, self._agent, self._permitted, self._on_known = get, agent, frozenset(permitted), on_known
        self._rules, self._locks, self._lock = {}, {}, threading.Lock()

    def is_permitted(self, origin):
        """True for a host whose robots.txt and opt-out headers aren't asked."""
        host = origin.partition("://")[2]
        return host in self._permitted or host.partition(":")[0] in self._permitted

    def check(self, origin, url):
        """Return when a picture may be fetched.

        Raises:
            Failure: its host's robots.txt forbids it.
            Later: the robots.txt can't be read now.
        """
        if self.is_permitted(origin):
            self._on_known(origin, 0.0)
            return
        with self._lock:
            lock = self._locks.setdefault(origin, threading.Lock())
        with lock:  # one asks, the others of this host wait
            if origin not in self._rules:
                self._rules[origin] = self._read(origin)
                gap_s = self._rules[origin] and self._rules[origin].crawl_delay(self._agent)
                self._on_known(origin, min(gap_s or 0.0, MAX_GAP_S))
        rules = self._rules[origin]
        if rules is not None and not rules.can_fetch(url, self._agent):
            raise Failure(f"robots.txt of {origin} forbids it to {self._agent}")

    def _read(self, origin):
        status, data = self._get(f"{origin}/robots.txt")
        if 400 <= status < 500 and status != 429:
            return None
        if status != 200:
            raise Later(f"robots.txt of {origin} can't be read ({status}), so nothing may be fetched there")
        return Protego.parse(data[:MAX_ROBOTS_BYTES].decode("utf-8", "replace"))
