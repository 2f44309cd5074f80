"""The emulated Hub goes wrong when it is told to: which request, how, how often, and what the client makes of it."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from hub import ClientError, calls, faults
from hub.raw import ask
from hub.wire import Request
from hub_files import bytes_of, sha256

DATA = bytes_of("a shard", 300_000)
HUB_OPTIONS = {"part_bytes": 400_000}
pytestmark = pytest.mark.usefixtures("hub_stays_sound")


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
    data = bytes_of("in parts", 1_000_000)
    hub.faults.add(faults.drop_request(150_000), "PUT", "partNumber=2")
    hub.faults.add(faults.lose_response(), "POST", "/api/complete_multipart")
    mark = hub.log.mark()
    client.run(calls.commit, repo.repo_id, {"a.parquet": data})
    assert repo.read("a.parquet") == data
    assert hub.log.blob_uploads(mark) == {(sha256(data), n): 1 for n in (1, 2, 3)}
    assert [e.status for e in hub.log.filter("POST", "complete_multipart", since=mark)] == [None, 200]
    assert not list((repo.folder / "incoming").iterdir())


def test_parts_must_be_right(hub, repo):
    data = bytes_of("parts", 500_000)
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
