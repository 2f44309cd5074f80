"""`verify` finds damage of files: flipped bits, and files that are cut short, missing, altered, strange or in the wrong place."""

import json
import random
import shutil

import pytest
from small_sets import small_set
from verify_sets import (
    BACKGROUNDS,
    FOREGROUNDS,
    METADATA,
    OTHER_SHARD,
    ROW,
    SHARD,
    copy_of,
    files_of,
    flip_bit,
    found,
    refit,
    replace_text,
    spans,
    value_of,
    verify,
)

from fgbg_depth.verify import verify_set

MISSING = (SHARD, METADATA, "stats.json", "recipe.toml")


# --- flipped bits ---


@pytest.mark.parametrize("part", [-0.5, 0.0, 0.3, 0.999])
def test_flipped_bit_in_a_picture(damaged, part):
    for name, column in ((SHARD, "image"), (OTHER_SHARD, "mask")):
        start, length = value_of(damaged / name, column, ROW)
        flip_bit(damaged / name, start + (int(part * length) if part >= 0 else -2), bit=1)  # -2: in the length before the value
    report = verify(damaged)
    assert files_of(report) == {SHARD, OTHER_SHARD}
    for name, column in ((SHARD, "image"), (OTHER_SHARD, "mask")):
        findings = [f for f in report["findings"] if f["file"] == name]
        rows = {f["row"] for f in findings if f["column"] == column}
        assert {f["column"] for f in findings} == {None, column}
        # A wrong length makes a whole page unreadable: then its first row is named too.
        assert ROW in rows and rows <= {ROW, ROW // 8 * 8}
        assert found(report, name, words="its bytes have changed")["repair"].startswith(f"rm {damaged / name} && fgbg-depth generate ")


def test_flipped_bits_anywhere_are_found_and_named(original, tmp_path):
    chance = random.Random(20)
    folder = copy_of(original, tmp_path / "set")
    paths = sorted(original.glob("data/*/*.parquet"))
    for _ in range(12):
        path = chance.choice(paths)
        name, size = path.relative_to(original).as_posix(), path.stat().st_size
        offset = chance.choice((chance.randrange(size), size - 1 - chance.randrange(size // 3)))
        flip_bit(folder / name, offset, chance.randrange(8))
        findings = [f for f in verify_set(folder, num_workers=1).findings if f.file == name]
        place = next((span for span in spans(path) if span[0] <= offset < span[1]), None)
        if place is None:  # between the row groups and the end
            assert any("the footer: " in f.problem or "the page index: " in f.problem for f in findings), (name, offset)
        else:
            _, _, column, rows = place
            named = [f for f in findings if f.row is not None]
            assert any(f.column == column and f.row in rows for f in named), (name, offset, findings)
            assert all(f.column == column for f in named), (name, offset, findings)
        shutil.copy(path, folder / name)


def test_flipped_bit_in_a_footer(damaged):
    flip_bit(damaged / SHARD, -200)
    assert found(verify(damaged), SHARD, words="the footer: 1 byte differs")


def test_flipped_bits_in_the_magic_numbers(damaged):
    flip_bit(damaged / SHARD, 0)
    flip_bit(damaged / OTHER_SHARD, -1)
    report = verify(damaged)
    assert files_of(report) == {SHARD, OTHER_SHARD}
    assert found(report, SHARD, words="the magic number at the start: ") and found(report, OTHER_SHARD, words="the footer: ")


def test_flipped_bit_in_a_metadata_table(damaged):
    start, stop, column, rows = next(span for span in spans(damaged / METADATA) if span[2] == "placement_box")
    flip_bit(damaged / METADATA, (start + stop) // 2)
    report = verify(damaged)
    assert files_of(report) == {METADATA}
    assert any(f["column"] == column and f["row"] in rows for f in report["findings"])
    assert found(report, METADATA, words="its bytes have changed")["repair"].startswith(f"rm {damaged / METADATA} && ")


def test_flipped_bit_in_a_cut_out(damaged):
    flip_bit(damaged / FOREGROUNDS, value_of(damaged / FOREGROUNDS, "image", 1)[0] + 300)
    report = verify(damaged)
    assert files_of(report) == {FOREGROUNDS} and found(report, FOREGROUNDS, 1, "image", "checksum")


def test_flipped_bit_in_a_jpeg_background(tmp_path):
    folder = copy_of(small_set("plain"), tmp_path / "set")
    start, length = value_of(folder / BACKGROUNDS, "image", 1)
    flip_bit(folder / BACKGROUNDS, start + length // 2)
    report = verify(folder)
    assert files_of(report) == {BACKGROUNDS} and found(report, BACKGROUNDS, 1, "image")


@pytest.mark.parametrize(("column", "words"), [("depth", "checksum"), ("depth_min_m", ""), ("depth_max_m", "")])
def test_flipped_bit_in_a_depth_column(column, words, tmp_path):
    folder, name = copy_of(small_set("relative8"), tmp_path / "set"), "data/train/b000-00000.parquet"
    _, stop, _, rows = next(span for span in spans(folder / name) if span[2] == column and (column != "depth" or list(span[3]) == [2]))
    flip_bit(folder / name, stop - 5)
    report = verify(folder)
    assert files_of(report) == {name}
    assert any(f["column"] == column and f["row"] in rows and words in f["problem"] for f in report["findings"])


# --- files ---


@pytest.mark.parametrize("names", [(SHARD, METADATA), (FOREGROUNDS,)])
def test_truncated_files(damaged, names):
    for name in names:
        data = (damaged / name).read_bytes()
        (damaged / name).write_bytes(data[: len(data) // 2])
    report = verify(damaged)
    for name in names:
        assert found(report, name, words="is cut short") and found(report, name, words="can't be opened")


def test_missing_files(damaged):
    for name in MISSING:
        (damaged / name).unlink()
    report = verify(damaged)
    for name in MISSING:
        assert found(report, name, words="is missing")["repair"].startswith("fgbg-depth generate --backgrounds BACKGROUNDS ")
    assert files_of(report) <= {*MISSING, "README.md"}


def test_missing_asset_table(damaged):
    (damaged / BACKGROUNDS).unlink()
    report = verify(damaged, "--rebuild", "3")
    assert found(report, BACKGROUNDS, words="is missing") and found(report, "backgrounds", words="no row can be rebuilt")


def test_shard_dropped_from_disk_and_manifest(damaged):
    (damaged / SHARD).unlink()
    refit(damaged)
    report = verify(damaged)
    assert found(report, SHARD, words="is missing; the plan has it") and found(report, "manifest.json", words=f"doesn't list {SHARD}")


def test_missing_manifest(damaged):
    (damaged / "manifest.json").unlink()
    assert "the set is unfinished" in found(verify(damaged), "manifest.json")["problem"]


@pytest.mark.parametrize("listed", [False, True])
def test_strange_data_file(damaged, listed):
    extra = "data/train/b000-00099.parquet"
    shutil.copy(damaged / SHARD, damaged / extra)
    if listed:
        refit(damaged)
    report = verify(damaged)
    assert found(report, extra, words="none of the set's files")["repair"] == f"rm {damaged / extra}"


def test_strange_files_that_change_how_a_folder_loads(damaged):
    (damaged / "set.py").write_text("")
    (damaged / "data/train/.b000-00009.parquet.part-77").write_text("")
    (damaged / ".canvases.part-77").write_text("")
    report = verify(damaged)
    assert found(report, ".canvases.part-77", words="a run that was killed")
    assert found(report, "set.py", words="how the folder is loaded")
    assert found(report, "data/train/.b000-00009.parquet.part-77", words="a run that was killed")


def test_shard_moved_to_another_split(damaged):
    other = next(damaged.glob("data/validation/*00000.parquet"))
    shutil.copy(other, damaged / "data/train/b000-00000.parquet")
    report = verify(damaged)
    assert found(report, "data/train/b000-00000.parquet", words="split 'validation' (expected 'train')")


def test_wrong_numbers_in_the_manifest(damaged):
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["files"][SHARD]["rows"] += 1
    changes = {"recipe_digest": "0" * 64, "cells_left_out": {"0": 3}, "asset_lists": {}, "libraries": {"pillow": 3}, "depth": {"name": "x"}}
    (damaged / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    report = verify(damaged)
    assert found(report, SHARD, words="the manifest says 25") and found(report, "manifest.json", words="edited")
    for words in (*list(changes)[:-1], "the depth model's name is 'x'"):
        assert found(report, "manifest.json", words=words)


def test_altered_statistics(damaged):
    table = json.loads((damaged / "stats.json").read_text())
    table["validation"]["image"]["mean"][1] += 0.001
    (damaged / "stats.json").write_text(json.dumps(table, indent=1) + "\n")
    report = verify(damaged)
    assert found(report, "stats.json", column="image", words="validation: mean[1] is ")
    assert found(report, "stats.json", words="its bytes have changed")


def test_altered_card(damaged):
    card = (damaged / "README.md").read_text()
    (damaged / "README.md").write_text(card.replace("80 rows of 64", "81 rows of 64"))
    report = verify(damaged)
    assert files_of(report) == {"README.md"} and {f["repair"] for f in report["findings"]} == {f"fgbg-depth card {damaged}"}


def test_missing_and_damaged_contact_sheets(damaged):
    (damaged / "assets/masks.png").unlink()
    flip_bit(damaged / "assets/samples.png", 3000)
    report = verify(damaged)
    assert found(report, "assets/masks.png", words="is missing") and found(report, "assets/samples.png", words="checksum")


@pytest.mark.parametrize(("old", "new", "words"), [("seed = 0", "seed = 1", "seed is 1"), ("seed = 0", "seed = ", "can't be read")])
def test_altered_recipe_file(damaged, old, new, words):
    replace_text(damaged / "recipe.toml", old, new)
    report = verify(damaged)
    assert found(report, "recipe.toml", words=words) and files_of(report) <= {"recipe.toml", "README.md"}
