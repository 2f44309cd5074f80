"""What `generate` refuses: folders, pictures and recipes that don't fit; it says why and changes nothing."""

import pytest
from kill_runs import wait_for
from real_runs import (
    PLAIN,
    Pictures,
    add_background,
    call,
    call_good,
    data_files,
    end_of,
    generate,
    kill_group,
    read_rows,
    refused,
    start,
    tree,
)

from fgbg_depth.assets import pictures
from fgbg_depth.assets import scan as assets


def test_two_runs_in_one_folder_are_refused(pictures, plain_set, tmp_path):
    process = start(generate(pictures, tmp_path / "set"))
    try:
        wait_for(process, tmp_path / "set", "data/*/.*")
        second = call(*generate(pictures, tmp_path / "set"))
        running = process.poll() is None
        first = end_of(process)
    finally:
        kill_group(process)
    assert running, "the first run ended before the second was looked at"
    assert second.code == 1 and "is in use by another run" in second.err
    assert first.code == 0 and tree(tmp_path / "set") == tree(plain_set)


def test_a_folder_of_another_recipe_is_refused_and_the_difference_named(pictures, plain_set):
    other = (*PLAIN, "--seed", "5", "--image-quality", "80")
    words = ("seed is 0 there and 5 here", "image_quality is 90 there and 80 here", "Nothing was changed")
    refused(generate(pictures, plain_set, other), plain_set, *words)
    refused(generate(pictures, plain_set, other, "--append"), plain_set, *words)


@pytest.mark.parametrize("name", ["thesis.docx", "data/train.csv", "backgrounds/holiday.jpg"])
def test_a_folder_with_files_of_others_is_refused(name, few_pictures, tmp_path):
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("mine")
    refused(generate(few_pictures, tmp_path / "mine"), tmp_path / "mine", name.split("/")[0], "choose another --out", "Nothing was changed")


def test_a_new_repository_may_be_the_folder(few_pictures, tmp_path):
    for name in (".git/HEAD", ".gitattributes", "data/train"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).mkdir() if name == "data/train" else (tmp_path / "set" / name).write_text("x")
    call_good(*generate(few_pictures, tmp_path / "set"))
    assert (tmp_path / "set" / ".git" / "HEAD").read_text() == "x"


def test_wrong_use_is_told_and_leaves_no_folder(few_pictures, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    nowhere, empty = Pictures(tmp_path / "nowhere", few_pictures.foregrounds), Pictures(few_pictures.backgrounds, tmp_path / "empty")
    for arguments, words in (
        (generate(few_pictures, tmp_path / "file"), "is a file, expected a folder"),
        (generate(few_pictures, tmp_path / "file" / "set"), "can't be made or written"),
        (generate(nowhere, tmp_path / "a" / "set"), "the folder of backgrounds isn't there"),
        (generate(empty, tmp_path / "a" / "set"), "holds no picture"),
        (generate(few_pictures, few_pictures.backgrounds / "set"), "where pictures are looked for"),
        (generate(few_pictures, tmp_path / "a", PLAIN, "--recipe", tmp_path / "none.toml"), "none.toml"),
        (generate(few_pictures, tmp_path / "a", PLAIN, "--image-quality", "101"), "image_quality is 101"),
        (generate(few_pictures, tmp_path / "a", workers=0), "expected at least 1"),
    ):
        ended = call(*arguments)
        assert ended.code == 2 and words in ended.err, ended.err
        assert tree(tmp_path) == before
    assert not (few_pictures.backgrounds / "set").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--placements", "100000"), "legal, visible offsets"),
        (("--splits", "0.4", "0.3", "0.3", "--hold-out", "both"), "2 groups of foregrounds can't fill 3 splits"),
        (("--foreground-size", "1", "1", "--mask-threshold", "255"), "has no mask pixel at 1 x 1 px"),
    ],
)
def test_impossible_plans_are_refused_before_the_first_byte(flags, words, few_pictures, tmp_path):
    refused(generate(few_pictures, tmp_path / "new" / "set", (*PLAIN, *flags)), tmp_path, words)


def test_bad_pictures_stop_the_run_or_are_left_out(few_pictures, plain_set, tmp_path):
    bad = few_pictures.copy(tmp_path / "bad")
    data = add_background(bad.backgrounds, 50).read_bytes()
    (bad.backgrounds / "cut.png").write_bytes(data[: len(data) // 2])
    refused(generate(bad, tmp_path / "set"), tmp_path / "set", "cut.png", "--skip-bad")
    ended = call_good(*generate(bad, tmp_path / "set", PLAIN, "--skip-bad"))
    assert "left out: cut.png: " in ended.err
    assert {row["background"] for row in read_rows(tmp_path / "set")} == {"room_00", "room_01", "room_02", "room_50"}


def test_a_raised_bound_on_pixels_holds_wherever_a_picture_is_read(few_pictures, tmp_path, monkeypatch):
    """With a bound below the pictures' size as default, they can be used only where the flag's bound goes with them."""
    refused(generate(few_pictures, tmp_path / "set", PLAIN, "--max-pixels", "1000"), tmp_path / "set", "more than the bound")
    for function in (pictures.decode_picture, pictures.decode_pixels, pictures.stored_picture, assets.read_asset, assets.asset_bytes):
        monkeypatch.setitem(function.__kwdefaults__, "max_pixels", 1000)
    call_good("plan", *generate(few_pictures, tmp_path / "set", PLAIN, "--max-pixels", "5000")[1:])
    call_good(*generate(few_pictures, tmp_path / "set", PLAIN, "--max-pixels", "5000"))
    (tmp_path / "set" / data_files(tmp_path / "set")[0]).unlink()
    call_good(*generate(few_pictures, tmp_path / "set", PLAIN, "--max-pixels", "5000"))
