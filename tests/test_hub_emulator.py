"""The emulated Hub answers the real client as the protocol says: repos, rights, commits, refs, listings, files, pull requests."""

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub import ClientError, HubServer, RealClient, accounts, calls, patterns
from hub.raw import ask

CARD = b"---\nlicense: mit\n---\n# A set\n"
# Pauses of `datasets` that would only cost time, and a server beside the Hub that isn't emulated.
SETTINGS = {"datasets.config": {"USE_PARQUET_EXPORT": False, "STREAMING_READ_RETRY_INTERVAL": 0}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with HubServer(tmp_path_factory.mktemp("hub"), part_bytes=400_000) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home"), settings=SETTINGS) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_wrong_inside(hub):
    """Each test leaves a hub in which everything holds, and met no path that it doesn't know."""
    mark = hub.log.mark()
    yield
    hub.check()
    assert not hub.log.unrouted(mark)


@pytest.fixture
def repo_id(request):
    return f"alice/{request.node.name.removeprefix('test_').replace('_', '-')[:60]}"


@pytest.fixture
def folder(tmp_path):
    """A small set: a card, and three large files of which one goes in two parts."""
    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "README.md").write_bytes(CARD)
    for number, size in enumerate((1000, 200_000, 500_000)):
        (tmp_path / "set" / "data" / f"{number}.parquet").write_bytes(bytes_of(number, size))
    return tmp_path / "set"


def bytes_of(seed, size):
    return hashlib.shake_128(str(seed).encode()).digest(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def ask_batch(hub, repo_id, oid, size, **kwargs):
    """What the hub says about sending one large object."""
    body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}], "hash_algo": "sha256"}
    url = f"/datasets/{repo_id}.git/info/lfs/objects/batch"
    _, _, data = ask(hub, "POST", url, json.dumps({**body, "ref": {"name": "main"}}), **kwargs)
    return json.loads(data)["objects"][0]


def send_commit(hub, repo_id, *lines, revision="main", **kwargs):
    """POST a commit made of these lines behind a header."""
    header = {"key": "header", "value": {"summary": "raw", "description": ""}}
    body = "\n".join(json.dumps(line) for line in (header, *lines))
    return ask(hub, "POST", f"/api/datasets/{repo_id}/commit/{revision}", body, **kwargs)


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


def test_accounts(client):
    assert client.run(calls.api, "whoami")["name"] == "alice"
    roles = {}
    for token in (accounts.OWNER_TOKEN, accounts.READ_TOKEN, accounts.FINE_READ_TOKEN, accounts.OTHER_TOKEN):
        answer = client.run(calls.api, "whoami", token=token)
        roles[answer["name"], answer["auth"]["accessToken"]["role"]] = [(org["name"], org["roleInOrg"]) for org in answer["orgs"]]
    assert roles == {
        ("alice", "write"): [("studio", "write")],
        ("alice", "read"): [("studio", "write")],
        ("alice", "fineGrained"): [("studio", "write")],
        ("bob", "write"): [("studio", "read")],
    }
    with pytest.raises(ClientError, match="Invalid user token") as caught:
        client.run(calls.api, "whoami", token=accounts.WRONG_TOKEN)
    assert caught.value.status == 401


def test_create_delete_move(hub, client, repo_id):
    url = client.run(calls.api, "create_repo", repo_id, repo_type="dataset")
    assert url == f"{hub.endpoint}/datasets/{repo_id}"
    assert client.run(calls.api, "create_repo", repo_id, repo_type="dataset", exist_ok=True) == url
    with pytest.raises(ClientError, match="already created") as caught:
        client.run(calls.api, "create_repo", repo_id, repo_type="dataset")
    assert caught.value.status == 409
    assert hub.repo(repo_id).titles() == ["initial commit"]
    assert list(hub.repo(repo_id).files()) == [".gitattributes"]

    hub.repo(repo_id).write({"data/a.parquet": b"abc"})
    client.run(calls.api, "move_repo", repo_id, f"{repo_id}-2", repo_type="dataset")
    assert not hub.has_repo(repo_id)
    assert client.run(calls.download, f"{repo_id}-2", "data/a.parquet") == b"abc"
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "dataset_info", repo_id)
    assert (caught.value.kind, caught.value.status) == ("RepositoryNotFoundError", 404)

    client.run(calls.api, "create_repo", "bare-name", repo_type="dataset")
    client.run(calls.api, "create_repo", "studio/shared", repo_type="dataset")
    found = client.run(calls.api, "list_datasets", author="studio")
    assert [row["id"] for row in found] == ["studio/shared"]
    for name in ("alice/bare-name", "studio/shared"):
        client.run(calls.api, "delete_repo", name, repo_type="dataset")
        assert not hub.has_repo(name)
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "delete_repo", "alice/bare-name", repo_type="dataset")
    assert caught.value.kind == "RepositoryNotFoundError"


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("bob/foreign", accounts.OWNER_TOKEN),
        ("studio/foreign", accounts.OTHER_TOKEN),
        ("studio/foreign", accounts.FINE_WRITE_TOKEN),
        ("alice/foreign", accounts.READ_TOKEN),
        ("alice/foreign", accounts.FINE_READ_TOKEN),
    ],
)
def test_create_without_right(hub, client, name, token):
    with pytest.raises(ClientError, match="403 Forbidden: You don't have the rights to create a dataset") as caught:
        client.run(calls.api, "create_repo", name, repo_type="dataset", exist_ok=True, token=token)
    assert caught.value.status == 403
    assert not hub.has_repo(name)


@pytest.mark.parametrize(
    ("token", "status", "kind", "text"),
    [
        (accounts.OTHER_TOKEN, 403, "HfHubHTTPError", "Authorization error"),
        (accounts.READ_TOKEN, 403, "HfHubHTTPError", "Authorization error"),
        (accounts.FINE_READ_TOKEN, 403, "HfHubHTTPError", "Authorization error"),
        (accounts.WRONG_TOKEN, 401, "HfHubHTTPError", "Invalid credentials in Authorization header"),
        (False, 401, "HfHubHTTPError", "Invalid username or password"),
    ],
)
def test_no_write_without_right(hub, client, token, status, kind, text):
    repo_id = "alice/readable"
    repo = hub.repo(repo_id) if hub.has_repo(repo_id) else hub.create_repo(repo_id)
    head, tags = repo.head(), repo.tags
    for call in (
        lambda: client.run(calls.commit, repo_id, {"a.txt": b"no"}, token=token),
        lambda: client.run(calls.commit, repo_id, {".gitattributes": None}, token=token),
        lambda: client.run(calls.api, "create_tag", repo_id, tag="v1", repo_type="dataset", token=token),
        lambda: client.run(calls.api, "create_branch", repo_id, branch="b", repo_type="dataset", token=token),
        lambda: client.run(calls.api, "update_repo_settings", repo_id, private=True, repo_type="dataset", token=token),
        lambda: client.run(calls.api, "super_squash_history", repo_id, repo_type="dataset", token=token),
        lambda: client.run(calls.api, "delete_repo", repo_id, repo_type="dataset", token=token),
    ):
        with pytest.raises(ClientError, match=text) as caught:
            call()
        assert (caught.value.kind, caught.value.status) == (kind, status)
    header = {} if token is False else {"Authorization": f"Bearer {token}"}
    line = {"key": "file", "value": {"path": "a.txt", "content": "bm8=", "encoding": "base64"}}
    assert send_commit(hub, repo_id, line, token=None, headers=header)[0] == status
    assert (repo.head(), repo.tags, repo.private) == (head, tags, False)


def test_fine_grained_token_writes(hub, client, repo_id):
    client.run(calls.api, "create_repo", repo_id, repo_type="dataset", token=accounts.FINE_WRITE_TOKEN)
    client.run(calls.commit, repo_id, {"a.parquet": b"abc"}, token=accounts.FINE_WRITE_TOKEN)
    assert hub.repo(repo_id).read("a.parquet") == b"abc"


def test_private(hub, client, repo_id):
    client.run(calls.api, "create_repo", repo_id, repo_type="dataset", private=True)
    hub.repo(repo_id).write({"README.md": CARD, "data/a.parquet": b"secret"})
    assert client.run(calls.api, "dataset_info", repo_id)["private"] is True
    assert client.run(calls.download, repo_id, "data/a.parquet", token=accounts.READ_TOKEN) == b"secret"
    for token, status in ((False, 401), (accounts.OTHER_TOKEN, 404)):
        for call in (
            lambda: client.run(calls.api, "dataset_info", repo_id, token=token),  # noqa: B023
            lambda: client.run(calls.commit, repo_id, {"a": b"b"}, token=token),  # noqa: B023
            lambda: client.run(calls.api, "list_repo_refs", repo_id, repo_type="dataset", token=token),  # noqa: B023
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert (caught.value.kind, caught.value.status) == ("RepositoryNotFoundError", status)
    assert client.run(calls.api, "list_datasets", author="alice", search=repo_id.partition("/")[2], token=False) == []
    client.run(calls.api, "update_repo_settings", repo_id, private=False, repo_type="dataset")
    assert client.run(calls.download, repo_id, "README.md", token=False) == CARD
    client.run(calls.api, "update_repo_settings", repo_id, gated="auto", repo_type="dataset")
    hub.repo(repo_id).write({"data/b.parquet": b"for members"})
    with pytest.raises(ClientError) as caught:
        client.run(calls.download, repo_id, "data/b.parquet", token=False)
    assert "Cannot access gated repo" in str(caught.value)
    assert client.run(calls.download, repo_id, "data/b.parquet") == b"for members"


def test_upload_folder_sends_each_blob_once(hub, client, repo_id, folder):
    """The sequences of requests that the protocol page lists."""
    repo = hub.create_repo(repo_id)
    kwargs = {"repo_id": repo_id, "folder_path": str(folder), "repo_type": "dataset"}
    batch = f"POST /datasets/{repo_id}.git/info/lfs/objects/batch 200"
    verify = f"POST /datasets/{repo_id}.git/info/lfs/objects/verify 200"
    preupload, commit = f"POST /api/datasets/{repo_id}/preupload/main 200", f"POST /api/datasets/{repo_id}/commit/main 200"
    yaml = ["POST /api/validate-yaml 200"] * 2

    client.run(calls.api, "upload_folder", **kwargs)
    lines = [line for line in hub.log.lines() if f"/{repo.uid}/" not in line and "complete_multipart" not in line]
    assert [line for line in lines if repo_id in line] == [preupload, batch, *[verify] * 3, commit]
    data = {number: bytes_of(number, size) for number, size in enumerate((1000, 200_000, 500_000))}
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

    (folder / "README.md").write_bytes(CARD + b"More.\n")
    (folder / "data" / "0.parquet").unlink()
    mark = hub.log.mark()
    client.run(calls.api, "upload_folder", **kwargs, delete_patterns="data/*")
    tree = f"GET /api/datasets/{repo_id}/tree/main 200"
    assert hub.log.lines(mark) == [tree, *yaml, preupload, batch, commit]
    assert sorted(repo.files()) == [".gitattributes", "README.md", "data/1.parquet", "data/2.parquet"]
    assert repo.read("README.md") == CARD + b"More.\n" and not hub.log.blob_uploads(mark)


def test_preupload_then_commit_sends_nothing_again(hub, client, repo_id, folder):
    """The way of one version in one commit: blobs first, file by file, then the commit; a broken run goes on where it was."""
    hub.create_repo(repo_id)
    changes = {path.relative_to(folder).as_posix(): str(path) for path in sorted(folder.rglob("*")) if path.is_file()}
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


def test_commit_operations(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    client.run(calls.commit, repo_id, {"a.txt": b"a", "d/b.txt": b"b", "d/e/c.parquet": b"c", "empty.parquet": b""})
    assert repo.files()["d/e/c.parquet"].sha256 == sha256(b"c") and repo.files()["empty.parquet"].sha256 is None
    mark = hub.log.mark()
    client.run(calls.commit, repo_id, {"copy.parquet": ("copy", "d/e/c.parquet"), "copy.txt": ("copy", "a.txt")})
    assert repo.read("copy.parquet") == b"c" and repo.read("copy.txt") == b"a" and not hub.log.blob_uploads(mark)
    client.run(calls.commit, repo_id, {"d/": None, "a.txt": None})
    assert sorted(repo.files()) == [".gitattributes", "copy.parquet", "copy.txt", "empty.parquet"]
    for path in ("a.txt", "d/"):
        with pytest.raises(ClientError, match="A file with this name doesn't exist") as caught:
            client.run(calls.commit, repo_id, {path: None})
        assert (caught.value.kind, caught.value.status) == ("RemoteEntryNotFoundError", 404)
    # Nothing of a commit is there if one line of it isn't possible.
    head = repo.head()
    with pytest.raises(ClientError):
        client.run(calls.commit, repo_id, {"new.txt": b"new", "gone.txt": None})
    assert repo.head() == head


def test_parent_is_checked(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    old = repo.head()
    new, _ = client.run(calls.commit, repo_id, {"a.txt": b"1"}, parent_commit=old)
    assert repo.head() == new
    for stale in (old, old[:7], "0" * 40):
        with pytest.raises(ClientError, match=r"A commit has happened since\. Please refresh and try again\.") as caught:
            client.run(calls.commit, repo_id, {"a.txt": b"2"}, parent_commit=stale)
        assert (caught.value.kind, caught.value.status) == ("HfHubHTTPError", 412)
    client.run(calls.commit, repo_id, {"a.txt": b"3"}, parent_commit=new[:7])
    assert repo.read("a.txt") == b"3"
    assert next(repo.history())["parents"] == [new]


def test_one_commit_at_a_time(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    with hub.commit_in_progress(repo_id), pytest.raises(ClientError, match="Another commit operation is in progress") as caught:
        client.run(calls.commit, repo_id, {"a.txt": b"1"})
    assert caught.value.status == 409 and len(repo.titles()) == 1
    # Several writers with the same parent: one wins, the others are told.
    parent = repo.head()
    lines = [{"key": "header", "value": {"summary": "s", "description": "", "parentCommit": parent}}]
    lines += [{"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}}]
    body = "\n".join(map(json.dumps, lines))
    with ThreadPoolExecutor(8) as pool:
        url = f"/api/datasets/{repo_id}/commit/main"
        statuses = [s for s, _, _ in pool.map(lambda _: ask(hub, "POST", url, body), range(8))]
    assert statuses.count(200) == 1 and set(statuses) <= {200, 409, 412}
    assert len(repo.titles()) == 2


def test_commits_that_are_refused(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    repo.write({"README.md": CARD})
    client.run(calls.api, "create_tag", repo_id, tag="v1", repo_type="dataset")
    head = repo.head()
    for revision in ("v1", head, "no-such-branch", "refs/pr/7"):
        with pytest.raises(ClientError) as caught:
            client.run(calls.commit, repo_id, {"README.md": None}, revision=revision)
        assert (caught.value.kind, caught.value.status) == ("RevisionNotFoundError", 404)

    pointer = {"path": "a.parquet", "algo": "sha256", "oid": sha256(b"never sent"), "size": 10}
    assert send_commit(hub, repo_id, {"key": "lfsFile", "value": pointer})[::2][0] == 400
    _, headers, _ = send_commit(hub, repo_id, {"key": "lfsFile", "value": pointer})
    assert "LFS pointer pointed to a file that does not exist" in headers["X-Error-Message"]
    repo.write({"b.parquet": b"b"})
    pointer = {"path": "a.parquet", "algo": "sha256", "oid": sha256(b"b"), "size": 10}
    assert send_commit(hub, repo_id, {"key": "lfsFile", "value": pointer})[0] == 400

    def file(path, content="YQ=="):
        return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}

    for line in (
        file("../a"),
        file("/a"),
        file("a//b"),
        file(".git/config"),
        file("a", "not base64"),
        file("README.md/a"),
        {"key": "what"},
    ):
        assert send_commit(hub, repo_id, line)[0] == 400, line
    head = repo.head()
    hub.options.commit_limit_bytes = 1000
    try:
        with pytest.raises(ClientError, match="too large") as caught:
            client.run(calls.commit, repo_id, {"a.txt": b"a" * 1000})
    finally:
        hub.options.commit_limit_bytes = 10**9
    assert caught.value.status == 413 and repo.head() == head


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("license: [mit\n", "YAML"),
        ("- a\n- b\n", "must be a mapping"),
        ("license: mit\nlicense: mit\n", "duplicated mapping key"),
        ("license: my-own\n", '"license" must be one of'),
        ("size_categories: ['20K']\n", '"size_categories" must be one of'),
        ("configs:\n- data_files: x\n", "config_name"),
        ("tags: [1]\n", '"tags" must be an array of strings'),
    ],
)
def test_bad_yaml_is_refused(hub, client, folder, block, text):
    repo_id = "alice/bad-yaml"
    repo = hub.repo(repo_id) if hub.has_repo(repo_id) else hub.create_repo(repo_id)
    head = repo.head()
    card = f"---\n{block}---\n# A set\n".encode()
    with pytest.raises(ClientError, match=text) as caught:
        client.run(calls.commit, repo_id, {"README.md": card})
    assert caught.value.status == 400 or caught.value.kind == "ValueError"
    assert (
        send_commit(hub, repo_id, {"key": "file", "value": {"path": "README.md", "content": card.decode(), "encoding": "utf-8"}})[0] == 400
    )
    (folder / "README.md").write_bytes(card)
    with pytest.raises(ClientError, match=text) as caught:
        client.run(calls.api, "upload_folder", repo_id=repo_id, folder_path=str(folder), repo_type="dataset")
    assert caught.value.kind == "ValueError" and caught.value.text.startswith("Invalid metadata in README.md")
    assert repo.head() == head


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


def test_refs(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    first = repo.head()
    second = repo.write({"a.txt": b"2"}, "second")
    kwargs = {"repo_type": "dataset"}
    client.run(calls.api, "create_tag", repo_id, tag="v2", tag_message="the second", **kwargs)
    client.run(calls.api, "create_tag", repo_id, tag="v1", revision=first, **kwargs)
    with pytest.raises(ClientError, match="Tag reference exists already") as caught:
        client.run(calls.api, "create_tag", repo_id, tag="v1", **kwargs)
    assert caught.value.status == 409
    client.run(calls.api, "create_tag", repo_id, tag="v1", exist_ok=True, **kwargs)
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "create_tag", repo_id, tag="v3", revision="nowhere", **kwargs)
    assert caught.value.kind == "RevisionNotFoundError"
    assert repo.tags == {"v1": first, "v2": second}

    client.run(calls.api, "create_branch", repo_id, branch="old/one", revision="v1", **kwargs)
    client.run(calls.api, "create_branch", repo_id, branch="dev", **kwargs)
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "create_branch", repo_id, branch="dev", **kwargs)
    assert caught.value.status == 409
    for branch, kind in (("refs/pr/5", "BadRequestError"), ("a b", "BadRequestError")):
        with pytest.raises(ClientError) as caught:
            client.run(calls.api, "create_branch", repo_id, branch=branch, **kwargs)
        assert caught.value.kind == kind
    client.run(calls.commit, repo_id, {"b.txt": b"dev"}, revision="dev", commit_message="on dev")
    client.run(calls.commit, repo_id, {"b.txt": b"old"}, revision="old/one")
    refs = client.run(calls.api, "list_repo_refs", repo_id, include_pull_requests=True, **kwargs)
    assert {ref["name"]: ref["target_commit"] for ref in refs["branches"]} == {
        "main": second, "old/one": repo.head("old/one"), "dev": repo.head("dev"),
    }  # fmt: skip
    assert {ref["ref"]: ref["target_commit"] for ref in refs["tags"]} == {"refs/tags/v1": first, "refs/tags/v2": second}
    commits = client.run(calls.api, "list_repo_commits", repo_id, revision="dev", **kwargs)
    assert [(c["title"], c["authors"]) for c in commits] == [("on dev", ["alice"]), ("second", ["alice"]), ("initial commit", ["alice"])]

    for path, revision in (("b.txt", "dev"), ("b.txt", "old/one"), ("a.txt", "v2"), ("a.txt", second[:8]), ("a.txt", "refs/heads/main")):
        assert client.run(calls.download, repo_id, path, revision=revision) == repo.read(path, revision)
    assert client.run(calls.api, "dataset_info", repo_id, revision="v1")["sha"] == first
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "dataset_info", repo_id, revision="v9")
    assert caught.value.kind == "RevisionNotFoundError"

    client.run(calls.api, "delete_tag", repo_id, tag="v1", **kwargs)
    client.run(calls.api, "delete_branch", repo_id, branch="dev", **kwargs)
    with pytest.raises(ClientError):
        client.run(calls.api, "delete_branch", repo_id, branch="main", **kwargs)
    for method, name in (("delete_tag", {"tag": "v1"}), ("delete_branch", {"branch": "dev"})):
        with pytest.raises(ClientError) as caught:
            client.run(calls.api, method, repo_id, **name, **kwargs)
        assert caught.value.kind == "RevisionNotFoundError"
    assert (sorted(repo.tags), sorted(repo.state["heads"])) == (["v2"], ["main", "old/one"])
    client.run(calls.api, "super_squash_history", repo_id, commit_message="all in one", **kwargs)
    assert repo.titles() == ["all in one"] and repo.read("a.txt") == b"2" and repo.find(second) == second


def test_listing(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    files = {f"data/train/{n:02}.parquet": bytes_of(n, 10 + n) for n in range(9)}
    first = repo.write({**files, "README.md": CARD}, "first")
    second = repo.write({"data/train/03.parquet": b"new", "data/test/a b+c%2F.txt": b"odd"}, "second")
    kwargs = {"repo_type": "dataset"}
    hub.options.page_size, mark = 4, hub.log.mark()
    try:
        rows = client.run(calls.api, "list_repo_tree", repo_id, recursive=True, expand=True, **kwargs)
    finally:
        hub.options.page_size = 1000
    assert len(hub.log.filter("GET", "/tree/", since=mark)) == 4  # 11 + 2 files and folders at 4 a page, and .gitattributes
    by_path = {row["path"]: row for row in rows}
    assert len(rows) == len(by_path) == 15 and {path for path in by_path if "blob_id" in by_path[path]} == set(repo.files())
    assert by_path["data/train/03.parquet"]["lfs"]["sha256"] == sha256(b"new") and by_path["data/train/03.parquet"]["size"] == 3
    assert by_path["README.md"]["lfs"] is None
    changed = {path for path, row in by_path.items() if row["last_commit"]["oid"] == second}
    assert changed == {"data", "data/train", "data/train/03.parquet", "data/test", "data/test/a b+c%2F.txt"}
    assert by_path["README.md"]["last_commit"]["title"] == "first"

    def names(path=None, **more):
        return [row["path"] for row in client.run(calls.api, "list_repo_tree", repo_id, path, **more, **kwargs)]

    assert names() == [".gitattributes", "README.md", "data"]
    assert names("data") == ["data/test", "data/train"]
    assert names("data", revision=first) == ["data/train"]
    assert names("data/test") == ["data/test/a b+c%2F.txt"]
    for path in ("README.md", "nowhere", "data/tr"):
        with pytest.raises(ClientError) as caught:
            names(path)
        assert caught.value.kind == "RemoteEntryNotFoundError"
    with pytest.raises(ClientError) as caught:
        names(revision="nowhere")
    assert caught.value.kind == "RevisionNotFoundError"

    found = client.run(calls.api, "get_paths_info", repo_id, ["data", "README.md", "nowhere", "data/test/a b+c%2F.txt"], **kwargs)
    assert [row["path"] for row in found] == ["data", "README.md", "data/test/a b+c%2F.txt"]
    assert found[2]["size"] == 3 and found[0]["tree_id"] == by_path["data"]["tree_id"]
    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "get_paths_info", repo_id, [f"{n}" for n in range(1001)], **kwargs)
    assert caught.value.status == 413
    assert client.run(calls.download, repo_id, "data/test/a b+c%2F.txt") == b"odd"
    assert client.run(calls.glob, f"datasets/{repo_id}/data/*/0[12].parquet") == [
        f"datasets/{repo_id}/data/train/01.parquet", f"datasets/{repo_id}/data/train/02.parquet",
    ]  # fmt: skip
    info = client.run(calls.api, "dataset_info", repo_id, files_metadata=True)
    assert {s["rfilename"]: s["size"] for s in info["siblings"]} == {path: file.size for path, file in repo.files().items()}
    assert set(client.run(calls.api, "dataset_info", repo_id, expand=["sha", "lastModified"])) >= {"id", "sha"}


def test_files_and_ranges(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    large, small = bytes_of("large", 1000), b"0123456789"
    repo.write({"a.parquet": large, "a.txt": small})
    urls = {name: f"/datasets/{repo_id}/resolve/main/{name}" for name in ("a.parquet", "a.txt", "nowhere")}
    status, headers, body = ask(hub, "HEAD", urls["a.txt"])
    assert (status, headers["Content-Length"], headers["X-Repo-Commit"], body) == (200, "10", repo.head(), b"")
    assert headers["ETag"] == f'"{repo.files()["a.txt"].oid}"'
    status, headers, _ = ask(hub, "HEAD", urls["a.parquet"])
    assert (status, headers["X-Linked-Size"], headers["X-Linked-Etag"]) == (302, "1000", f'"{sha256(large)}"')
    location = headers["Location"]
    assert location.startswith(hub.cdn_endpoint)
    status, headers, _ = ask(hub, "HEAD", urls["nowhere"])
    assert (status, headers["X-Error-Code"], headers["X-Repo-Commit"]) == (404, "EntryNotFound", repo.head())
    for url, data, token in ((urls["a.txt"], small, accounts.OWNER_TOKEN), (location, large, None)):
        size = len(data)
        for asked, expected in (("0-3", data[:4]), ("7-", data[7:]), ("-4", data[-4:]), (f"5-{size + 50}", data[5:]), ("3-3", data[3:4])):
            status, headers, body = ask(hub, "GET", url, token=token, headers={"Range": f"bytes={asked}"})
            start = size - len(expected) if asked.startswith("-") else int(asked.split("-")[0])
            assert (status, body) == (206, expected)
            assert headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
        status, headers, _ = ask(hub, "GET", url, token=token, headers={"Range": f"bytes={size}-"})
        assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
        assert ask(hub, "GET", url, token=token)[2] == data

    # A commit that is in the cache is read without a request; other content has another ETag.
    assert client.run(calls.download, repo_id, "a.parquet", revision=repo.head()) == large
    mark = hub.log.mark()
    assert client.run(calls.download, repo_id, "a.parquet", revision=repo.head()) == large
    assert hub.log.mark() == mark
    repo.write({"a.parquet": b"other"})
    assert client.run(calls.download, repo_id, "a.parquet") == b"other"
    with pytest.raises(ClientError) as caught:
        client.run(calls.download, repo_id, "nowhere")
    assert caught.value.kind == "RemoteEntryNotFoundError"
    assert client.run(calls.snapshot, repo_id, ignore_patterns=".git*") == {"a.parquet": b"other", "a.txt": small}


def test_pull_requests(hub, client, repo_id):
    repo = hub.create_repo(repo_id)
    repo.write({"README.md": CARD, "data/a.parquet": b"1"})
    base = repo.head()
    kwargs = {"repo_type": "dataset"}
    changes = {"data/b.parquet": b"2", "README.md": CARD + b"By bob.\n"}
    oid, url = client.run(calls.commit, repo_id, changes, create_pr=True, commit_message="more rows", token=accounts.OTHER_TOKEN)
    assert url == f"{hub.endpoint}/datasets/{repo_id}/discussions/1"
    assert repo.head() == base and repo.find("refs/pr/1") == oid
    assert client.run(calls.download, repo_id, "data/b.parquet", revision="refs/pr/1") == b"2"
    client.run(calls.commit, repo_id, {"data/c.parquet": b"3"}, revision="refs/pr/1", token=accounts.OTHER_TOKEN)
    shown = client.run(calls.api, "get_discussion_details", repo_id, 1, **kwargs)
    assert (shown["title"], shown["status"], shown["author"], shown["target_branch"]) == ("more rows", "open", "bob", "main")
    assert shown["conflicting_files"] == [] and [event["type"] for event in shown["events"]] == ["comment", "commit", "commit"]
    refs = client.run(calls.api, "list_repo_refs", repo_id, include_pull_requests=True, **kwargs)
    assert [ref["ref"] for ref in refs["pull_requests"]] == ["refs/pr/1"]

    with pytest.raises(ClientError) as caught:
        client.run(calls.api, "merge_pull_request", repo_id, 1, token=accounts.OTHER_TOKEN, **kwargs)
    assert caught.value.status == 403
    with pytest.raises(ClientError) as caught:
        client.run(calls.commit, repo_id, {"a": b"b"}, create_pr=True, token=accounts.READ_TOKEN)
    assert caught.value.status == 403
    repo.write({"other.txt": b"meanwhile"})
    client.run(calls.api, "merge_pull_request", repo_id, 1, **kwargs)
    assert repo.titles()[0] == "more rows (#1)" and repo.read("other.txt") == b"meanwhile"
    assert (repo.read("data/c.parquet"), repo.read("README.md")) == (b"3", CARD + b"By bob.\n")

    made = client.run(calls.api, "create_pull_request", repo_id, "an edit", **kwargs)
    assert (made["num"], made["status"], made["is_pull_request"]) == (2, "draft", True)
    client.run(calls.commit, repo_id, {"README.md": CARD + b"Mine.\n"}, revision="refs/pr/2")
    repo.write({"README.md": CARD + b"Theirs.\n"})
    assert client.run(calls.api, "get_discussion_details", repo_id, 2, **kwargs)["conflicting_files"] == ["README.md"]
    with pytest.raises(ClientError, match="conflicts") as caught:
        client.run(calls.api, "merge_pull_request", repo_id, 2, **kwargs)
    assert caught.value.status == 409
    client.run(calls.api, "comment_discussion", repo_id, 2, "too late", **kwargs)
    client.run(calls.api, "change_discussion_status", repo_id, 2, "closed", **kwargs)
    found = client.run(calls.api, "get_repo_discussions", repo_id, **kwargs)
    assert [(d["num"], d["status"]) for d in found] == [(2, "closed"), (1, "merged")]
    # With a parent given, a pull request starts there, even if the branch has gone on.
    client.run(calls.commit, repo_id, {"late.txt": b"late"}, create_pr=True, parent_commit=base)
    assert [c["title"] for c in repo.history("refs/pr/3")] == ["a commit", "a change from elsewhere", "initial commit"]


def test_models(hub, client):
    client.run(calls.api, "create_repo", "alice/model")
    client.run(calls.commit, "alice/model", {"config.json": b"{}", "model.safetensors": b"weights"}, repo_type="model")
    client.run(calls.api, "create_tag", "alice/model", tag="v1.0.0")
    repo = hub.repo("alice/model", "models")
    assert repo.files()["model.safetensors"].sha256 and repo.tags == {"v1.0.0": repo.head()}
    assert client.run(calls.download, "alice/model", "model.safetensors", repo_type="model", revision="v1.0.0") == b"weights"
    assert client.run(calls.api, "model_info", "alice/model")["sha"] == repo.head()
    assert not hub.has_repo("alice/model")


def test_a_folder_written_behind_the_client(hub, client, repo_id, folder):
    """`write_folder` gives the same tree as the client's own upload."""
    theirs, ours = hub.create_repo(repo_id), hub.create_repo(f"{repo_id}-2")
    ours.write_folder(folder)
    ours.tag("v1.0.0")
    client.run(calls.api, "upload_folder", repo_id=repo_id, folder_path=str(folder), repo_type="dataset")
    assert ours.files("v1.0.0") == theirs.files()
    with hub.commit_in_progress(repo_id):
        theirs.write({"data/0.parquet": None})
    assert "data/0.parquet" not in theirs.files()


def test_datasets(hub, client, repo_id):
    """push_to_hub and load_dataset: by split and revision, streaming and not, of public and private repos."""
    first = {"n": list(range(20)), "text": [f"row {n}" for n in range(20)]}
    second = {"n": list(range(30)), "text": [f"new {n}" for n in range(30)]}
    client.run(calls.push, repo_id, first, private=True)
    client.run(calls.api, "create_tag", repo_id, tag="v1.0.0", repo_type="dataset")
    client.run(calls.push, repo_id, second, num_shards=3)
    expected = {revision: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
                for revision, columns in (("v1.0.0", first), ("main", second))}  # fmt: skip
    for revision in ("v1.0.0", "main"):
        for streaming in (False, True):
            assert client.run(calls.rows, repo_id, revision=revision, streaming=streaming) == expected[revision]
    assert client.run(calls.rows, repo_id, streaming=True, columns=["n"]) == [{"n": n} for n in range(30)]
    hub.create_repo(f"{repo_id}-2", private=True)
    with pytest.raises(ClientError) as caught:  # of a repo that isn't in the cache
        client.run(calls.rows, f"{repo_id}-2", token=False)
    assert caught.value.kind == "DatasetNotFoundError"
    assert len([path for path in hub.repo(repo_id).files() if path.startswith("data/")]) == 3
