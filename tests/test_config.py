"""The recipe: defaults of the contract, checks, TOML there and back, digest."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.config import FIELD_NAMES, Recipe, load_recipe, portable_model_name, recipe_to_toml
from fgbg_depth.errors import RecipeError

WEIGHTS = "ab" * 32


def test_defaults_are_the_contract():
    assert Recipe().to_dict() == {
        "image_size": 224,
        "background_fit": "stretch",
        "foreground_size": [100, 70],
        "foreground_fit": "contain",
        "flips": True,
        "placements": 20,
        "overhang": 0.0,
        "mask": "binary",
        "mask_threshold": 128,
        "key_color": "",
        "image_format": "jpeg",
        "image_quality": 90,
        "mask_format": "png",
        "depth_model": "densedepth-mini",
        "depth_output": "",
        "depth_encoding": "relative8",
        "depth_engine": "torch",
        "depth_precision": "fp32",
        "depth_batch": 16,
        "hold_out": "background",
        "splits": [0.8, 0.1, 0.1],
        "rows_per_shard": 2000,
        "first_shard_rows": 100,
        "rows_per_group": 100,
        "seed": 0,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 0},
        {"image_size": 224.0},
        {"image_size": True},
        {"background_fit": "squash"},
        {"foreground_size": [300, 70]},
        {"foreground_size": [100]},
        {"foreground_size": 100},
        {"scale": [0.5, 0.2]},
        {"scale": [0.0, 0.5]},
        {"scale": [0.5, 1.5]},
        {"placements": 0},
        {"overhang": 1.0},
        {"overhang": -0.1},
        {"mask_threshold": 0},
        {"mask_threshold": 256},
        {"key_color": "green"},
        {"image_quality": 101},
        {"mask_format": "jpeg"},
        {"depth_model": " "},
        {"depth_input_size": [8, 8]},
        {"depth_batch": 0},
        {"splits": [0.5, 0.1, 0.1]},
        {"splits": [0.0, 0.5, 0.5]},
        {"splits": [1.1, -0.1, 0.0]},
        {"first_shard_rows": 3000},
        {"rows_per_group": 2001},
        {"seed": -1},
        {"seed": "0"},
    ],
)
def test_impossible_values_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RecipeError, match=f"recipe field {name} is"):
        Recipe().replace(**changes)


def test_unknown_key_with_a_hint(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("placement = 3\n")
    with pytest.raises(RecipeError, match=r"r\.toml: unknown recipe key 'placement' \(did you mean 'placements'\?\)"):
        load_recipe(path)


def test_bad_files(tmp_path):
    with pytest.raises(RecipeError, match="can't be read"):
        load_recipe(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_text("placements = \n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(tmp_path / "bad.toml")
    (tmp_path / "wrong.toml").write_text("placements = -3\n")
    with pytest.raises(RecipeError, match=r"wrong\.toml.*placements is -3"):
        load_recipe(tmp_path / "wrong.toml")


recipes = st.builds(
    lambda **fields: Recipe().replace(**fields),
    image_size=st.integers(100, 512),
    placements=st.integers(1, 50),
    overhang=st.floats(0, 0.99),
    scale=st.none() | st.tuples(st.floats(0.01, 0.5), st.floats(0.5, 1)),
    flips=st.booleans(),
    mask=st.sampled_from(["binary", "matte"]),
    depth_model=st.sampled_from(["none", "densedepth-mini", 'quo"te', "user/model", "Zürich"]),
    depth_input_size=st.none() | st.tuples(st.integers(16, 999), st.integers(16, 999)),
    splits=st.sampled_from([(0.8, 0.1, 0.1), (1, 0, 0), (0.5, 0.25, 0.25)]),
    seed=st.integers(0, 2**63 - 1),
)


@given(recipe=recipes)
def test_toml_there_and_back(tmp_path_factory, recipe):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe_to_toml(recipe, WEIGHTS), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("placements = 3\nseed = 5\n")
    assert load_recipe(path, placements=7, seed=None) == Recipe(placements=7, seed=5)


def test_every_field_counts_in_the_digest():
    other = {
        "image_size": 225, "background_fit": "crop", "foreground_size": (99, 70), "foreground_fit": "stretch",
        "scale": (0.1, 0.2), "flips": False, "placements": 19, "overhang": 0.1, "mask": "matte", "mask_threshold": 127,
        "key_color": "#00ff00", "image_format": "png", "image_quality": 89, "depth_input_size": (224, 224),
        "depth_output": "relative-inverse",
        "depth_encoding": "metric16", "depth_engine": "openvino", "depth_precision": "bf16", "depth_batch": 8,
        "hold_out": "both", "splits": (0.9, 0.05, 0.05),
        "rows_per_shard": 1999, "first_shard_rows": 99, "rows_per_group": 99, "seed": 1, "imported": "ab" * 32,
    }  # fmt: skip
    base = Recipe()
    digests = {base.digest(WEIGHTS)} | {base.replace(**{k: v}).digest(WEIGHTS) for k, v in other.items()}
    assert len(digests) == 1 + len(other)
    # The rest has one choice so far, or is what the weights stand in for.
    assert set(FIELD_NAMES) - set(other) == {"mask_format", "depth_model"}


def test_digest_knows_weights_but_no_path():
    one, two = Recipe(depth_model="/home/a/weights"), Recipe(depth_model="densedepth-nyu")
    assert one.digest(WEIGHTS) == two.digest(WEIGHTS)
    assert one.digest(WEIGHTS) != one.digest("cd" * 32)
    with pytest.raises(ValueError, match="digest of its weights"):
        one.digest()
    with pytest.raises(ValueError, match="has none"):
        Recipe(depth_model="none").digest(WEIGHTS)


def test_digest_is_stable():
    # A change here means that old folders are refused: raise FORMAT_VERSION and say so in the changelog.
    assert Recipe(depth_model="none").digest() == "11a9718cb7e032c86402240c12ac5ec4815f2bac715fc1623729eb8f298a64ab"


def test_no_path_leaves_the_machine(tmp_path):
    model = tmp_path / "secret-user" / "my-model"
    model.mkdir(parents=True)
    text = recipe_to_toml(Recipe(depth_model=str(model)), WEIGHTS)
    assert 'depth_model = "my-model"' in text
    assert "secret-user" not in text
    assert portable_model_name("depth-anything/Depth-Anything-V2-Small-hf") == "depth-anything/Depth-Anything-V2-Small-hf"


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().seed = 1


def test_a_recipe_that_was_not_imported_has_the_digest_of_old():
    """The field came later: sets that were begun before it go on."""
    assert "imported" not in Recipe().to_dict() and "imported" not in recipe_to_toml(Recipe())
    assert Recipe().replace(imported=None) == Recipe()
    for wrong in ("", "ab", "AB" * 32, 7):
        with pytest.raises(RecipeError, match="imported"):
            Recipe().replace(imported=wrong)
