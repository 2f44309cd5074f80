"""The emulated Hub gives back what it has: listings, files and ranges, models, and whole sets for `datasets`."""

import pytest
from hub import ClientError, accounts, calls
from hub.raw import ask
from hub_files import CARD, bytes_of, sha256

# Pauses of `datasets` that would only cost time, and a server beside the Hub that isn't emulated.
CLIENT_OPTIONS = {"settings": {"datasets.config": {"USE_PARQUET_EXPORT": False, "STREAMING_READ_RETRY_INTERVAL": 0}}}
HUB_OPTIONS = {"part_bytes": 400_000}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


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


def test_models(hub, client):
    client.run(calls.api, "create_repo", "alice/model")
    client.run(calls.commit, "alice/model", {"config.json": b"{}", "model.safetensors": b"weights"}, repo_type="model")
    client.run(calls.api, "create_tag", "alice/model", tag="v1.0.0")
    repo = hub.repo("alice/model", "models")
    assert repo.files()["model.safetensors"].sha256 and repo.tags == {"v1.0.0": repo.head()}
    assert client.run(calls.download, "alice/model", "model.safetensors", repo_type="model", revision="v1.0.0") == b"weights"
    assert client.run(calls.api, "model_info", "alice/model")["sha"] == repo.head()
    assert not hub.has_repo("alice/model")


def test_a_folder_written_behind_the_client(hub, client, repo_id, folder_to_send):
    """`write_folder` gives the same tree as the client's own upload."""
    theirs, ours = hub.create_repo(repo_id), hub.create_repo(f"{repo_id}-2")
    ours.write_folder(folder_to_send)
    ours.tag("v1.0.0")
    client.run(calls.api, "upload_folder", repo_id=repo_id, folder_path=str(folder_to_send), repo_type="dataset")
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
