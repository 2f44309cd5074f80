"""Publishing with the real client against the emulated Hub: what is sent, what is said, and which version it makes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import publishing
import pytest
from conftest import ROOT, run_cli
from hub import RealClient, accounts
from publishing import (
    add_words,
    assert_main_is_whole,
    assert_same_as_folder,
    card_on_hub,
    copy_of,
    publish_set,
    refused,
    sent,
    shas,
    writes,
)

LARGE_BYTES = 200_000_000  # far above what a client that reads whole files could hide
HUB_OPTIONS = {"part_bytes": 60_000, "page_size": 7}
CLIENT_OPTIONS = {"settings": {**publishing.SETTINGS, "datasets.config": {"USE_PARQUET_EXPORT": False}}}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


# --- versions ---


def test_the_first_version(hub, client, repo_id, first):
    done = client.run(publish_set, first, repo_id, message="Five rooms.")
    repo = hub.repo(repo_id)
    assert (done["version"], done["tagged"], done["changed"]) == ("v1.0.0", ("v1.0.0",), True)
    assert repo.tags == {"v1.0.0": repo.head()} and done["commit"] == repo.head()
    assert repo.titles() == ["v1.0.0: it is the first version", "initial commit"]
    assert not repo.private
    assert_same_as_folder(repo, first)  # the folder has the published card, with its list of versions
    assert "**v1.0.0** (2026-03-04): It is the first version. Five rooms." in card_on_hub(repo)
    rows = json.loads((first / "manifest.json").read_text())["files"]
    count = sum(f["rows"] for f in rows.values() if f.get("config") == "default")
    assert client.run(publishing.load_rows, repo_id) == client.run(publishing.load_rows, repo_id, "metadata", "v1.0.0") == {"train": count}
    assert client.run(publishing.load_rows, repo_id, "backgrounds") == {"train": 3}


def test_the_second_publish_sends_nothing(hub, client, repo_id, first):
    before = client.run(publish_set, first, repo_id)
    card = (first / "README.md").read_bytes()
    mark = hub.log.mark()
    done = client.run(publish_set, first, repo_id, today="2027-12-31")
    assert (done["changed"], done["version"], done["commit"], done["tagged"]) == (False, "v1.0.0", before["commit"], ())
    assert writes(hub, mark) == []
    assert (first / "README.md").read_bytes() == card


def test_after_an_append_only_what_is_new_is_sent(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    mark = hub.log.mark()
    done = client.run(publish_set, second, repo_id)
    new = ("backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet")
    assert (done["version"], done["reason"]) == ("v1.1.0", "4 rows and 1 background were added")
    assert (tuple(done["add"]), done["drop"]) == (new, [])
    assert set(done["change"]) == {"README.md", "croissant.json", "manifest.json", "stats.json"}
    assert sent(hub, mark) == shas(second, *new)
    assert len(hub.log.commits(mark)) == 1
    repo = hub.repo(repo_id)
    assert_same_as_folder(repo, second)
    assert repo.read("manifest.json", "v1.0.0") == (first / "manifest.json").read_bytes()
    card = card_on_hub(repo)
    assert card.index("**v1.1.0**") < card.index("**v1.0.0**")
    old, now = (client.run(publishing.load_rows, repo_id, revision=r)["train"] for r in ("v1.0.0", "v1.1.0"))
    assert now == old + 4


def test_after_a_card_edit_only_the_card_is_sent(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id)
    add_words(first, "These rooms are small.")
    mark = hub.log.mark()
    done = client.run(publish_set, first, repo_id, message="Said how small.")
    assert (done["version"], done["add"], done["change"], done["drop"]) == ("v1.0.1", [], ["README.md"], [])
    assert sent(hub, mark) == set()
    assert "These rooms are small." in card_on_hub(hub.repo(repo_id)) and "These rooms" not in card_on_hub(hub.repo(repo_id), "v1.0.0")
    assert_same_as_folder(hub.repo(repo_id), first)


def test_rows_that_go_away_make_a_major_version_and_strangers_stay(hub, client, repo_id, first, second):
    client.run(publish_set, second, repo_id)
    hub.repo(repo_id).write({"notes/mine.txt": b"not ours", "assets/mine.png": b"png"})
    done = client.run(publish_set, first, repo_id)
    assert done["version"] == "v2.0.0" and done["reason"].startswith("rows go away")
    gone = ["backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet"]
    assert done["drop"] == gone
    files = hub.repo(repo_id).files()
    assert {"notes/mine.txt", "assets/mine.png", ".gitattributes"} < set(files) and not set(gone) & set(files)
    assert set(gone) < set(hub.repo(repo_id).files("v1.0.0"))
    assert_main_is_whole(hub.repo(repo_id))


def test_what_somebody_deleted_on_main_comes_back(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id)
    hub.repo(repo_id).write({"data/train/b000-00000.parquet": None})
    mark = hub.log.mark()
    assert client.run(publish_set, first, repo_id)["version"] == "v1.0.1"
    assert sent(hub, mark) == set()  # the blob is still stored there
    assert_same_as_folder(hub.repo(repo_id), first)


def test_numbers_of_ones_own(hub, client, repo_id, first, second):
    assert client.run(publish_set, second, repo_id, version="v0.9.0")["version"] == "v0.9.0"
    mark = hub.log.mark()
    assert "no longer part of the set" in refused(client, first, repo_id, version="v0.9.1").text
    assert "isn't above v0.9.0" in refused(client, first, repo_id, version="v0.1.0").text
    assert "nothing has changed since v0.9.0" in refused(client, second, repo_id, version="v3.0.0").text
    assert writes(hub, mark) == []
    assert client.run(publish_set, first, repo_id, version="v4.0.0")["version"] == "v4.0.0"


def test_a_private_set(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id, private=True)
    assert hub.repo(repo_id).private
    client.run(publish_set, first, repo_id)
    assert hub.repo(repo_id).private


def test_private_for_a_public_repository_is_only_noted(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id)
    done = client.run(publish_set, first, repo_id, private=True)
    assert not hub.repo(repo_id).private and "is public" in done["notes"][0]


def test_the_command(hub, tmp_path, repo_id, first, second):
    env = {**os.environ, **hub.env(tmp_path / "home")}
    plan = run_cli("publish", first, "--repo", repo_id, "--plan", env=env)
    assert "(would be made): v1.0.0, because it is the first version" in plan.stdout and "nothing was sent now" in plan.stdout
    done = run_cli("publish", first, "--repo", repo_id, "--message", "Hello.", env=env)  # with the full check
    files = sum(path.is_file() for path in first.rglob("*"))
    assert f"{repo_id}: v1.0.0, because it is the first version: {files} files new" in done.stdout and "check rows" in done.stderr
    script = [sys.executable, "scripts/publish.py", str(second), "--repo", repo_id, "--trust", "--json"]
    made = json.loads(run_script(script, env).stdout)
    assert (made["version"], made["keep"], made["latest"]) == ("v1.1.0", 13, "v1.0.0")
    again = run_cli("publish", second, "--repo", repo_id, "--trust", "--quiet", env=env)
    assert again.stdout.strip() == f"{hub.endpoint}/datasets/{repo_id} holds all of this already, as v1.1.0; nothing was sent"
    assert again.stderr == ""
    hub.repo(repo_id).write({"notes.txt": b"not ours"})
    left = run_cli("publish", first, "--repo", repo_id, "--trust", "--quiet", "--plan", "--card", "local", "--version", "v3.0.0", env=env)
    assert "leave   notes.txt: not ours" in left.stdout and ".gitattributes" not in plan.stdout + left.stdout
    assert accounts.OWNER_TOKEN not in plan.stdout + plan.stderr + done.stdout + done.stderr
    assert not any(accounts.OWNER_TOKEN.encode() in p.read_bytes() for p in second.rglob("*") if p.is_file())


def run_script(command, env):
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


# --- the plan ---


def test_a_plan_sends_nothing(hub, client, repo_id, first, second):
    card, mark = (first / "README.md").read_bytes(), hub.log.mark()
    told = client.run(publish_set, first, repo_id, plan=True)
    assert (told["version"], told["exists"], told["latest"], told["drop"]) == ("v1.0.0", False, None, [])
    assert told["bytes_to_send"] >= sum((first / path).stat().st_size for path in told["add"])
    assert writes(hub, mark) == [] and not hub.has_repo(repo_id) and (first / "README.md").read_bytes() == card
    client.run(publish_set, first, repo_id)
    mark = hub.log.mark()
    told = client.run(publish_set, second, repo_id, plan=True)
    done = client.run(publish_set, first, repo_id, plan=True)
    assert (told["version"], told["exists"], told["latest"]) == ("v1.1.0", True, "v1.0.0")
    assert done["version"] is None and writes(hub, mark) == []
    assert hub.repo(repo_id).tags.keys() == {"v1.0.0"}


def test_a_plan_needs_no_token(hub, client, tmp_path, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    with RealClient(hub, tmp_path / "home", token=None, settings=publishing.SETTINGS) as nobody:
        told = nobody.run(publish_set, second, repo_id, plan=True)
        assert told["version"] == "v1.1.0" and "there is no token for the Hub" in told["notes"][0]


# --- the card ---


def test_words_from_the_hub_are_kept_and_come_back(hub, client, repo_id, first, second):
    fresh = copy_of(second, second.parent / "fresh")
    client.run(publish_set, first, repo_id)
    repo = hub.repo(repo_id)
    repo.write({"README.md": card_on_hub(repo).replace("## Citation", "## Citation\n\nedited").replace(
        "<!-- fgbg-depth:end summary -->\n", "<!-- fgbg-depth:end summary -->\n\nWords from the Hub.\n").encode()})  # fmt: skip
    done = client.run(publish_set, second, repo_id)
    assert done["notes"] == ("the generated part 'citation' of the card was edited on the Hub; it is made again from the data",)
    assert "Words from the Hub." in card_on_hub(repo) and "edited" not in card_on_hub(repo)
    assert_same_as_folder(repo, second)  # they came back into the folder, so the next version keeps them
    add_words(second, "Words from here.", after="statistics")
    client.run(publish_set, second, repo_id)
    assert "Words from the Hub." in card_on_hub(repo) and "Words from here." in card_on_hub(repo)
    # A folder that was made anew has never seen either text, and takes nothing away.
    assert client.run(publish_set, fresh, repo_id)["changed"] is False
    assert_same_as_folder(repo, fresh)


def test_words_on_both_sides_are_refused_with_the_difference(hub, client, repo_id, first):
    client.run(publish_set, first, repo_id)
    repo = hub.repo(repo_id)
    other = copy_of(first, first.parent / "other")
    add_words(other, "Words from the Hub.")
    repo.write({"README.md": (other / "README.md").read_bytes()})
    add_words(first, "Words from here.")
    mark = hub.log.mark()
    error = refused(client, first, repo_id)
    assert error.kind == "CardConflictError" and "--card local" in error.text
    assert writes(hub, mark) == []
    client.run(publish_set, first, repo_id, card="local")
    assert "Words from here." in card_on_hub(repo) and "Words from the Hub." not in card_on_hub(repo)


def test_a_list_of_versions_that_was_taken_away_comes_back(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    repo = hub.repo(repo_id)
    card = card_on_hub(repo)
    start, stop = card.index("<!-- fgbg-depth:begin changelog -->"), card.index("<!-- fgbg-depth:end changelog -->")
    repo.write({"README.md": (card[:start] + card[stop + len("<!-- fgbg-depth:end changelog -->\n") :]).encode()})
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.0"
    assert "**v1.1.0**" in card_on_hub(repo) and "**v1.0.0**" in card_on_hub(repo)
    repo.write({"README.md": None})
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.1"
    assert "**v1.0.0**" in card_on_hub(repo)


def test_a_folder_that_cannot_be_written(hub, client, repo_id, first, tmp_path):
    """As root may write anywhere, the permission is taken away by a stand-in for `os.access`."""
    done = client.run(publish_read_only, first, repo_id)
    assert done["version"] == "v1.0.0" and "can't be written" in done["notes"][0]
    assert (first / "README.md").read_bytes() != hub.repo(repo_id).read("README.md")
    assert client.run(publish_set, first, repo_id)["changed"] is False
    assert_same_as_folder(hub.repo(repo_id), first)


def publish_read_only(folder, repo_id):
    import os
    from unittest import mock

    with mock.patch.object(os, "access", lambda path, mode: False):
        return publish_set(folder, repo_id)


# --- large files ---


def test_large_files_go_in_parts(hub, client, repo_id, first):
    mark = hub.log.mark()
    client.run(publish_set, first, repo_id)
    parts = [part for _, part in hub.log.blob_uploads(mark)]
    assert None in parts and 2 in parts
    assert_same_as_folder(hub.repo(repo_id), first)


def test_memory_stays_flat(hub, tmp_path, repo_id):
    hub.create_repo(repo_id)
    path, block = tmp_path / "large.parquet", hashlib.shake_128(b"x").digest(1_000_000)
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // len(block)):
            file.write(block)
    limit, hub.options.part_bytes = hub.options.part_bytes, 50_000_000
    try:
        with RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
            grown = client.run(send_and_measure, repo_id, path)
    finally:
        hub.options.part_bytes = limit
    assert grown < LARGE_BYTES / 4
    shutil.rmtree(hub.repo(repo_id).folder / "large")
    (hub.repo(repo_id).folder / "large").mkdir()


def send_and_measure(repo, path):
    """Bytes by which the process grew at its largest while it hashed and sent a file."""
    import resource

    from huggingface_hub import HfApi

    from fgbg_depth.hub.contents import from_path
    from fgbg_depth.hub.remote import Remote
    from fgbg_depth.hub.upload import additions_of, send_blobs
    from fgbg_depth.progress import Quiet

    remote = Remote(HfApi(), repo)
    remote.tree(remote.head())  # whatever is loaded late is there now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    file = from_path("data/large.parquet", Path(path))
    send_blobs(remote, additions_of({file.path: file}, [file.path]), Quiet())
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
