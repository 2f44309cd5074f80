"""A set without a picture on the Hub: the next major version, only what changed is sent, and the picture doesn't come back."""

import json
import shutil

import publishing
import pytest
from publishing import assert_main_is_whole, assert_same_as_folder, publish_set, refused, second_set, sent, shas

from fgbg_depth.drop import drop_assets
from fgbg_depth.dropped import DROPPED_NAME

CLIENT_OPTIONS = {"settings": {**publishing.SETTINGS, "datasets.config": {"USE_PARQUET_EXPORT": False}}}
GONE = "bridge_01"
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The set without a background of its first batch; nobody may change it."""
    folder = shutil.copytree(second_set(), tmp_path_factory.mktemp("without") / "set")
    drop_assets(folder, [GONE], num_workers=1)
    return folder


def run_rollback(repo, to, **words):
    from huggingface_hub import HfApi

    from fgbg_depth.hub.rollback import rollback

    return rollback(repo, to, api=HfApi(), **words).version


def test_the_next_version_is_a_major_one_and_only_changes_are_sent(hub, client, repo_id, without, tmp_path):
    first, folder = shutil.copytree(second_set(), tmp_path / "first"), shutil.copytree(without, tmp_path / "set")
    client.run(publish_set, first, repo_id)
    code, out, _ = client.run(publishing.run_main, "drop-asset", first, GONE, "--plan", "--repo", repo_id)
    assert code == 0 and "would be v2.0.0, because rows go away" in out
    mark = hub.log.mark()
    done = client.run(publish_set, folder, repo_id, message="A picture was taken down.")
    assert done["version"] == "v2.0.0" and done["reason"] == "rows go away: 4 rows and 1 background are no longer part of the set"
    changed = {"backgrounds/b000.parquet", "data/train/b000-00000.parquet", "data/train/b000-00001.parquet", "metadata/train/b000.parquet"}
    there = {path for path in changed if (folder / path).read_bytes() != (first / path).read_bytes()}
    assert "backgrounds/b000.parquet" in there and done["add"] == [DROPPED_NAME]
    assert {path for path in done["change"] if path.endswith(".parquet")} == there
    assert sent(hub, mark) >= shas(folder, *there) and len(sent(hub, mark)) == len(there) + sum(p.endswith(".png") for p in done["change"])
    repo = hub.repo(repo_id)
    assert_main_is_whole(repo)
    assert_same_as_folder(repo, folder)
    assert GONE.encode() not in b"".join(repo.read(path) for path in repo.files() if not path.endswith((".parquet", ".png")))
    loaded = client.run(publishing.load_rows, repo_id, "backgrounds", download_mode="force_redownload")
    assert loaded == {"train": 3}


def test_the_old_copy_is_not_published_again(hub, client, repo_id, without, tmp_path):
    """Nor an earlier version brought back, but where that is asked for."""
    first, folder = shutil.copytree(second_set(), tmp_path / "first"), shutil.copytree(without, tmp_path / "set")
    client.run(publish_set, first, repo_id)
    client.run(publish_set, folder, repo_id)
    head = hub.repo(repo_id).head()
    told = refused(client, first, repo_id).text
    assert "holds pictures that were taken out of" in told and f"fgbg-depth drop-asset {first} {GONE}" in told
    with pytest.raises(Exception, match="before 1 picture was taken out"):
        client.run(run_rollback, repo_id, "v1.0.0")
    assert hub.repo(repo_id).head() == head
    drop_assets(first, [GONE], num_workers=1)
    assert not client.run(publish_set, first, repo_id)["changed"]  # the same takedown, the same bytes
    code, out, _ = client.run(publishing.run_main, "rollback", repo_id, "--to", "v1.0.0", "--bring-back-dropped", "--json")
    assert code == 0 and json.loads(out)["version"] == "v3.0.0" and DROPPED_NAME in json.loads(out)["drop"]


def test_a_list_that_gets_lost_is_said(hub, client, repo_id, without, tmp_path):
    """A set made anew without the picture knows nothing of it."""
    import small_sets
    from publishing import first_set

    folder, anew = shutil.copytree(without, tmp_path / "set"), shutil.copytree(first_set(), tmp_path / "anew")
    client.run(publish_set, folder, repo_id)
    ids = [name.removesuffix(".jpg") for name in small_sets.BACKGROUNDS[: small_sets.FIRST]]
    assert GONE in ids
    told = refused(client, anew, repo_id).text
    assert GONE in told
    other = tmp_path / "other"
    folders = small_sets._assets("background", small_sets.BACKGROUNDS[:2]), small_sets._assets("foreground", small_sets.FOREGROUNDS)
    folders = small_sets._assets("background", small_sets.BACKGROUNDS[:2]), small_sets._assets("foreground", small_sets.FOREGROUNDS)
    options = small_sets.Options(*folders)
    small_sets.generate(other, small_sets.recipe("one_split"), options)
    done = client.run(publish_set, other, repo_id)
    assert any("would no longer be kept out" in note for note in done["notes"])
