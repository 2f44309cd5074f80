"""The emulated Hub knows who may do what: tokens, rights, making and moving repos, private and gated ones."""

import pytest
from hub import ClientError, accounts, calls
from hub.raw import send_commit
from hub_files import CARD

pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


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
