"""A small Hub on loopback that serves one folder as the data set `user/set`, for reading only.

It answers what `huggingface_hub` asks when it lists and downloads: repo info, tree, paths-info, and files with byte ranges.
The folder is there under the branch `main` and the tag `v1.0.0`.
"""

import contextlib
import hashlib
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPO_ID = "user/set"
COMMIT = "c0ffee" + "0" * 34
REVISIONS = ("main", "v1.0.0", COMMIT)


@contextlib.contextmanager
def serve(folder):
    """Serve a folder while the block runs.

    Yields:
        The endpoint, such as http://127.0.0.1:40123, to be set as HF_ENDPOINT before `huggingface_hub` is imported.
    """
    handler = type("Handler", (_Handler,), {"folder": Path(folder)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = None

    def log_message(self, *args):
        """Keep quiet."""

    def do_HEAD(self):
        self._route()

    def do_GET(self):
        self._route()

    def do_POST(self):
        self._route()

    def _route(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.urlsplit(self.path).path
        api, files = f"/api/datasets/{REPO_ID}", f"/datasets/{REPO_ID}/resolve"
        match = re.fullmatch(rf"(?:{api}(?:/(?P<what>revision|tree|paths-info))?|{files})(?:/(?P<rev>[^/]+))?(?:/(?P<rest>.+))?", path)
        if match is None:
            return self._fail("RepoNotFound")
        revision = urllib.parse.unquote(match["rev"] or "main")
        if revision not in REVISIONS:
            return self._fail("RevisionNotFound")
        rest = urllib.parse.unquote(match["rest"] or "")
        if path.startswith(files):
            return self._file(rest)
        if match["what"] == "tree":
            return self._tree(rest, "recursive=true" in self.path.lower())
        if match["what"] == "paths-info":
            return self._json([self._entry(self.folder / p) for p in _asked_paths(self.headers, body) if (self.folder / p).exists()])
        siblings = [{"rfilename": p.relative_to(self.folder).as_posix()} for p in sorted(self.folder.rglob("*")) if p.is_file()]
        return self._json({"id": REPO_ID, "sha": COMMIT, "private": False, "siblings": siblings})

    def _tree(self, name, recursive):
        if not (self.folder / name).is_dir():
            return self._fail("EntryNotFound")
        found = (self.folder / name).rglob("*") if recursive else (self.folder / name).iterdir()
        return self._json([self._entry(path) for path in sorted(found)])

    def _entry(self, path):
        facts = {"type": "directory", "size": 0} if path.is_dir() else {"type": "file", "size": path.stat().st_size}
        return {**facts, "oid": hashlib.sha1(str(path).encode()).hexdigest(), "path": path.relative_to(self.folder).as_posix()}

    def _file(self, name):
        if not (self.folder / name).is_file():
            return self._fail("EntryNotFound")
        data = (self.folder / name).read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            return self._send(200, data, headers)
        start, stop = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        return self._send(206, data[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})

    def _json(self, value):
        return self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _fail(self, code):
        return self._send(404, b"{}", {"X-Error-Code": code, "X-Repo-Commit": COMMIT})

    def _send(self, status, data, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _asked_paths(headers, body):
    if "json" in (headers.get("Content-Type") or ""):
        return json.loads(body)["paths"]
    return urllib.parse.parse_qs(body.decode())["paths"]
