"""The emulated Hub as a server: slow links, a restart, a stop, a kill, started by hand; it notices what is wrong with itself."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT
from hub import HubServer, accounts, faults
from hub.raw import ask
from hub_files import bytes_of, sha256

DATA = bytes_of("a shard", 300_000)
pytestmark = pytest.mark.usefixtures("hub_stays_sound")


# --- requests and speed ---


def test_requests_in_chunks_and_unknown_paths(hub, repo):
    """A body without a length is read too; what no route knows is 404 and marked in the log."""
    lines = [b'{"content": "---\\nlicense: mit\\n', b'---\\n", "repoType": "dataset"}']
    assert ask(hub, "POST", "/api/validate-yaml", iter(lines))[0] == 200
    mark = hub.log.mark()
    assert ask(hub, "GET", f"/api/datasets/{repo.repo_id}/xet-write-token/main")[0] == 404
    assert [entry.path for entry in hub.log.unrouted(mark)] == [f"/api/datasets/{repo.repo_id}/xet-write-token/main"]


def test_slow_network(hub, repo):
    """The delay is before each answer; the bandwidth is shared by all connections, each way."""
    repo.write({"a.parquet": DATA})
    url = ask(hub, "GET", f"/datasets/{repo.repo_id}/resolve/main/a.parquet")[1]["Location"]

    def seconds(function):
        start = time.monotonic()
        function()
        return time.monotonic() - start

    hub.set_speed(delay_s=0.1)
    try:
        assert seconds(lambda: [ask(hub, "GET", "/api/whoami-v2") for _ in range(3)]) >= 0.3
        hub.set_speed(delay_s=0.0, bytes_per_s=2_000_000)
        with ThreadPoolExecutor(2) as pool:
            assert seconds(lambda: list(pool.map(lambda _: ask(hub, "GET", url, token=None), range(2)))) >= 0.28
        body = json.dumps({"content": "x" * 600_000})
        assert seconds(lambda: ask(hub, "POST", "/api/validate-yaml", body)) >= 0.28
    finally:
        hub.set_speed(delay_s=0.0, bytes_per_s=0)
    assert min(seconds(lambda: ask(hub, "GET", url, token=None)) for _ in range(5)) < 0.14  # what the limit would take for one


# --- start and end ---


def test_restart_under_the_same_urls(tmp_path):
    """A hub started again on its folder goes on: repos, refs, parts of uploads, signed URLs; old connections are cut."""
    with HubServer(tmp_path / "hub", part_bytes=100_000) as first:
        repo = first.create_repo("alice/set", private=True)
        repo.write({"a.parquet": DATA})
        first.refused.clear()
        location = ask(first, "GET", "/datasets/alice/set/resolve/main/a.parquet")[1]["Location"]
        body = {"operation": "upload", "transfers": ["multipart"], "objects": [{"oid": sha256(DATA[:150_000]), "size": 150_000}]}
        answer = ask(first, "POST", "/datasets/alice/set.git/info/lfs/objects/batch", json.dumps(body))[2]
        upload = json.loads(answer)["objects"][0]["actions"]["upload"]
        etags = [ask(first, "PUT", upload["header"]["1"], DATA[:100_000], token=None)[1]["ETag"]]
        connection = socket.create_connection(("127.0.0.1", first.port), timeout=20)
        connection.sendall(b"GET /api/datasets/alice/set HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 401")
    while connection.recv(4096):
        pass
    connection.close()
    (tmp_path / "hub" / "repos" / repo.uid / "incoming" / "broken-off.1").write_bytes(b"half")

    with HubServer(tmp_path / "hub", first.port, first.cdn_port) as second:
        assert second.endpoint == first.endpoint and second.repo("alice/set").private
        assert second.repo("alice/set").head() == repo.head()
        assert ask(second, "GET", location, token=None)[2] == DATA
        etags.append(ask(second, "PUT", upload["header"]["2"], DATA[100_000:150_000], token=None)[1]["ETag"])
        parts = [{"partNumber": n, "etag": etag} for n, etag in enumerate(etags, 1)]
        done = ask(second, "POST", upload["href"], json.dumps({"oid": sha256(DATA[:150_000]), "parts": parts}), token=None)
        assert done[0] == 200 and second.repo("alice/set").large_file(sha256(DATA[:150_000])).size == 150_000
        assert not list((second.repo("alice/set").folder / "incoming").iterdir())
        second.check()


def test_stop_ends_what_hangs(tmp_path):
    with HubServer(tmp_path) as hub:
        hub.faults.add(faults.hang(60))
        errors = []
        thread = threading.Thread(target=_ask_in_vain, args=(hub, errors))
        thread.start()
        while not len(hub.log):
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            hub.log.wait_idle(0.05)
    thread.join(5)
    assert not thread.is_alive() and len(errors) == 1
    hub.log.wait_idle(5)


def _ask_in_vain(hub, errors):
    try:
        ask(hub, "GET", "/api/whoami-v2")
    except OSError as error:
        errors.append(error)


def start_by_hand(*args):
    """`python -m tests.hub`: the process, and the variables that it printed."""
    command = [sys.executable, "-m", "tests.hub", *map(str, args)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    variables = {}
    for line in process.stdout:
        if line.startswith("# other tokens"):
            return process, variables
        variables |= dict([line.removeprefix("export ").rstrip("\n").split("=", 1)] if line.startswith("export ") else [])
    raise AssertionError(f"the hub ended with {process.wait()}")


class _Elsewhere:
    """The address of a hub in another process, as `ask` wants it."""

    def __init__(self, variables):
        self.endpoint = variables["HF_ENDPOINT"]


def test_by_hand(tmp_path):
    """Started from a shell: the printed variables are all that a client needs; Ctrl-C ends it."""
    hub, variables = start_by_hand("--root", tmp_path / "hub", "--fault", "503 method=POST path=/tag/")
    try:
        code = (
            "from huggingface_hub import HfApi; api = HfApi(); api.create_repo('alice/set', repo_type='dataset')\n"
            "api.upload_file(path_or_fileobj=b'abc', path_in_repo='a.parquet', repo_id='alice/set', repo_type='dataset')\n"
            "try: api.create_tag('alice/set', tag='v1', repo_type='dataset')\n"
            "except Exception as error: print(error.response.status_code)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True)
        assert done.stdout == "503\n"
        assert variables["HF_TOKEN"] == accounts.OWNER_TOKEN
    finally:
        hub.send_signal(signal.SIGINT)
        assert hub.wait(10) == 0
        hub.stdout.close()
    with HubServer(tmp_path / "hub") as again:
        assert again.repo("alice/set").read("a.parquet") == b"abc" and again.repo("alice/set").tags == {}
        again.check()


def test_killed_while_it_takes_a_large_object(tmp_path):
    """Memory stays flat for 100 MB, and a kill in the middle of the next object leaves a state in which all holds."""
    server, variables = start_by_hand("--root", tmp_path / "hub", "--part-bytes", 10**9, "--quiet")
    elsewhere = _Elsewhere(variables)
    try:
        assert ask(elsewhere, "POST", "/api/repos/create", json.dumps({"name": "set", "type": "dataset"}))[0] == 200
        piece = bytes_of("piece", 1_000_000)
        digest = hashlib.sha256()
        for _ in range(100):
            digest.update(piece)
        urls = []
        for oid in (digest.hexdigest(), sha256(b"other")):
            body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": 100_000_000}]}
            answer = ask(elsewhere, "POST", "/datasets/alice/set.git/info/lfs/objects/batch", json.dumps(body))[2]
            urls.append(json.loads(answer)["objects"][0]["actions"]["upload"]["href"])
        assert ask(elsewhere, "PUT", urls[0], (piece for _ in range(100)), token=None)[0] == 200
        peak_kb = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1])
        assert peak_kb < 80_000

        def halfway():
            for number in range(100):
                if number == 50:
                    server.send_signal(signal.SIGKILL)
                    server.wait()
                yield piece

        with pytest.raises(OSError):
            ask(elsewhere, "PUT", urls[1], halfway(), token=None)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    with HubServer(tmp_path / "hub") as hub:
        repo = hub.repo("alice/set")
        assert repo.large_file(digest.hexdigest()).size == 100_000_000 and repo.large_file(sha256(b"other")) is None
        assert not list((repo.folder / "incoming").iterdir())
        hub.check()


# --- what is wrong inside ---


def test_a_mistake_inside_fails_the_test(tmp_path):
    """What goes wrong in the emulator, or in a function given to `call`, doesn't pass for a fault."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"), HubServer(tmp_path) as hub:
        hub.faults.add(faults.call(lambda request: 1 / 0))
        assert ask(hub, "GET", "/api/whoami-v2")[0] == 500
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            hub.check()


def _other_bytes(repo):
    path = repo.content_path(repo.files()["a.parquet"])
    path.write_bytes(DATA[:-1] + b"!")


def _lost_blob(repo):
    repo.content_path(repo.files()["a.txt"]).unlink()


def _changed_commit(repo):
    path = repo.folder / "commits" / f"{repo.head()}.json"
    path.write_text(path.read_text().replace("a.txt", "b.txt"))


def _ref_to_nowhere(repo):
    repo.save(tags={"v1": {"commit": "0" * 40, "message": ""}})


@pytest.mark.parametrize(
    ("ruin", "text"),
    [
        (_other_bytes, "has other content"),
        (_lost_blob, "a.txt is missing"),
        (_changed_commit, "doesn't name its tree"),
        (_ref_to_nowhere, "ref v1 points at"),
    ],
)
def test_check_finds_what_is_wrong(tmp_path, ruin, text):
    with HubServer(tmp_path) as hub:
        repo = hub.create_repo("alice/set")
        repo.write({"a.parquet": DATA, "a.txt": b"text"})
        hub.check()
        ruin(repo)
        with pytest.raises(AssertionError, match=text):
            hub.check()
