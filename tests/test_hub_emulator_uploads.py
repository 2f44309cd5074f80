"""The emulated Hub takes files as git and the Hub do: ids, which files are large, blobs sent once and as they were announced."""

import json
import os
import subprocess

import pytest
from hub import ClientError, HubServer, calls, patterns
from hub.raw import ask, ask_batch
from hub_files import CARD, SIZES_BYTES, bytes_of, sha256

HUB_OPTIONS = {"part_bytes": 400_000}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


# --- as git does ---


def test_ids_are_those_of_git(hub, repo_id, tmp_path):
    """git itself gives the same ids for the same files: blobs, trees in git's order, and the commit."""
    files = {"b.txt": b"two\n", "b/a.txt": b"one\n", "b-c": b"", "b/c/d.txt": b"\x00\xff"}
    repo = hub.create_repo(repo_id)
    repo.write({".gitattributes": None, **files}, "title")
    commit = repo.commit(repo.head())

    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        name = {f"GIT_{role}_NAME": "alice", f"GIT_{role}_EMAIL": "alice@users.noreply"}
        environment |= {**name, f"GIT_{role}_DATE": f"{int(commit['date'])} +0000"}

    def git(*args, stdin=None):
        done = subprocess.run(["git", *args], cwd=tmp_path, env=environment, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("init", "--quiet")
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    git("add", *files)
    tree = git("write-tree")
    assert git("ls-tree", "-r", "--format=%(objectname) %(path)", tree).splitlines() == sorted(
        (f"{file.oid} {path}" for path, file in commit["files"].items()), key=lambda line: line.split()[1]
    )
    assert commit["tree"] == tree
    # The parent isn't in git's own store, so the commit is hashed from its text.
    text = f"tree {tree}\nparent {commit['parents'][0]}\n"
    text += "".join(f"{role} alice <alice@users.noreply> {int(commit['date'])} +0000\n" for role in ("author", "committer"))
    assert git("hash-object", "-t", "commit", "--stdin", "--literally", stdin=f"{text}\ntitle\n\n".encode()) == commit["id"]


ATTRIBUTES = """# a remark
*.parquet filter=lfs -text
big/** filter=lfs
/top.bin filter=lfs
a/*/c.dat filter=lfs
x?[0-9].raw filter=lfs
big/small.txt -filter
*.md text
"""
IGNORES = """*.tmp
/build
cache/
!keep.tmp
docs/**/draft.md
"""
PATHS = """
a.parquet d/e.parquet a.parquet.txt big/one big/d/two big/small.txt d/big/one top.bin d/top.bin a/b/c.dat a/c.dat a/b/b/c.dat
xy7.raw xyz.raw d/x-1.raw r.md a.tmp d/a.tmp keep.tmp d/keep.tmp build build/out d/build cache cache/f d/cache/f docs/draft.md
docs/a/b/draft.md docs/a.md
"""


def test_patterns_mean_what_they_mean_to_git(tmp_path):
    """Which files are large, and which a push leaves out, agrees with git for every path."""

    def git(*args):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        # check-ignore ends with 1 if nothing is ignored.
        return subprocess.run(["git", *args], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False).stdout

    git("init", "--quiet")
    (tmp_path / ".gitattributes").write_text(ATTRIBUTES)
    (tmp_path / ".gitignore").write_text(IGNORES)
    paths = PATHS.split()
    found = dict(line.split(": filter: ") for line in git("check-attr", "filter", *paths).splitlines())
    assert {path: patterns.is_large(ATTRIBUTES, path) for path in paths} == {path: found[path] == "lfs" for path in paths}
    ignored = set(git("check-ignore", "--no-index", *paths).splitlines())
    assert {path for path in paths if patterns.is_ignored(IGNORES, path)} == ignored and len(ignored) > 5


def test_preupload_tells_how_to_send(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    repo.write({"old.parquet": b"old", "old.txt": b"text"})
    sizes = {"old.parquet": 3, "old.txt": 4, "new.txt": 10 * 2**20, "huge.txt": 10 * 2**20 + 1, "empty.parquet": 0, "a.tmp": 1}
    body = {"files": [{"path": path, "sample": "", "size": size} for path, size in sizes.items()], "gitIgnore": "*.tmp"}
    answer = json.loads(ask(hub, "POST", f"/api/datasets/{repo_id}/preupload/main", json.dumps(body))[2])
    assert {f["path"]: (f["uploadMode"], f["shouldIgnore"], f.get("oid")) for f in answer["files"]} == {
        "old.parquet": ("lfs", False, sha256(b"old")), "old.txt": ("regular", False, repo.files()["old.txt"].oid),
        "new.txt": ("regular", False, None), "huge.txt": ("lfs", False, None), "empty.parquet": ("regular", False, None),
        "a.tmp": ("regular", True, None),
    }  # fmt: skip


# --- sending ---


def test_upload_folder_sends_each_blob_once(hub, client, repo_id, folder_to_send):
    """The sequences of requests that the protocol page lists."""
    repo = hub.create_repo(repo_id)
    kwargs = {"repo_id": repo_id, "folder_path": str(folder_to_send), "repo_type": "dataset"}
    batch = f"POST /datasets/{repo_id}.git/info/lfs/objects/batch 200"
    verify = f"POST /datasets/{repo_id}.git/info/lfs/objects/verify 200"
    preupload, commit = f"POST /api/datasets/{repo_id}/preupload/main 200", f"POST /api/datasets/{repo_id}/commit/main 200"
    yaml = ["POST /api/validate-yaml 200"] * 2

    client.run(calls.api, "upload_folder", **kwargs)
    lines = [line for line in hub.log.lines() if f"/{repo.uid}/" not in line and "complete_multipart" not in line]
    assert [line for line in lines if repo_id in line] == [preupload, batch, *[verify] * 3, commit]
    data = {number: bytes_of(number, size) for number, size in enumerate(SIZES_BYTES)}
    assert {key: n for key, n in hub.log.blob_uploads().items() if key[0] in map(sha256, data.values())} == {
        (sha256(data[0]), None): 1, (sha256(data[1]), None): 1, (sha256(data[2]), 1): 1, (sha256(data[2]), 2): 1,
    }  # fmt: skip
    assert {path: repo.read(path) for path in repo.files() if path.startswith("data/")} == {
        f"data/{number}.parquet": content for number, content in data.items()
    }
    assert repo.read("README.md") == CARD and repo.titles() == ["Upload folder using huggingface_hub", "initial commit"]

    mark, head = hub.log.mark(), repo.head()
    client.run(calls.api, "upload_folder", **kwargs)
    assert hub.log.lines(mark) == [*yaml, preupload, batch, f"GET /api/datasets/{repo_id}/revision/main 200"]
    assert repo.head() == head and not hub.log.blob_uploads(mark) and not hub.log.commits(mark)

    (folder_to_send / "README.md").write_bytes(CARD + b"More.\n")
    (folder_to_send / "data" / "0.parquet").unlink()
    mark = hub.log.mark()
    client.run(calls.api, "upload_folder", **kwargs, delete_patterns="data/*")
    tree = f"GET /api/datasets/{repo_id}/tree/main 200"
    assert hub.log.lines(mark) == [tree, *yaml, preupload, batch, commit]
    assert sorted(repo.files()) == [".gitattributes", "README.md", "data/1.parquet", "data/2.parquet"]
    assert repo.read("README.md") == CARD + b"More.\n" and not hub.log.blob_uploads(mark)


def test_preupload_then_commit_sends_nothing_again(hub, client, repo_id, folder_to_send):
    """The way of one version in one commit: blobs first, file by file, then the commit; a broken run goes on where it was."""
    hub.create_repo(repo_id)
    changes = {path.relative_to(folder_to_send).as_posix(): str(path) for path in sorted(folder_to_send.rglob("*")) if path.is_file()}
    client.run(_preupload, repo_id, {path: file for path, file in changes.items() if not path.endswith("0.parquet")})
    assert hub.repo(repo_id).titles() == ["initial commit"]
    mark = hub.log.mark()
    client.run(_preupload, repo_id, changes)
    assert list(hub.log.blob_uploads(mark)) == [(sha256(bytes_of(0, 1000)), None)]
    mark = hub.log.mark()
    client.run(calls.commit, repo_id, changes, parent_commit=hub.repo(repo_id).head())
    assert not hub.log.blob_uploads(mark) and len(hub.log.commits(mark)) == 1
    assert hub.repo(repo_id).read("data/2.parquet") == bytes_of(2, 500_000)


def _preupload(repo_id, changes):
    from huggingface_hub import CommitOperationAdd, HfApi

    operations = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in changes.items()]
    HfApi().preupload_lfs_files(repo_id, operations, repo_type="dataset")


def test_large_objects_must_be_what_was_announced(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    oid = sha256(b"right")
    url = ask_batch(hub, repo_id, oid, 5)["actions"]["upload"]["href"]
    assert url.startswith(hub.cdn_endpoint)
    for body, text in ((b"wrong", "BadDigest"), (b"rights", "EntityToo"), (b"", "EntityToo")):
        status, headers, _ = ask(hub, "PUT", url, body, token=None)
        assert (status, repo.large_file(oid)) == (400, None) and text in headers["X-Error-Message"]
    for bad in (url.replace("size=5", "size=6"), url.replace(oid, sha256(b"other")), url.partition("?")[0], url.replace("put", "get")):
        assert ask(hub, "PUT", bad, b"right", token=None)[0] == 403
    # A body without a length can only be judged when it has come; here the hash is right and the announced size wrong.
    longer = ask_batch(hub, repo_id, oid, 6)["actions"]["upload"]["href"]
    assert ask(hub, "PUT", longer, iter([b"ri", b"ght"]), token=None)[0] == 400
    verify = f"/datasets/{repo_id}.git/info/lfs/objects/verify"
    assert ask(hub, "POST", verify, json.dumps({"oid": oid, "size": 5}))[0] == 404
    assert ask(hub, "PUT", url, b"right", token=None)[0] == 200
    assert ask(hub, "POST", verify, json.dumps({"oid": oid, "size": 6}))[0] == 400
    assert ask(hub, "POST", verify, json.dumps({"oid": oid, "size": 5}))[0] == 200
    assert ask_batch(hub, repo_id, oid, 5) == {"oid": oid, "size": 5}
    # What one repo has isn't another's: nobody gets at content by its hash alone.
    other = hub.create_repo(f"{repo_id}-2")
    assert "actions" in ask_batch(hub, other.repo_id, oid, 5)
    assert not list((repo.folder / "incoming").iterdir())

    hub.refused[sha256(b"unwanted")] = "this object isn't wanted"
    with pytest.raises(ClientError, match=r"LFS batch API returned errors:\n.*this object isn't wanted") as caught:
        client.run(calls.commit, repo_id, {"a.parquet": b"unwanted"})
    assert caught.value.kind == "ValueError"

    hub.options.url_lifetime_s = -1
    try:
        expired = ask_batch(hub, repo_id, sha256(b"late"), 4)["actions"]["upload"]["href"]
    finally:
        hub.options.url_lifetime_s = 3600
    status, headers, _ = ask(hub, "PUT", expired, b"late", token=None)
    assert (status, headers["X-Error-Message"]) == (403, "Request has expired")


def test_token_on_the_cdn_is_refused_and_noticed(tmp_path):
    with HubServer(tmp_path) as hub:
        hub.create_repo("alice/set").write({"a.parquet": b"abc"})
        _, headers, _ = ask(hub, "GET", "/datasets/alice/set/resolve/main/a.parquet")
        assert ask(hub, "GET", headers["Location"], token=None)[2] == b"abc"
        hub.check()
        assert ask(hub, "GET", headers["Location"])[0] == 400
        assert len(hub.log.auth_on_cdn()) == 1
        with pytest.raises(AssertionError, match="a token was sent to the cdn"):
            hub.check()
