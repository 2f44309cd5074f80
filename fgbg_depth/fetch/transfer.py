"""One answer of a server into one file: bounded redirects, bounded size, bounded time, and a broken transfer goes on where it broke.

Bytes are asked for as they are stored (no compression), so that lengths and ranges mean what they say. What was received of a
picture waits in a partial file, with the validator (a strong ETag, or the date of the last change) under which the server may be
asked for the rest. It is only appended to when the server says, by 206, that the picture is still the same.
"""

import contextlib
import email.utils
import ipaddress
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2

from .manifest import origin_of, shown, url_problem

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # a later try may do
STATUS_WORDS = {401: "needs a login", 403: "forbidden", 404: "not there", 410: "gone", 429: "asked too often", 451: "withheld by law"}
SLOWEST_FACTOR = 20  # one try may take so many times the timeout: a server that drips would hold a worker for ever
SMALL_BYTES = 1 << 20  # bound on a robots.txt


class Failure(Exception):
    """This picture can't be had; the words are the reason."""


class Later(Failure):
    """This try failed, a later one may do.

    Attributes:
        wait_s: what the server asks for, or None.
        whole_host: True when nothing should be asked of the host before.
    """

    def __init__(self, reason, wait_s=None, whole_host=False):
        super().__init__(reason)
        self.wait_s, self.whole_host = wait_s, whole_host


class Stopped(Exception):
    """The run is to end."""


@dataclass
class Part:
    """What was received of a picture so far.

    Attributes:
        path: the partial file; its notes lie beside it.
    """

    path: Path

    @property
    def _notes(self):
        return self.path.with_suffix(".json")

    def resumable(self, url):
        """(bytes that are there, validator) for a picture of this address, (0, "") when it has to begin anew."""
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
        except (FileNotFoundError, ValueError):
            return 0, ""
        if not isinstance(notes, dict) or notes.get("url") != url or not notes.get("validator") or not size:
            return 0, ""
        return size, notes["validator"]

    def note(self, url, validator):
        """Remember under which validator the bytes to come were sent."""
        self._notes.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def clear(self):
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)


class Transfer:
    """Requests of one run.

    Args:
        agent: the User-Agent header.
        timeout_s: longest wait for a connection, or for the next bytes.
        max_bytes: bound on the size of a picture.
        stopped: threading.Event that ends transfers.
        resolve: function (host, port) as socket.getaddrinfo.
    """

    def __init__(self, agent, timeout_s, max_bytes, stopped=None, resolve=socket.getaddrinfo):
        self._max_bytes, self._timeout_s, self._resolve = max_bytes, timeout_s, resolve
        self._stopped = stopped or threading.Event()
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        headers = {"User-Agent": agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
        self._client = httpx2.Client(headers=headers, timeout=timeout_s, limits=limits, follow_redirects=False)

    def close(self):
        """Close all connections."""
        self._client.close()

    def small(self, url):
        """(status, bytes) of a small file, redirects followed; Later when there is no answer."""
        with _breaks_explained():
            for _ in range(MAX_REDIRECTS + 1):
                with self._client.stream("GET", url, headers={"Accept": "text/plain,*/*"}) as answer:
                    if answer.status_code not in REDIRECTS or "location" not in answer.headers:
                        started, data = time.monotonic(), b""
                        for block in answer.iter_raw():
                            self._go_on(started)
                            data += block
                            if len(data) > SMALL_BYTES:
                                break
                        return answer.status_code, data
                    url = self._next_url(url, answer, url)
            return 404, b""  # RFC 9309: after five redirects it counts as missing

    def picture(self, url, part, check):
        """Receive a picture into its partial file.

        Args:
            url: its address.
            part: Part.
            check: function (url, headers or None), called before each request with None and after each answer with its (name, value)
                headers; raises Failure to refuse.

        Raises:
            Failure: it can't be had. Later: a further try may do. Stopped: the run ends.
        """
        first = url
        with _breaks_explained():
            for _ in range(MAX_REDIRECTS + 1):
                if self._stopped.is_set():
                    raise Stopped
                check(url, None)
                there, validator = part.resumable(first)
                headers = {"Range": f"bytes={there}-", "If-Range": validator} if there else {}
                with self._client.stream("GET", url, headers=headers) as answer:
                    if answer.status_code in REDIRECTS and "location" in answer.headers:
                        url = self._next_url(url, answer, first)
                        continue
                    self._receive(answer, first, part, there, lambda headers, url=url: check(url, headers))
                    return
        raise Failure(f"more than {MAX_REDIRECTS} redirects")

    def _receive(self, answer, url, part, there, check):
        status = answer.status_code
        if status == 416:
            part.clear()
            raise Later("the server has less of it than was received before (416); from the beginning again", wait_s=0)
        if status in TRANSIENT:
            raise Later(_status_words(answer), asked_wait_s(answer.headers.get("retry-after", "")), whole_host=status in (429, 503))
        if status not in (200, 206):
            raise Failure(_status_words(answer))
        check(answer.headers.multi_items())
        if answer.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise Failure(f"the server sends it packed ({answer.headers['content-encoding']}), though asked not to")
        start, total = self._span(answer, there)
        if total is not None and total > self._max_bytes:
            part.clear()
            raise Failure(self._too_large(f"{total:,} bytes"))
        if start == 0:
            part.clear()
            part.note(url, _validator(answer.headers))
        received, started = start, time.monotonic()
        with open(part.path, "r+b" if start else "wb") as file:
            file.seek(start)
            for block in answer.iter_raw():
                self._go_on(started)
                received += len(block)
                if received > self._max_bytes:
                    break
                file.write(block)
                file.flush()  # a break keeps what was received
        if received > self._max_bytes:
            part.clear()
            raise Failure(self._too_large("more bytes"))
        if total is not None and received != total:
            raise Later(f"the connection ended after {received:,} of {total:,} bytes")

    def _span(self, answer, there):
        """(offset of the first byte, size of the whole or None) of an answer."""
        if answer.status_code == 200:
            length = answer.headers.get("content-length", "")
            return 0, int(length) if length.isdigit() else None
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("content-range", "").strip())
        if not there or not found or int(found[1]) != there:
            raise Later("the server answers with a part that wasn't asked for", wait_s=0)
        return there, None if found[2] == "*" else int(found[2])

    def _go_on(self, started):
        if self._stopped.is_set():
            raise Stopped
        if time.monotonic() - started > SLOWEST_FACTOR * self._timeout_s:
            raise Later(f"still not there after {SLOWEST_FACTOR * self._timeout_s:g} s")

    def _too_large(self, what):
        return f"it has {what}, the bound is {self._max_bytes:,} (--max-bytes)"

    def _next_url(self, url, answer, first):
        """Where a redirect leads; Failure when nobody should follow it."""
        target = urljoin(url, answer.headers["location"])
        reason = url_problem(target)
        if reason:
            raise Failure(f"it is redirected, and {reason}")
        if url.lower().startswith("https:") and target.lower().startswith("http:"):
            raise Failure(f"it is redirected from https to plain http ({shown(target)})")
        if origin_of(target) != origin_of(first) and self._is_inside(target) and not self._is_inside(first):
            raise Failure(f"it is redirected from the public net to a private address ({shown(target)})")
        return target

    def _is_inside(self, url):
        """True when a host's name stands for an address of this machine or of a private net."""
        parts = urlsplit(url)
        try:
            found = self._resolve(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), type=socket.SOCK_STREAM)
        except OSError:
            return False  # behind a proxy only the proxy knows names
        return any(not ipaddress.ip_address(address[4][0].partition("%")[0]).is_global for address in found)


@contextlib.contextmanager
def _breaks_explained():
    """Turn the client's errors into ours."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Later(f"no answer in time ({type(error).__name__})") from error
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise Failure(f"the address can't be used: {error}") from error
    except httpx2.TransportError as error:
        raise Later(f"the connection broke or could not be made ({str(error) or type(error).__name__})") from error


def asked_wait_s(text, now=time.time):
    """Seconds of a Retry-After header (a number or a date); None without one."""
    text = text.strip()
    if text.isdigit():
        return int(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now())


def _validator(headers):
    """What If-Range may name: a strong ETag or a date (RFC 9110, 13.1.5); "" without."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified", "")


def _status_words(answer):
    words = STATUS_WORDS.get(answer.status_code) or answer.reason_phrase or "no picture"
    return f"the server says {answer.status_code} ({words})"
