"""The HTTP side: one listener per port, a thread per connection, keep-alive, byte counts, faults, slow links.

A listener knows no route. It reads a request, lets a fault have its way, calls `serve(request)`, and sends what comes back.
"""

import contextlib
import itertools
import socket
import struct
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .wire import READ_BYTES, Dropped, HubError, Request

CHECK_HEADER = "X-Emulator-Check"  # requests of the self-check: neither logged nor slowed nor struck by faults
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends a reset
_numbers = itertools.count(1)  # for X-Request-Id


class ClientGone(Exception):
    """The client closed its side before its request was complete."""


class Body:
    """The body of a request, read once and front to back, by Content-Length or in chunks."""

    def __init__(self, file, headers, link, entry):
        self._file, self._link, self._entry = file, link, entry
        self._chunked = "chunked" in (headers.get("Transfer-Encoding") or "").lower()
        self.length = None if self._chunked else int(headers.get("Content-Length") or 0)  # None: unknown before the end
        self._left = 0 if self._chunked else self.length  # of the body, or of the present chunk
        self._ended = not self._chunked and self._left == 0

    def read(self, limit):
        """At most `limit` bytes; fewer only at the end of the body."""
        pieces = []
        while limit > 0 and (piece := self._read_once(min(limit, READ_BYTES))):
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)

    def pieces(self):
        while piece := self._read_once(READ_BYTES):
            yield piece

    def lines(self):
        """Lines without their ends, for ndjson."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
            yield from whole
        if rest:
            yield rest

    def drain(self):
        for _ in self.pieces():
            pass

    def _read_once(self, limit):
        if self._chunked and not self._ended and self._left == 0:
            self._start_chunk()
        if self._ended:
            return b""
        piece = self._file.read(min(limit, self._left))
        if not piece:
            raise ClientGone
        self._left -= len(piece)
        if not self._chunked:
            self._ended = self._left == 0
        elif self._left == 0:
            self._file.readline()  # the line end behind a chunk
        if self._entry:
            self._entry.bytes_in += len(piece)
            self._link.take(len(piece))
        return piece

    def _start_chunk(self):
        line = self._file.readline(100)
        if not line:
            raise ClientGone
        self._left = int(line.split(b";")[0], 16)
        if self._left == 0:
            while self._file.readline(1000).strip():
                pass  # trailers
            self._ended = True


class Listener(ThreadingHTTPServer):
    """One port. `app` gives `serve(request)`, `log`, `faults`, `uplink`, `downlink`, `delay_s`, `stopping`, `problems`, `check_key`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, name, port, app):
        self.name, self.app = name, app
        self._connections, self._lock = set(), threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        # A short poll, so that stopping a hub doesn't take half a second in each test.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=f"hub-{name}", daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def start(self):
        self._thread.start()

    def stop(self):
        """Stop listening and cut all connections, so that a client can't go on talking to a hub that is gone."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def track(self, connection, here):
        with self._lock:
            (self._connections.add if here else self._connections.discard)(connection)

    def handle_error(self, request, client_address):
        """What escapes a handler is a mistake of the emulator."""
        self.app.problems.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else small answers wait 40 ms for an acknowledgement
    server_version = "hub-emulator"
    sys_version = ""

    def log_message(self, *args):
        """The log is ours."""

    def setup(self):
        super().setup()
        self.server.track(self.connection, True)

    def finish(self):
        self.server.track(self.connection, False)
        with contextlib.suppress(OSError):  # the client may be gone
            super().finish()

    def handle_one_request(self):
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _handle(self):
        app = self.server.app
        quiet = self.headers.get(CHECK_HEADER) == app.check_key
        request = Request(self.server.name, self.command, self.path, self.headers, None, quiet)
        entry = None if quiet else app.log.begin(request)
        request.body = Body(self.rfile, self.headers, app.uplink, entry)
        try:
            action = None if quiet else app.faults.pick(request)
            if action:
                entry.fault = action.name
            response = self._respond(request, action)
            if entry:
                entry.user = request.who.user if request.who else None
                entry.routed = "X-No-Route" not in response.headers
                time.sleep(app.delay_s)
            self._send(response, entry)
        except Dropped as drop:
            self._cut(drop.reset)
        except (ClientGone, ConnectionError):
            self.close_connection = True
        finally:
            if entry:
                app.log.end(entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle

    def _respond(self, request, action):
        app = self.server.app
        try:
            if not request.is_check:
                app.faults.tell(request)
            response = action.before(request, app.stopping) if action else None
            if response is None:
                response = app.serve(request)
        except HubError as error:
            response = error.response()
        except (Dropped, ClientGone, ConnectionError):
            raise
        except Exception:
            app.problems.append(f"{request.method} {request.target}\n{traceback.format_exc()}")
            response = HubError(500, "Internal Error - a mistake of the emulator").response()
        # What wasn't read would be taken for the next request.
        request.body.drain()
        return action.after(response) if action else response

    def _send(self, response, entry):
        if entry:
            entry.status = response.status
        self.send_response(response.status)
        headers = {"X-Request-Id": f"Root=1-{next(_numbers):08x}", "Content-Length": str(response.length), **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(response, entry)

    def _send_body(self, response, entry):
        left = response.length if response.cut_at_bytes is None else min(response.cut_at_bytes, response.length)
        for piece in response.pieces():
            piece = piece[:left]
            left -= len(piece)
            if entry:
                entry.bytes_out += len(piece)
                self.server.app.downlink.take(len(piece))
            self.wfile.write(piece)
            if left == 0:
                break
        if response.cut_at_bytes is not None:
            raise Dropped

    def _cut(self, reset):
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        else:
            with contextlib.suppress(OSError):  # the client may have left first, while it was made to wait
                self.connection.shutdown(socket.SHUT_RDWR)
