"""Byte ranges of the files of one commit on the Hub, whatever happens to the connection on the way.

The Hub answers a request for a large file with a redirect to a signed address at its CDN. That address is kept and used for all
further ranges of the file, until the CDN refuses it; then the Hub is asked for a new one. A connection that breaks is taken up
at the byte where it ended. Every answer is checked: the file must have the size and the sha256 that the manifest names, the
range must be the one that was asked for. Waiting is bounded, and starts anew whenever bytes arrive.
"""

import contextlib
import re
import urllib.parse

from ..errors import DataError, FgbgDepthError, HubError, TokenError, UsageError
from ..hub.patience import MAX_WAIT_S, asked_wait_s, is_transient, scrubbed, short
from .halt import Halt
from .hub_request import Refusal, get

TIMEOUT_S = 30  # of connecting and of each wait for bytes; the client itself would wait for ever
WAITS_S = (0.5, 1, 2, 4, 8, 16, 30, 60, 60)  # three minutes in all: a network that comes back doesn't cost the epoch
DOUBTS = 2  # further tries when the CDN refuses an address that it has just been given; a clock may be a little late
PROGRESS_BYTES = 1 << 16  # after so many bytes from one connection the waits start anew
MAX_SMALL_BYTES = 50_000_000  # a manifest of 100,000 files has 20 MB; what is larger isn't read into memory
MAX_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class HubFiles:
    """Reads files of one repository at one revision. Safe to use from several threads.

    Args:
        repo_id: such as "user/set".
        revision: a commit; for `read_small` it may be a tag or a branch, too, or None for main.
    """

    def __init__(self, repo_id, revision=None):
        self.repo_id, self.revision = repo_id, revision or "main"
        self._locations = {}  # path -> signed address at the CDN

    @property
    def name(self):
        """For messages."""
        return f"{self.repo_id} at {self.revision}"

    def read(self, file, start, stop, halt=None):
        """Bytes [start, stop) of a file.

        Args:
            file: catalog.File.
            start, stop: offsets [bytes].
            halt: Halt, or None; when it is set this ends with Stopped.

        Returns:
            bytes, of just this length.

        Raises:
            HubError: the Hub can't be reached, or refuses.
            DataError: the file isn't the one that the manifest names.
        """
        halt, got = halt or Halt(), _Gathered(stop - start)

        def once():
            while not got.is_full:  # a server may send less than it was asked for
                before = got.count
                with self._answer(file, start + got.count, stop, halt) as (answer, skip):
                    for piece in answer.pieces():
                        halt.check()
                        got.add(piece[skip:])
                        skip = max(0, skip - len(piece))
                        if got.is_full:
                            return
                if got.count == before:
                    raise ConnectionError(f"no bytes came after {got.count} of {got.size}")

        self._patiently(file.path, once, got, halt)
        return got.joined()

    def read_small(self, path):
        """A whole small file.

        Returns:
            (bytes, the commit that the revision names now).

        Raises:
            UsageError: no such repository or revision.
            DataError: no such file in it.
            HubError: the Hub can't be reached, or refuses.
        """
        found = {}

        def once():
            found.clear()
            url = self._url(path)
            for _ in range(MAX_REDIRECTS):
                with get(url, self._headers(url), TIMEOUT_S) as answer:
                    found.setdefault("commit", answer.headers.get("X-Repo-Commit"))
                    if answer.is_redirect:
                        url = urllib.parse.urljoin(url, answer.headers["Location"])
                    elif answer.status_code == 200:
                        found["data"] = _whole_body(answer, path)
                        return
                    else:
                        raise self._refused(answer, path)
            raise HubError(f"{path} of {self.name}: more than {MAX_REDIRECTS} redirects")

        self._patiently(path, once, _Gathered(0), Halt())
        if not re.fullmatch("[0-9a-f]{40}", found["commit"] or ""):
            raise HubError(f"{self._url(path)} doesn't say which commit it is of, so no Hub serves it; is HF_ENDPOINT right?")
        return found["data"], found["commit"]

    def page(self):
        """Address of the repository, for messages."""
        return self._url("").split("/resolve/")[0]

    @contextlib.contextmanager
    def _answer(self, file, start, stop, halt):
        """Yields (Answer whose body has these bytes, number of bytes in front of them)."""

        @contextlib.contextmanager
        def ask(url):
            headers = {**self._headers(url), "Range": f"bytes={start}-{stop - 1}"}
            with get(url, headers, TIMEOUT_S) as answer, halt.watching(answer):
                yield answer

        known = self._locations.get(file.path)
        if known is not None:
            with ask(known) as answer:
                if answer.status_code in (200, 206):
                    yield answer, self._bytes_before(answer, file, start, stop)
                    return
                self._locations.pop(file.path, None)
                if answer.status_code in (408, 429) or answer.status_code >= 500:
                    raise Refusal(answer, "from the CDN")
        url = self._url(file.path)  # a known address that was refused has expired: ask for a new one
        hub = _origin(url)
        for _ in range(MAX_REDIRECTS):
            with ask(url) as answer:
                if answer.is_redirect:
                    self._check_link(answer, file)
                    url = urllib.parse.urljoin(url, answer.headers["Location"])
                    continue
                if answer.status_code not in (200, 206):
                    raise self._refused(answer, file.path) if _origin(url) == hub else Refusal(answer, "from the CDN")
                before = self._bytes_before(answer, file, start, stop)
                if _origin(url) != hub:
                    self._locations[file.path] = url
                yield answer, before
                return
        raise HubError(f"{file.path} of {self.name}: more than {MAX_REDIRECTS} redirects")

    def _url(self, path):
        from huggingface_hub import constants

        revision, path = urllib.parse.quote(self.revision, safe=""), urllib.parse.quote(path)
        return f"{constants.ENDPOINT}/datasets/{self.repo_id}/resolve/{revision}/{path}"

    def _headers(self, url):
        from huggingface_hub import constants
        from huggingface_hub.utils import build_hf_headers

        from .. import __version__

        token = None if _origin(url) == _origin(constants.ENDPOINT) else False  # None: from the usual places
        return build_hf_headers(token=token, library_name="fgbg_depth", library_version=__version__)

    def _patiently(self, path, once, got, halt):
        """Call `once` until it succeeds, waiting longer after each failure; bytes that arrive start the waits anew."""
        failures, before = 0, 0
        while True:
            try:
                return once()
            except Exception as error:
                halt.check()
                if isinstance(error, FgbgDepthError) or not (is_transient(error) or isinstance(error, OSError | Refusal)):
                    raise
                if got.count - before >= PROGRESS_BYTES:
                    failures = 0
                before = got.count
                if failures >= _tries_left(error):
                    raise HubError(self._words(path, error, failures + 1)) from error
                halt.pause(min(asked_wait_s(error) or WAITS_S[failures], MAX_WAIT_S))
                failures += 1

    def _words(self, path, error, tries):
        if type(error).__name__ == "OfflineModeIsEnabled":
            return f"{path} of {self.name}: HF_HUB_OFFLINE is set, so the Hub can't be reached; unset it, or stream from a folder"
        return (
            f"{path} of {self.name} can't be read, after {tries} {'try' if tries == 1 else 'tries'}: {short(error)}. The rows so far are "
            f"right: when the connection is back, go on from the last state_dict() with load_state_dict()"
        )

    def _refused(self, answer, path):
        """The error for an answer of the Hub that isn't the file; a Refusal where another try may help."""
        status, code = answer.status_code, answer.headers.get("X-Error-Code")
        words = scrubbed(answer.headers.get("X-Error-Message") or "")
        if status in (401, 403) and code == "GatedRepo":
            return TokenError(f"{self.page()} is gated: ask for access there, then {_LOG_IN}")
        if code == "RevisionNotFound":
            return UsageError(f"{self.page()} has no revision {self.revision!r}; `fgbg-depth versions {self.repo_id}` lists the versions")
        if code == "RepoNotFound":
            return UsageError(f"{self.page()} isn't there, or this token may not see it; if it is private, {_LOG_IN}")
        if status in (401, 403):
            return TokenError(f"{self.page()}: the Hub refuses to show {path} ({status}: {words}); {_LOG_IN}")
        if status == 404:
            return DataError(
                f"{path} isn't in {self.name}, so it is no whole set of fgbg_depth; load_dataset(..., streaming=True) reads others"
            )
        return Refusal(answer, words)

    def _check_link(self, answer, file):
        """The Hub tells size and sha256 of a large file along with its address."""
        size, etag = answer.headers.get("X-Linked-Size") or "", (answer.headers.get("X-Linked-Etag") or "").strip('"')
        if size.isdigit() and int(size) != file.size:
            raise self._replaced(file, f"has {int(size):,} bytes", f"{file.size:,}")
        if re.fullmatch("[0-9a-f]{64}", etag) and etag != file.sha256:
            raise self._replaced(file, f"has sha256 {etag[:12]}...", f"{file.sha256[:12]}...")

    def _bytes_before(self, answer, file, start, stop):
        """Check that the body is what was asked for; how many of its bytes come before `start`."""
        if answer.status_code == 206:
            told = _RANGE.fullmatch(answer.headers.get("Content-Range") or "")
            if told is None or int(told[1]) != start or int(told[2]) >= stop:
                raise ConnectionError(f"asked for bytes {start}-{stop - 1}, got {answer.headers.get('Content-Range')}")
            if int(told[3]) != file.size:
                raise self._replaced(file, f"has {int(told[3]):,} bytes", f"{file.size:,}")
            return 0
        length = answer.headers.get("Content-Length")
        if length is None or int(length) != file.size:
            raise self._replaced(file, f"has {length} bytes", f"{file.size:,}")
        return start  # a server that knows no ranges sends the whole file

    def _replaced(self, file, found, expected):
        return DataError(
            f"{file.path} of {self.name} {found}, manifest.json says {expected}: the file was replaced, not the manifest. "
            f"`fgbg-depth verify {self.repo_id}` tells more; publish the set again, or read an earlier revision"
        )


_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def _tries_left(error):
    """How many failures in a row such an error may have before it counts."""
    if is_transient(error):
        return len(WAITS_S)
    from_cdn = isinstance(error, Refusal) and error.response.status_code in (400, 401, 403)
    return DOUBTS if from_cdn else 0


def _whole_body(answer, path):
    pieces, count = [], 0
    for piece in answer.pieces():
        pieces.append(piece)
        count += len(piece)
        if count > MAX_SMALL_BYTES:
            raise DataError(f"{path} has more than {MAX_SMALL_BYTES:,} bytes, expected a small file")
    told = answer.headers.get("Content-Length")
    if told is not None and int(told) != count:
        raise ConnectionError(f"the answer ended after {count} of {told} bytes")
    return b"".join(pieces)


def _origin(url):
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


class _Gathered:
    """Bytes of one range, as they come together."""

    def __init__(self, size):
        self.size, self.count, self._pieces = size, 0, []

    @property
    def is_full(self):
        return self.count == self.size

    def add(self, piece):
        piece = piece[: self.size - self.count]
        self._pieces.append(piece)
        self.count += len(piece)

    def joined(self):
        return b"".join(self._pieces)
