"""The recipes that come with the project: each loads, and each is what it says."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from fgbg_depth.config import FIELD_NAMES, SPLIT_NAMES, Recipe, load_recipe, recipe_to_toml
from fgbg_depth.plan import PlanAsset, assign_splits, make_plan
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.samples import sample_folder

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "recipes"
PATHS = sorted(FOLDER.glob("*.toml"))


def keys_with_comments(path):
    """Keys of a recipe, those that are only mentioned in a comment included."""
    return re.findall(r"^(?:# )?([a-z_]+) = ", path.read_text(encoding="utf-8"), re.MULTILINE)


def hundred_by_hundred(recipe):
    """The plan of 100 backgrounds and 100 cut-outs, each of a group of its own."""

    def assets(kind):
        return [PlanAsset(f"{kind}{i:03d}", f"{kind}-{i}", f"id:{kind}{i:03d}", 300, 200) for i in range(100)]

    sides = [assets("b"), assets("f")]
    splits = assign_splits(recipe, *sides)
    settled = [[dataclasses.replace(a, split=s[a.id]) for a in side] for side, s in zip(sides, splits, strict=True)]
    return make_plan(recipe, *settled)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_recipe_loads_and_round_trips(path, tmp_path):
    recipe = load_recipe(path)
    (tmp_path / "again.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "again.toml") == recipe
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_three_recipes_are_there():
    assert [path.stem for path in PATHS] == ["demo", "original", "reference"]


def test_reference_is_the_defaults_with_the_real_network():
    path = FOLDER / "reference.toml"
    assert load_recipe(path) == Recipe(depth_model="densedepth-nyu")
    # Every field is named, so that the file shows all that there is; but the one that only an import writes.
    named = sorted(set(FIELD_NAMES) - {"imported"})
    assert sorted(keys_with_comments(path)) == named
    # And what stands in comments, in place of nothing, would be accepted.
    text = re.sub(r"^# (scale|depth_input_size) = ", r"\1 = ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(Recipe().replace(**tomllib.loads(text)).to_dict()) == len(named)


def test_reference_gives_four_hundred_thousand_rows():
    plan = hundred_by_hundred(load_recipe(FOLDER / "reference.toml"))
    assert plan.num_rows == 100 * 100 * 2 * 20
    assert {split: len(rows) for (_, split), rows in plan.rows.items()} == {"train": 320_000, "validation": 40_000, "test": 40_000}
    assert plan.left_out == {0: 0}


def test_original_is_as_the_set_of_2020_was_made():
    recipe = load_recipe(FOLDER / "original.toml")
    assert (recipe.image_size, recipe.background_fit) == (224, "stretch")
    assert (recipe.foreground_size, recipe.foreground_fit, recipe.flips) == ((100, 70), "stretch", True)
    assert (recipe.image_format, recipe.image_quality) == ("jpeg", 50)
    assert (recipe.mask, recipe.mask_threshold) == ("binary", 1)
    assert (recipe.depth_model, recipe.depth_input_size) == ("densedepth-nyu", (224, 224))
    assert recipe.depth_encoding == "relative8_jpeg"
    plan = hundred_by_hundred(recipe)
    assert {split: len(rows) for (_, split), rows in plan.rows.items()} == {"train": 400_000}


def test_the_differences_from_2020_are_listed():
    text = (ROOT / "docs" / "original_set.md").read_text(encoding="utf-8")
    differs = text.partition("## What differs")[2]
    for words in ("JPEG of quality 30", "began at 1", "112 x 112", "`depth_min_m`", "Parquet"):
        assert words in differs, words
    assert "original_set.md" in (FOLDER / "original.toml").read_text(encoding="utf-8")


def test_demo_is_small_and_shows_everything(tmp_path):
    recipe = load_recipe(FOLDER / "demo.toml")
    assert recipe.depth_model == "densedepth-mini"
    options = Options(sample_folder("background"), sample_folder("foreground"))
    plan = prepare(tmp_path / "set", recipe.replace(depth_model="none"), options).plan
    assert plan.num_rows == 864
    assert {split for _, split in plan.rows} == set(SPLIT_NAMES)
    assert len(plan.backgrounds) == len(plan.foregrounds) == 12
    shards = plan.shards()
    assert max(map(len, shards)) == 100
    assert {len(shard) for shard in shards if shard.index == 0} == {32}
    assert not (tmp_path / "set").exists()  # a plan writes nothing
