"""A web server on loopback that serves pictures, and faults on request.

`server.serve(path, ...)` says how a path is answered; `server.log` holds (path, headers) of all requests in their order.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """How a path is answered.

    Attributes:
        data: the body.
        status, headers: of the answer.
        first: (status, headers) of the first answers, which have no body; one is used up by each request.
        drop_after: the connection is cut after so many bytes of the body, at the first request only.
        no_length: send it in chunks, without Content-Length.
        ranges: answer Range requests whose If-Range is the ETag.
        pause_s: wait before each 1,000 bytes of the body [s].
    """

    data: bytes = b""
    status: int = 200
    headers: tuple = ()
    first: list = field(default_factory=list)
    drop_after: int | None = None
    no_length: bool = False
    ranges: bool = False
    pause_s: float = 0.0


class PictureServer:
    """The server; `url(path)` is the address of a path."""

    def __init__(self):
        self.answers, self.log, self.most_at_once = {}, [], 0
        self._now, self._lock = 0, threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.handle(self)

            def log_message(self, *args):
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path="", host="127.0.0.1"):
        return f"http://{host}:{self._server.server_address[1]}/{path}"

    def serve(self, path, data=b"", status=200, **more):
        """Answer a path from now on; returns its address."""
        self.answers[f"/{path}"] = Answer(data, status, **more)
        return self.url(path)

    def asked(self, path):
        """Headers of all requests of a path, in their order."""
        return [headers for name, headers in self.log if name == f"/{path}"]

    def handle(self, request):
        with self._lock:
            self.log.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
            answer = self.answers.get(request.path.partition("?")[0], Answer(status=404))
            first = answer.first.pop(0) if answer.first else None
            drop, answer.drop_after = answer.drop_after, None
            if request.path != "/robots.txt":
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            try:
                if first is not None:
                    self._send(request, first[0], first[1], b"")
                else:
                    self._answer(request, answer, drop)
            finally:
                with self._lock:
                    self._now -= request.path != "/robots.txt"

    def _answer(self, request, answer, drop):
        status, headers, data = answer.status, list(answer.headers), answer.data
        asked = request.headers.get("Range", "")
        etag = dict(headers).get("ETag")
        if answer.ranges and asked and request.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers.append(("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
            status, data = 206, data[start:]
        if drop is not None:
            self._send(request, status, [*headers, ("Connection", "close")], data[:drop], len(data))
            request.close_connection = True
            return
        self._send(request, status, headers, data, None if answer.no_length else len(data), answer.pause_s)

    @staticmethod
    def _send(request, status, headers, data, length=0, pause_s=0.0):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header(*(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))))
        request.end_headers()
        for start in range(0, len(data), 1000):
            time.sleep(pause_s)
            block = data[start : start + 1000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if length is None else block)
        if length is None:
            request.wfile.write(b"0\r\n\r\n")
        request.wfile.flush()
