"""An annotated set on the Hub: the next version of the repository that holds the set it was made from."""

import json

import publishing
import pytest
from annotate_sets import MINI, NO_DEPTH, again
from hub import HubServer, RealClient
from publishing import add_words, assert_same_as_folder, card_on_hub, copy_of, publish_set
from small_sets import recipe, small_set

NAME = "alice/annotated"
LOAD_SETTINGS = {"datasets.config": {"USE_PARQUET_EXPORT": False}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with HubServer(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home"), settings={**publishing.SETTINGS, **LOAD_SETTINGS}) as client:
        yield client


def keys_and_columns(repo, revision):
    """({split: keys}, columns) by plain `load_dataset`."""
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(repo, revision=revision)
    return {split: rows["key"][:] for split, rows in loaded.items()}, next(iter(loaded.values())).column_names


def test_another_depth_model_is_a_new_major_version(hub, client, tmp_path):
    first = copy_of(small_set("relative8"), tmp_path / "first")
    add_words(first, "Three rooms.")
    client.run(publish_set, first, NAME)

    again(first, tmp_path / "second", {"depth_model": recipe("unscaled").depth_model})
    planned = client.run(publish_set, tmp_path / "second", NAME, plan=True)
    assert (planned["version"], planned["reason"]) == ("v2.0.0", "the recipe changed")
    done = client.run(publish_set, tmp_path / "second", NAME, message="Depth of another model.")
    assert (done["version"], done["add"], done["drop"]) == ("v2.0.0", [], [])
    assert_same_as_folder(hub.repo(NAME), tmp_path / "second")
    card = card_on_hub(hub.repo(NAME))
    assert "Three rooms." in card
    assert card.index("**v2.0.0** (2026-03-04): The recipe changed. Depth of another model.") < card.index("**v1.0.0**")

    again(tmp_path / "second", tmp_path / "third", NO_DEPTH)
    done = client.run(publish_set, tmp_path / "third", NAME)
    assert done["version"] == "v3.0.0" and done["drop"] == ["assets/depth.png"]
    assert done["reason"].startswith("the schema changed: ") and "default.depth is gone" in done["reason"]
    card = card_on_hub(hub.repo(NAME))
    assert "Three rooms." in card and card.index("**v3.0.0**") < card.index("**v2.0.0**") < card.index("**v1.0.0**")

    loaded = {revision: client.run(keys_and_columns, NAME, revision) for revision in ("v1.0.0", "v2.0.0", "v3.0.0", "main")}
    assert loaded["v1.0.0"] == loaded["v2.0.0"] and loaded["v3.0.0"] == loaded["main"]
    assert loaded["main"][0] == loaded["v1.0.0"][0]
    assert set(loaded["v1.0.0"][1]) - set(loaded["main"][1]) == {"depth_min_m", "depth_max_m", "depth"}


def test_the_same_model_again_is_no_new_version(hub, client, tmp_path):
    first = copy_of(small_set("relative8"), tmp_path / "first")
    client.run(publish_set, first, f"{NAME}-again")
    again(first, tmp_path / "second", MINI)
    assert json.loads((tmp_path / "second" / "manifest.json").read_text()) == json.loads((first / "manifest.json").read_text())
    done = client.run(publish_set, tmp_path / "second", f"{NAME}-again")
    assert (done["changed"], done["version"]) == (False, "v1.0.0")
