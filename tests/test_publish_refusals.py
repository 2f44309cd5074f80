"""What publishing refuses, before it sends anything or after the Hub said no: tokens, folders, cards, strangers on main, commits."""

import os

import publishing
import pytest
from conftest import run_cli
from hub import RealClient, accounts
from publishing import add_words, publish_set, refused, sent, shas, writes

HUB_OPTIONS = {"part_bytes": 60_000, "page_size": 7}
CLIENT_OPTIONS = {"settings": publishing.SETTINGS}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


# --- tokens ---


TOKENS = {
    "missing": (None, "alice", "there is no token for the Hub"),
    "wrong": (accounts.WRONG_TOKEN, "alice", "doesn't know this token"),
    "read": (accounts.READ_TOKEN, "alice", "it may only read"),
    "fine_read": (accounts.FINE_READ_TOKEN, "alice", "no write permission for alice/"),
    "foreign": (accounts.OTHER_TOKEN, "alice", "alice is neither bob nor one of the organisations of bob"),
    "reader_of_organisation": (accounts.OTHER_TOKEN, "studio", "bob may only read in studio"),
    "broken": ("not a\ttoken\x00", "alice", ""),
}


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_that_cannot_write_is_refused_before_anything_is_sent(hub, tmp_path, first, case):
    token, namespace, words = TOKENS[case]
    env = {**os.environ, **hub.env(tmp_path / "home", token=None if case == "broken" else token)}
    if case == "broken":
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "token").write_text("tok\u00e9n-with-letters-that-none-has")
        del env["HF_TOKEN"]
    mark = hub.log.mark()
    done = run_cli("publish", first, "--repo", f"{namespace}/token-{case.replace('_', '-')}", "--trust", "--quiet", check=False, env=env)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Nothing was sent" in done.stderr and "Traceback" not in done.stderr
    assert "with-letters" not in done.stderr + done.stdout and (token is None or token not in done.stderr + done.stdout)
    assert writes(hub, mark) == []


def test_a_fine_grained_token_and_an_organisation(hub, tmp_path, first, second):
    with RealClient(hub, tmp_path / "home", token=accounts.FINE_WRITE_TOKEN, settings=publishing.SETTINGS) as client:
        assert client.run(publish_set, first, "alice/fine")["version"] == "v1.0.0"
        assert "no write permission" in refused(client, first, "studio/fine").text
    with RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
        assert client.run(publish_set, second, "studio/fine")["version"] == "v1.0.0"
        assert client.run(publish_set, first, "bare-name")["url"].endswith("/datasets/alice/bare-name")


# --- folders and repositories ---


@pytest.mark.parametrize("check", ["trust", "full"])
def test_a_damaged_folder_is_not_sent(hub, client, repo_id, first, check):
    path = first / "data/train/b000-00000.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    mark = hub.log.mark()
    error = refused(client, first, repo_id, check=check)
    assert error.kind == "DataError" and "b000-00000.parquet" in error.text
    assert writes(hub, mark) == [] and not hub.has_repo(repo_id)


def test_an_unfinished_folder_is_not_sent(client, repo_id, first, tmp_path):
    (first / "data/train/b000-00000.parquet").unlink()
    assert "is missing, and manifest.json lists it" in refused(client, first, repo_id).text
    assert "is missing" in refused(client, tmp_path, repo_id).text
    assert "expected USER/SET" in refused(client, first, "a/b/c").text
    assert "is no folder" in refused(client, tmp_path / "nowhere", repo_id).text


def test_what_would_spoil_the_set_is_refused(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id)
    repo, base = hub.repo(repo_id), repo_id.split("/")[1]
    add_words(first, "More.")
    repo.write({f"{base}.py": b"print()"})
    assert f"holds {base}.py" in refused(client, first, repo_id).text
    repo.write({f"{base}.py": None, "data/train/other.parquet": b"PAR1"})
    assert "data/train/other.parquet: they would be loaded as rows" in refused(client, first, repo_id).text
    repo.write({"data/train/other.parquet": None})
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.1"


def test_bad_yaml_is_refused_before_the_blobs(hub, client, repo_id, first):
    path = first / "README.md"
    path.write_text(path.read_text().replace("---\n", "---\nviewer_title: 5\n", 1))
    mark = hub.log.mark()
    assert 'README.md: "viewer_title" must be a string' in refused(client, first, repo_id).text
    assert writes(hub, mark) == []


# --- by the Hub ---


def test_a_commit_that_is_too_large(hub, client, repo_id, first):
    limit, hub.options.commit_limit_files = hub.options.commit_limit_files, 3
    try:
        error = refused(client, first, repo_id)
    finally:
        hub.options.commit_limit_files = limit
    assert error.kind == "HubError" and "rows_per_shard" in error.text and "413" in error.text
    assert set(hub.repo(repo_id).files()) == {".gitattributes"}
    mark = hub.log.mark()
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.0"
    assert sent(hub, mark) == set()


def test_a_blob_that_the_hub_refuses(hub, client, repo_id, first):
    sha = next(iter(shas(first, "foregrounds/b000.parquet")))
    hub.refused[sha] = "virus found"
    try:
        assert "virus found" in refused(client, first, repo_id).text
    finally:
        del hub.refused[sha]
    assert set(hub.repo(repo_id).files()) == {".gitattributes"}
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.0"
