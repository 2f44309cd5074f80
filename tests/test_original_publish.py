"""An imported set on the Hub: published like any other, loaded, and verified there."""

import pytest
from original_sets import imported
from publishing import SETTINGS, assert_same_as_folder, card_on_hub, load_rows, publish_set
from trees_2020 import tree_files, write_files

CLIENT_OPTIONS = {"settings": {**SETTINGS, "datasets.config": {"USE_PARQUET_EXPORT": False}}}
pytestmark = pytest.mark.usefixtures("hub_stays_sound")


def test_an_imported_set_is_published_and_loaded(hub, client, repo_id, tmp_path):
    files = {name: data for name, data in tree_files()[0].items() if "bg 2" not in name}
    rows = imported(write_files(tmp_path / "tree", files), tmp_path / "set")["rows"]
    done = client.run(publish_set, tmp_path / "set", repo_id)
    assert (done["version"], done["changed"]) == ("v1.0.0", True)
    assert_same_as_folder(hub.repo(repo_id), tmp_path / "set")
    assert "This set was imported" in card_on_hub(hub.repo(repo_id))
    assert client.run(load_rows, repo_id) == {"train": rows}
    assert client.run(publish_set, tmp_path / "set", repo_id)["changed"] is False
