"""The emulated Hub goes wrong when it is told to, comes back after a kill, can be slow, and notices when its own state is bad."""

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
from hub import ClientError, HubServer, RealClient, accounts, calls, faults
from hub.raw import ask
from hub.wire import Request

ROOT = Path(__file__).resolve().parents[1]
DATA = hashlib.shake_128(b"a shard").digest(300_000)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with HubServer(tmp_path_factory.mktemp("hub"), part_bytes=400_000) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home")) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_wrong_inside(hub):
    yield
    hub.faults.clear()
    hub.check()


@pytest.fixture
def repo(hub, request):
    return hub.create_repo("alice/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-"))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("status", [409, 412, 413, 429, 500, 503, 504])
def test_commit_isnt_retried_by_the_client(hub, client, repo, status):
    rule = hub.faults.add(faults.status(status, "so it is"), "POST", f"{repo.repo_id}/commit/")
    with pytest.raises(ClientError) as caught:
        client.run(calls.commit, repo.repo_id, {"a.txt": b"1"})
    assert (caught.value.kind, caught.value.status) == ("HfHubHTTPError", status)
    assert "so it is" in caught.value.text or status == 429
    assert (rule.seen, rule.fired, len(repo.titles())) == (1, 1, 1)
    client.run(calls.commit, repo.repo_id, {"a.txt": b"1"})
    assert (rule.seen, rule.fired, len(repo.titles())) == (2, 1, 2)


def test_rate_limit_is_named(hub, client, repo):
    hub.faults.add(faults.rate_limit(retry_after_s=55), path="/commit/")
    with pytest.raises(ClientError, match=r"you have reached your 'api' rate limit\.\nRetry after 55 seconds \(0/500"):
        client.run(calls.commit, repo.repo_id, {"a.txt": b"1"})


@pytest.mark.parametrize(
    ("action", "applied"),
    [
        (faults.drop(), False),
        (faults.drop_request(after_bytes=50), False),
        (faults.hang(0.2), False),
        (faults.lose_response(), True),
        (faults.drop_response(after_bytes=10), True),
        (faults.status_after(504), True),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_connection_lost_at_a_commit(hub, client, repo, action, applied):
    hub.faults.add(action, "POST", "/commit/")
    with pytest.raises(ClientError) as caught:
        client.run(calls.commit, repo.repo_id, {"a.txt": b"1" * 1000})
    status = {"drop response after 10 B": 200, "status 504 after": 504}.get(action.name)
    assert ("HfHubHTTPError" if status == 504 else "TransportError") in caught.value.kinds
    entry = hub.log.filter("POST", f"{repo.repo_id}/commit/")[-1]
    assert (entry.fault, entry.status) == (action.name, status)
    assert repo.titles() == (["a commit", "initial commit"] if applied else ["initial commit"])


def test_uploads_are_retried_by_the_client(hub, client, repo):
    """Each kind of fault strikes one PUT; in the end every blob has arrived, whole and once."""
    kinds = {
        "500": faults.status(500), "503": faults.status(503), "504": faults.status(504), "429": faults.rate_limit(0),
        "drop": faults.drop(), "request": faults.drop_request(100_000), "lost": faults.lose_response(), "hang": faults.hang(0.2),
    }  # fmt: skip
    repos = {name: hub.create_repo(f"{repo.repo_id}-{name}") for name in kinds}
    rules = {name: hub.faults.add(action, "PUT", f"/{repos[name].uid}/", "cdn") for name, action in kinds.items()}
    mark = hub.log.mark()
    done = client.run(calls.commit_many, {name: (repos[name].repo_id, {"data/a.parquet": DATA}) for name in kinds})
    for name, oid in done.items():
        assert repos[name].head() == oid and repos[name].read("data/a.parquet") == DATA, name
        puts = hub.log.filter("PUT", f"/{repos[name].uid}/", since=mark)
        assert [put.fault for put in puts] == [kinds[name].name, None] and rules[name].fired == 1
        assert puts[0].bytes_in == {"request": 100_000}.get(name, len(DATA)) and puts[1].status == 200


def test_other_steps_are_retried_or_not(hub, client, repo):
    struck = {"preupload": 503, "objects/batch": 500, "verify": 504, "PUT": 403}
    repos = {step: hub.create_repo(f"{repo.repo_id}-{status}") for step, status in struck.items()}
    for step, status in struck.items():
        path = f"/{repos[step].uid}/" if step == "PUT" else f"{repos[step].repo_id}.*{step}"
        hub.faults.add(faults.status(status), path=path)
    done = client.run(calls.commit_many, {step: (repos[step].repo_id, {"a.parquet": DATA}) for step in struck})
    assert done.pop("PUT") == ("RuntimeError", None)
    assert done == {step: repos[step].head() for step in done} and len(repos["PUT"].titles()) == 1
    # What the client's own retry can't save: the tag.
    hub.faults.add(faults.status(503), "POST", "/tag/")
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "create_tag", repo.repo_id, tag="v1", repo_type="dataset")
    assert caught.value.status == 503 and repo.tags == {}


def test_parts_are_retried(hub, client, repo):
    """Of a blob in three parts, one breaks off in the middle, and the answer to the completion is lost."""
    data = hashlib.shake_128(b"in parts").digest(1_000_000)
    hub.faults.add(faults.drop_request(150_000), "PUT", "partNumber=2")
    hub.faults.add(faults.lose_response(), "POST", "/api/complete_multipart")
    mark = hub.log.mark()
    client.run(calls.commit, repo.repo_id, {"a.parquet": data})
    assert repo.read("a.parquet") == data
    assert hub.log.blob_uploads(mark) == {(sha256(data), n): 1 for n in (1, 2, 3)}
    assert [e.status for e in hub.log.filter("POST", "complete_multipart", since=mark)] == [None, 200]
    assert not list((repo.folder / "incoming").iterdir())


def test_parts_must_be_right(hub, repo):
    data = hashlib.shake_128(b"parts").digest(500_000)
    body = {"operation": "upload", "transfers": ["basic", "multipart"], "objects": [{"oid": sha256(data), "size": len(data)}]}
    answer = json.loads(ask(hub, "POST", f"/datasets/{repo.repo_id}.git/info/lfs/objects/batch", json.dumps(body))[2])
    upload = answer["objects"][0]["actions"]["upload"]
    assert (
        answer["transfer"] == "multipart"
        and upload["header"]["chunk_size"] == "400000"
        and set(upload["header"]) == {"chunk_size", "1", "2"}
    )

    def put(number, content):
        status, headers, _ = ask(hub, "PUT", upload["header"][number], content, token=None)
        return status, headers.get("ETag")

    def complete(*etags):
        parts = [{"partNumber": n, "etag": etag} for n, etag in enumerate(etags, 1)]
        return ask(hub, "POST", upload["href"], json.dumps({"oid": sha256(data), "parts": parts}), token=None)[0]

    assert put("1", data[:399_999])[0] == 400 and put("2", data)[0] == 400
    etags = [put("1", data[:400_000])[1], put("2", bytes(100_000))[1]]
    assert complete(etags[0]) == 400 and complete(etags[0], '"wrong"') == 400
    assert complete(*etags) == 400 and repo.large_file(sha256(data)) is None  # zeros where data should be
    etags[1] = put("2", data[400_000:])[1]
    assert ask(hub, "POST", upload["href"].replace("size=5", "size=6"), "{}", token=None)[0] == 403
    other = json.dumps({"oid": sha256(b"other"), "parts": [{"partNumber": n, "etag": etag} for n, etag in enumerate(etags, 1)]})
    assert ask(hub, "POST", upload["href"], other, token=None)[0] == 400
    assert complete(*etags) == 200 and complete(*etags) == 200 and repo.large_path(sha256(data)).read_bytes() == data


def test_downloads_go_on_where_they_broke_off(hub, client, repo):
    """The client keeps what has come in whole pieces of its own size (10 MiB) and asks for the rest."""
    data = DATA * 90
    repo.write({"a.parquet": data, "a.txt": b"small"})
    hub.faults.add(faults.drop_response(23_000_000), "GET", f"/{repo.uid}/", "cdn")
    hub.faults.add(faults.drop_response(1000), "GET", f"/{repo.uid}/", "cdn", after=1)
    mark = hub.log.mark()
    assert client.run(calls.download, repo.repo_id, "a.parquet") == data
    gets = hub.log.filter("GET", port="cdn", since=mark)
    assert [entry.range for entry in gets[1:]] == ["bytes=20971520-"] * 2
    assert [entry.bytes_out for entry in gets] == [23_000_000, 1000, len(data) - 20_971_520]

    hub.faults.add(faults.status(503), "HEAD", "/resolve/")
    assert client.run(calls.download, repo.repo_id, "a.txt") == b"small"


def test_another_writer_in_between(hub, client, repo):
    """`call` lets anything happen at a chosen request: here a commit by somebody else just before ours arrives."""
    rule = hub.faults.add(faults.call(lambda request: repo.write({"b.txt": b"theirs"}, "theirs")), "POST", "/commit/")
    with pytest.raises(ClientError) as caught:
        client.run(calls.commit, repo.repo_id, {"a.txt": b"mine"}, parent_commit=repo.head())
    assert caught.value.status == 412 and rule.struck == [f"POST /api/datasets/{repo.repo_id}/commit/main"]
    assert repo.titles() == ["theirs", "initial commit"]
    seen, watched = [], []
    hub.faults.watch(lambda request: watched.append(request.path))
    hub.faults.add(faults.call_after(lambda response: seen.append(json.loads(response.body)["commitOid"])), path="/commit/")
    client.run(calls.commit, repo.repo_id, {"a.txt": b"mine"}, parent_commit=repo.head())
    assert seen == [repo.head()]
    assert watched == [f"/api/datasets/{repo.repo_id}/{step}/main" for step in ("preupload", "commit")]


def test_a_client_killed_in_the_middle_of_a_blob(hub, repo, tmp_path):
    """The blob isn't there, nothing else happened, and the next client sends it whole."""
    code = f"from hub import calls; calls.commit({repo.repo_id!r}, {{'a.parquet': {str(tmp_path / 'a')!r}}})"
    (tmp_path / "a").write_bytes(DATA)
    environment = {**os.environ, **hub.env(tmp_path / "home"), "PYTHONPATH": str(ROOT / "tests")}
    clients = []
    rule = hub.faults.add(faults.drop_request(100_000, call=lambda request: clients[0].kill()), "PUT", f"/{repo.uid}/")
    for ends_with in (-signal.SIGKILL, 0):
        clients.insert(0, subprocess.Popen([sys.executable, "-c", code], env=environment))
        assert clients[0].wait(30) == ends_with
        hub.log.wait_idle()
        assert (repo.large_file(sha256(DATA)) is not None, len(repo.titles())) == ((True, 2) if ends_with == 0 else (False, 1))
        hub.check()
    assert rule.fired == 1 and hub.log.blob_uploads()[sha256(DATA), None] >= 1


def test_rules():
    """After how many, how often, for which requests."""
    table = faults.Faults()

    def names(*targets, port="hub", method="GET"):
        picked = [table.pick(Request(port, method, target, {}, None)) for target in targets]
        return [action.name if action else None for action in picked]

    first = table.add(faults.status(500), "GET", "^/a", after=1, count=2)
    second = table.add(faults.status(503), path="/a", port="hub", count=None)
    assert names("/a", "/a", "/b", "/a", "/a") == ["status 503", "status 500", None, "status 500", "status 503"]
    assert (first.seen, first.fired, second.seen, second.fired) == (4, 2, 4, 2)
    assert names("/a", port="cdn") == [None] and names("/b/a?c=d", method="PUT") == ["status 503"]
    table.remove(second)
    assert names("/a") == [None]
    table.clear()
    parsed = faults.parse("drop-request:1000 method=PUT path='/x y/' after=1 count=all port=cdn")
    assert parsed.pop("action").name == "drop request after 1000 B"
    assert parsed == {"method": "PUT", "path": "/x y/", "after": 1, "count": None, "port": "cdn"}
    for kind in ("503", "drop", "drop-response:5", "lose-response", "hang:1", "delay:0.5", "rate-limit:3", "rate-limit"):
        table.add(**faults.parse(kind))
    for bad in ("", "explode", "503 when=now", "503 twice"):
        with pytest.raises(ValueError, match="fault"):
            faults.parse(bad)


def test_a_mistake_inside_fails_the_test(tmp_path):
    """What goes wrong in the emulator, or in a function given to `call`, doesn't pass for a fault."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"), HubServer(tmp_path) as hub:
        hub.faults.add(faults.call(lambda request: 1 / 0))
        assert ask(hub, "GET", "/api/whoami-v2")[0] == 500
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            hub.check()


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
        piece = hashlib.shake_128(b"piece").digest(1_000_000)
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
