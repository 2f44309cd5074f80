"""What a request and an answer are, apart from sockets: routes take a `Request` and give a `Response` or raise `HubError`."""

import json
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

READ_BYTES = 1 << 16  # one read or write; small enough that a bandwidth limit is smooth
JSON_LIMIT_BYTES = 64 << 20  # no JSON body of the client comes near it


class HubError(Exception):
    """A refusal as the Hub words it: status, text, and the `X-Error-Code` that decides which exception the client raises."""

    def __init__(self, status, message, code=None, headers=None, extra=None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers, self.extra = headers or {}, extra or {}

    def response(self):
        # A header holds one line of Latin-1; the body holds the text as it is.
        header = re.sub(r"\s+", " ", self.message).encode("latin-1", "replace").decode("latin-1")
        headers = {"X-Error-Message": header, **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return Response.json({"error": self.message, **self.extra}, self.status, headers)


class Dropped(Exception):
    """The connection ends here, without the rest of the answer; `reset` ends it as a crash does, not as a close."""

    def __init__(self, reset=False):
        super().__init__("connection dropped")
        self.reset = reset


@dataclass
class Request:
    """One request; `body` is read by whoever wants it and what is left is thrown away before the answer."""

    port: str  # "hub" or "cdn"
    method: str
    target: str  # path and query as they came
    headers: object  # email.message.Message: names in any case
    body: object  # listener.Body
    is_check: bool = False  # from the emulator's own self-check
    who: object = None  # accounts.Identity, or None for nobody
    repo: object = None  # repo.Repo, set by the router
    args: dict = field(default_factory=dict)  # named parts of the path, unquoted

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return self.target.partition("?")[2]

    def param(self, name, default=None):
        return self.params(name, [default])[-1]

    def params(self, name, default=()):
        return urllib.parse.parse_qs(self.query, keep_blank_values=True).get(name, list(default))

    def flag(self, name):
        """A boolean of the query: `true`, `True` and `1` all count."""
        return is_true(self.param(name))

    def json(self):
        try:
            return json.loads(self.body.read(JSON_LIMIT_BYTES) or b"null")
        except ValueError as error:
            raise HubError(400, f"the body isn't JSON: {error}") from error


@dataclass
class Response:
    """An answer: `body` is bytes or a `FileSlice`; `cut_at_bytes` makes the listener break off there."""

    status: int
    headers: dict
    body: object = b""
    cut_at_bytes: int | None = None

    @classmethod
    def json(cls, value, status=200, headers=None):
        return cls(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, json.dumps(value).encode())

    @property
    def length(self):
        return len(self.body)

    def pieces(self):
        """The body in pieces of at most READ_BYTES."""
        if isinstance(self.body, FileSlice):
            yield from self.body.pieces()
        else:
            for start in range(0, len(self.body), READ_BYTES):
                yield self.body[start : start + READ_BYTES]


@dataclass
class FileSlice:
    """Bytes [start, stop) of a file, read only while they are sent."""

    path: Path
    start: int
    stop: int

    def __len__(self):
        return self.stop - self.start

    def pieces(self):
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = len(self)
            while left:
                piece = file.read(min(READ_BYTES, left))
                left -= len(piece)
                yield piece


def is_true(text):
    return str(text).lower() in ("true", "1")


def send_file(request, path, size_bytes, headers):
    """A whole file, or the range that was asked for.

    Args:
        request: its `Range` may be `bytes=a-b`, `bytes=a-` or `bytes=-n`; an end past the file is clipped, several ranges
            are answered with the whole file, as HTTP allows.
        path, size_bytes: the file.
        headers: for any answer.

    Raises:
        HubError: 416, the range starts behind the end.
    """
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range") or "")
    if asked is None or not (asked[1] or asked[2]):
        return Response(200, headers, FileSlice(path, 0, size_bytes))
    if asked[1]:
        start, stop = int(asked[1]), min(int(asked[2] or size_bytes) + 1, size_bytes)
    else:
        start, stop = max(size_bytes - int(asked[2]), 0), size_bytes
    if start >= stop:
        raise HubError(416, "The requested range can't be satisfied", headers={"Content-Range": f"bytes */{size_bytes}"})
    return Response(206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size_bytes}"}, FileSlice(path, start, stop))
