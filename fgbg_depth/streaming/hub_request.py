"""One GET to the Hub or its CDN, read piece by piece, with whichever HTTP library the installed client brings.

The HTTP client is made as `huggingface_hub` makes its own, so proxies and certificates that were set there hold here. It is another
one, though: theirs is closed in every forked process, and hangs there if a thread was just using it, as ours that read ahead do.
It has no timeouts of its own; each request here has one. Redirects aren't followed: a token must not leave the Hub.
"""

import atexit
import contextlib
import os
import socket
import threading

PIECE_BYTES = 1 << 16  # how much a thread reads before it looks whether it shall stop


class Answer:
    """What came back.

    Attributes:
        url: that was asked.
        status_code: HTTP status.
        headers: mapping, names in any case.
    """

    def __init__(self, url, response):
        self.url, self.status_code, self.headers, self._response = url, response.status_code, response.headers, response

    @property
    def is_redirect(self):
        return self.status_code in (301, 302, 303, 307, 308) and "Location" in self.headers

    def pieces(self):
        """The body, as it arrives."""
        if hasattr(self._response, "iter_bytes"):
            return self._response.iter_bytes()
        return self._response.iter_content(PIECE_BYTES)

    def break_off(self):
        """End a read that another thread is waiting in, if the library lets us reach the socket."""
        stream = getattr(self._response, "extensions", {}).get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)


class Refusal(Exception):
    """An answer that isn't what was asked for; `response` is the Answer, as errors of HTTP libraries have it."""

    def __init__(self, response, words=""):
        super().__init__(f"{response.status_code}: {words}" if words else str(response.status_code))
        self.response = response


@contextlib.contextmanager
def get(url, headers, timeout_s):
    """Ask for a URL; the connection is given back, or closed if the body wasn't read to its end.

    Args:
        url: address.
        headers: dict.
        timeout_s: of connecting, and of each wait for further bytes [s].

    Yields:
        Answer.
    """
    session = _session()
    headers = {**headers, "Accept-Encoding": "identity"}
    if callable(getattr(session, "stream", None)):
        with session.stream("GET", url, headers=headers, timeout=timeout_s, follow_redirects=False) as response:
            yield Answer(url, response)
    else:  # before version 1.0 the client spoke through `requests`
        with session.get(url, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True) as response:
            yield Answer(url, response)


_process = {"client": None, "lock": threading.Lock()}


def _session():
    """The client of this process, or the thread's own where clients are `requests`."""
    from huggingface_hub.utils import _http, get_session

    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if factory is None:
        return get_session()
    with _process["lock"]:
        if _process["client"] is None or getattr(_process["client"], "is_closed", False):
            _process["client"] = factory()
        return _process["client"]


def _forget():
    """In a forked process: the connections are those of the parent, and its threads may hold the lock."""
    _process.update(client=None, lock=threading.Lock())


def _leave():
    client = _process["client"]
    if client is not None:
        client.close()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
