"""What `annotate` refuses: flags and folders that can't be, and folders that something else made."""

import pytest
import small_sets
from annotate_sets import MINI, again, generate, made, model, pictures
from real_runs import NUM_BACKGROUNDS, NUM_FOREGROUNDS, call, data_files, make_pictures, temporary_files, tree
from small_sets import small_set
from verify_sets import copy_of, pixel, rewrite, white

from fgbg_depth.errors import DataError, DepthModelError, FolderError, RecipeError, UsageError
from fgbg_depth.files import locked

ONE_SHARD = "data/validation/b000-00000.parquet"


def test_the_two_folders_have_to_lie_apart(tmp_path):
    source = copy_of(small_set("plain"), tmp_path / "sets" / "old")
    (tmp_path / "link").symlink_to(source)
    before = tree(tmp_path)
    for folder in (source, source / "new", tmp_path / "sets", tmp_path / "link", tmp_path / "sets" / ".." / "sets" / "old"):
        with pytest.raises(UsageError, match="choose another --out"):
            again(source, folder)
    with pytest.raises(UsageError, match="is no folder"):
        again(tmp_path / "nowhere", tmp_path / "new")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("depth", "error", "words"),
    [
        ({"depth_model": "no-such-model"}, DepthModelError, "no-such-model"),
        ({**MINI, "seed": 3}, UsageError, "seed: only the depth fields"),
        ({**MINI, "depth_encoding": "nonsense"}, RecipeError, "depth_encoding is 'nonsense'"),
        ({**MINI, "depth_batch": 0}, RecipeError, "depth_batch is 0"),
    ],
)
def test_impossible_depth_is_refused_at_once(depth, error, words, tmp_path):
    with pytest.raises(error, match=words):
        again(small_set("plain"), tmp_path / "new", depth)
    assert list(tmp_path.iterdir()) == []


def test_metres_of_a_model_without_metres_are_refused(tmp_path):
    with pytest.raises(UsageError, match="gives relative depth without metres; use 'relative8'"):
        again(small_set("metric16"), tmp_path / "new", {"depth_model": small_sets.recipe("unscaled").depth_model})
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_of_the_command(tmp_path):
    source = small_set("plain")
    for words in ((source,), (source, "--out", tmp_path / "new"), (source, "--depth-model", "none"), ("--depth-model", "none")):
        ended = call("annotate", *words)
        assert ended.code == 2 and "usage:" in ended.err
    ended = call("annotate", source, "--out", tmp_path / "new", "--depth-model", "none", "--workers", 0)
    assert ended.code == 2 and ended.err == "fgbg-depth: --workers is 0, expected at least 1\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderError, match=r"isn't empty \(thesis.txt\).*choose another --out"):
        again(small_set("plain"), tmp_path / "new")
    assert set(tree(tmp_path / "new")) == {"thesis.txt"}


def test_a_set_of_another_recipe_is_refused(tmp_path):
    folder = copy_of(small_set("metric16"), tmp_path / "new")
    before = tree(folder)
    with pytest.raises(FolderError, match="depth_encoding is 'metric16' there and 'relative8' here"):
        again(small_set("unscaled"), folder, MINI)
    assert tree(folder) == before


def test_a_set_of_other_source_pictures_is_refused(tmp_path):
    fewer = make_pictures(tmp_path / "fewer", range(1, NUM_BACKGROUNDS), range(NUM_FOREGROUNDS))
    generate(tmp_path / "new", fewer, "none")
    before = tree(tmp_path / "new")
    with pytest.raises(FolderError, match="batch 0 has other source pictures than"):
        again(made("tiny"), tmp_path / "new")
    assert tree(tmp_path / "new") == before


def test_a_set_that_has_grown_on_its_own_is_refused(tmp_path):
    generate(tmp_path / "old", pictures(), "none")
    folder = copy_of(made("tiny"), tmp_path / "new")
    with pytest.raises(FolderError, match="batch 1 has other source pictures than"):
        again(tmp_path / "old", folder, {"depth_model": model("tiny")})
    assert tree(folder) == tree(made("tiny"))


@pytest.mark.parametrize("name", [ONE_SHARD, "backgrounds/b000.parquet"])
def test_pictures_of_another_set_are_never_mixed_in(name, tmp_path):
    """Recipe, asset list and rows are the same; other encoders made the bytes."""
    folder = copy_of(small_set("relative8"), tmp_path / "new")

    def change(values):
        if name == ONE_SHARD:
            pixel(values, "image", 1, white)
        else:
            values["author"][0] = "somebody else"

    rewrite(folder, name, change)
    (folder / "data/train/b000-00000.parquet").unlink()
    before = tree(folder)
    with pytest.raises(FolderError, match=rf"{name} wasn't made from .*Choose another --out"):
        again(small_set("relative8"), folder, MINI)
    assert tree(folder) == before


def test_a_damaged_shard_of_a_run_that_was_stopped_is_named(tmp_path):
    folder = copy_of(made("tiny"), tmp_path / "new")
    path = folder / data_files(folder)[0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{path.name}.*Delete this file and run the same command again"):
        again(made("none"), folder, {"depth_model": model("tiny")})
    path.unlink()
    again(made("none"), folder, {"depth_model": model("tiny")})
    assert tree(folder) == tree(made("tiny"))


def test_a_folder_in_use_is_refused(tmp_path):
    with locked(tmp_path / "new"), pytest.raises(FolderError, match="in use by another run"):
        again(made("none"), tmp_path / "new")
    assert temporary_files(tmp_path) == []
