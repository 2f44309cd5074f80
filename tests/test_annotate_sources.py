"""Sets that are unfinished or damaged are refused by `annotate` before it begins."""

import shutil

import numpy as np
import pytest
from annotate_sets import again, generate, made, pictures
from real_runs import data_files, temporary_files, tree
from small_sets import small_set
from verify_sets import copy_of, flip_bit, refit, rewrite, value_of

from fgbg_depth.codec import encode_image
from fgbg_depth.errors import DataError

ONE_SHARD = "data/validation/b000-00000.parquet"


@pytest.fixture
def source(tmp_path):
    """A set that may be changed."""
    return copy_of(small_set("relative8"), tmp_path / "old")


def refused(source, tmp_path, words, **options):
    """A run ends before it has written anything."""
    before = tree(source)
    with pytest.raises(DataError, match=words) as caught:
        again(source, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
    assert tree(source) == before
    return str(caught.value)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("name", [ONE_SHARD, "metadata/train/b000.parquet", "foregrounds/b000.parquet", "stats.json", "manifest.json"])
def test_a_missing_file_is_named(name, trust, source, tmp_path):
    (source / name).unlink()
    refused(source, tmp_path, f"{name} is missing", trust=trust)


def test_an_unfinished_set_is_refused(tmp_path):
    old = copy_of(made("none"), tmp_path / "old")
    generate(tmp_path / "first", pictures(), "none")
    shutil.copy(tmp_path / "first" / "manifest.json", old)  # as an append leaves it that was killed before its end
    refused(old, tmp_path, "isn't listed in manifest.json: a run of generate is unfinished there")


def test_shards_that_the_manifest_forgot_are_missed(source, tmp_path):
    (source / ONE_SHARD).unlink()
    refit(source)
    refused(source, tmp_path, f"{ONE_SHARD} is missing: the set is unfinished")


def test_a_bad_picture_is_named_before_the_work_begins(source, tmp_path):
    flip_bit(source / ONE_SHARD, value_of(source / ONE_SHARD, "image", 3)[0] + 300)
    refused(source, tmp_path, f"{ONE_SHARD}, row 3, column image: .*fgbg-depth verify")
    refused(source, tmp_path, f"{ONE_SHARD}: its bytes have changed", trust=True)


@pytest.mark.parametrize("name", ["backgrounds/b000.parquet", "stats.json", "recipe.toml"])
def test_a_changed_file_is_named(name, source, tmp_path):
    flip_bit(source / name, (source / name).stat().st_size // 2)
    refused(source, tmp_path, name)
    refused(source, tmp_path, name, trust=True)


def test_a_cut_file_is_named(source, tmp_path):
    path = source / ONE_SHARD
    path.write_bytes(path.read_bytes()[:-1])
    refused(source, tmp_path, rf"{ONE_SHARD} has [\d,]+ bytes, manifest.json says")


def spoil(column, value):
    def change(values):
        values[column][2] = value

    return change


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("image", b"no picture", "row 2, column image: a stored picture of 10 bytes can't be decoded"),
        ("image", None, "row 2, column image: a stored picture is NoneType"),
        ("mask", b"", "row 2, column mask: a stored picture is empty"),
        ("key", "another__key__plain__00", "row 2: holds 'another__key__plain__00', where the plan has"),
        ("bbox", [0, 0, 64, 64], r"row 2: bbox is \[0, 0, 64, 64\], its mask has"),
    ],
)
def test_bad_rows_under_fitting_hashes_are_found_too(column, value, words, source, tmp_path):
    rewrite(source, ONE_SHARD, spoil(column, value))
    refit(source)
    refused(source, tmp_path, f"{ONE_SHARD}, row 2")
    with pytest.raises(DataError, match=words):  # whoever trusts hashes hears of it when the row's turn comes
        again(source, tmp_path / "new", trust=True)
    assert data_files(tmp_path / "new") and ONE_SHARD not in data_files(tmp_path / "new")
    assert temporary_files(tmp_path / "new") == []


def test_pictures_of_another_size_are_named(source, tmp_path):
    rewrite(source, ONE_SHARD, lambda values: values["mask"].__setitem__(2, values["image"][2]))
    refit(source)
    with pytest.raises(DataError, match="row 2, column mask: a stored picture has mode RGB"):
        again(source, tmp_path / "new", trust=True)
    wide = np.zeros((64, 80, 3), np.uint8)
    rewrite(source, ONE_SHARD, lambda values: values["image"].__setitem__(2, encode_image(wide, "jpeg", 90)))
    refit(source)
    with pytest.raises(DataError, match=r"row 2, column image: is uint8 \(64, 80, 3\), expected uint8 \(64, 64, 3\)"):
        again(source, tmp_path / "other", trust=True)


def test_a_card_with_broken_marks_is_found_before_the_work(source, tmp_path):
    card = source / "README.md"
    card.write_text(card.read_text().replace("<!-- fgbg-depth:end sizes -->", ""))
    refused(source, tmp_path, "begin statistics inside of sizes")
