"""The emulated Hub's history: commits and what refuses them, branches and tags, pull requests."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub import ClientError, accounts, calls
from hub.raw import ask, send_commit
from hub_files import CARD, sha256

pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


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
def test_bad_yaml_is_refused(hub, client, folder_to_send, block, text):
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
    (folder_to_send / "README.md").write_bytes(card)
    with pytest.raises(ClientError, match=text) as caught:
        client.run(calls.api, "upload_folder", repo_id=repo_id, folder_path=str(folder_to_send), repo_type="dataset")
    assert caught.value.kind == "ValueError" and caught.value.text.startswith("Invalid metadata in README.md")
    assert repo.head() == head


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
