"""With `hf_xet` at work, as it is on the production Hub: the same steps, one commit, and nothing is sent twice."""

import publishing
import pytest
from hub import faults
from publishing import add_words, assert_main_is_whole, assert_same_as_folder, publish_set, refused

HUB_OPTIONS = {"xet": True}
# hf_xet tries again by itself, for minutes.
QUICK = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_RETRY_BASE_DELAY": "1ms", "HF_XET_CLIENT_RETRY_MAX_DURATION": "1s"}
CLIENT_OPTIONS = {"settings": publishing.SETTINGS, "env": QUICK}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


def stored_bytes(hub):
    """Bytes that arrived by Xet: its blocks of chunks are only ever added."""
    return sum(path.stat().st_size for path in (hub.store.root / "xet").rglob("default.*") if path.suffix != ".tagset")


def steps(hub, mark):
    """What a run asked the Hub to do, in order."""
    verbs = ("create", "preupload", "xet-write-token", "commit", "tag")
    asked = [next((v for v in verbs if f"/{v}" in e.path), e.path) for e in hub.log.filter(since=mark) if e.method != "HEAD"]
    return [step for step in asked if step in verbs or "lfs" in step]


def test_publish_append_and_nothing(hub, client, repo_id, first, second):
    mark = hub.log.mark()
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.0"
    asked, repo = steps(hub, mark), hub.repo(repo_id)
    assert {"xet-write-token", "preupload"} < set(asked) and asked[0] == "create"
    assert asked[-2:] == ["commit", "tag"] and asked.count("commit") == 1  # none in parts, as the client's upload_folder makes
    assert not hub.log.blob_uploads(mark) and stored_bytes(hub) > 0
    assert_same_as_folder(repo, first)
    before, mark = stored_bytes(hub), hub.log.mark()
    assert client.run(publish_set, first, repo_id)["changed"] is False
    assert steps(hub, mark) == [] and stored_bytes(hub) == before
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.0"
    new = sum((second / path).stat().st_size for path in repo.files() if not (first / path).exists() and (second / path).exists())
    assert before < stored_bytes(hub) < before + 2 * new
    assert_same_as_folder(repo, second)
    add_words(second, "Words.")
    before = stored_bytes(hub)
    assert client.run(publish_set, second, repo_id)["change"] == ["README.md"]
    assert stored_bytes(hub) == before


@pytest.mark.parametrize("kind", ["503", "dropped", "refused"])
def test_no_token_for_the_store(hub, client, repo_id, first, kind):
    """What always fails ends the run with words; the next one goes on, and sends nothing twice."""
    action = {"503": faults.status(503), "dropped": faults.drop(), "refused": faults.status(403, "no")}[kind]
    hub.faults.add(action, path="/xet-write-token/", count=None)
    error = refused(client, first, repo_id)
    assert error.kind in ("HubError", "TokenError") and "send" in error.text, error
    hub.faults.clear()
    assert_main_is_whole(hub.repo(repo_id))
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.0"
    assert_same_as_folder(hub.repo(repo_id), first)


def test_a_commit_that_failed_sends_nothing_again(hub, client, repo_id, first):
    hub.faults.add(faults.status(413, "too large"), method="POST", path="/commit/")
    assert "too much for one commit" in refused(client, first, repo_id).text
    before = stored_bytes(hub)
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.0"
    assert stored_bytes(hub) == before > 0
    assert_same_as_folder(hub.repo(repo_id), first)
