"""`fgbg-depth verify`: good sets are good, and each kind of damage is found, named, and mended by the command that is told."""

import dataclasses
import json
import random
import shlex
import shutil
import subprocess

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from real_runs import PLAIN, call, call_good, make_pictures, save_tiny_model, tree
from small_sets import NAMES, recipe, small_set
from verify_sets import copy_of, flip_bit, pixel, refit, replace_text, rewrite, spans, value_of, white

from fgbg_depth import codec, schema
from fgbg_depth.config import Recipe, load_recipe
from fgbg_depth.shards import read_footer
from fgbg_depth.verify import verify_set
from fgbg_depth.verify.anew import choose_rows
from fgbg_depth.verify.basis import read_basis
from fgbg_depth.verify.findings import Findings
from fgbg_depth.verify.rebuild import Maker

SHARD, OTHER_SHARD = "data/train/b000-00001.parquet", "data/train/b000-00002.parquet"
METADATA = "metadata/train/b000.parquet"
BACKGROUNDS, FOREGROUNDS = "backgrounds/b000.parquet", "foregrounds/b000.parquet"
MISSING = (SHARD, METADATA, "stats.json", "recipe.toml")
ALL_ROWS = 1000  # more than any set here has
ROW = 5  # of a shard of 24 rows in groups of 8


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Two folders of small pictures."""
    return make_pictures(tmp_path_factory.mktemp("pictures"), range(5), range(2))


@pytest.fixture(scope="session")
def original(pictures, tmp_path_factory):
    """A set of 80 rows without depth, 48 of them in train; nobody may change it."""
    folder = tmp_path_factory.mktemp("original") / "set"
    call_good("generate", *pictures.flags, "--out", folder, *PLAIN, "--workers", "1", "--quiet")
    return folder


@pytest.fixture
def damaged(original, tmp_path):
    """A copy of `original` to be damaged."""
    return copy_of(original, tmp_path / "set")


def verify(folder, *flags, code=1):
    """Run the command; returns the JSON report."""
    ended = call("verify", folder, "--json", "--quiet", "--workers", "1", *flags)
    assert ended.code == code, ended.err + ended.out
    return json.loads(ended.out)


def found(report, file, row=None, column=None, words=""):
    """The one finding about a place whose problem has some words."""
    there = [f for f in report["findings"] if (f["file"], f["row"], f["column"]) == (file, row, column) and words in f["problem"]]
    assert len(there) == 1, report["findings"]
    return there[0]


def rows_of(folder, name, column):
    """One column of a table as a list."""
    return pq.read_table(folder / name, columns=[column], partitioning=None).column(column).to_pylist()


def files_of(report):
    return {finding["file"] for finding in report["findings"]}


# --- good sets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_good_set_is_good_and_left_alone(name):
    folder = small_set(name)
    before = tree(folder)
    model = ("--depth-model", recipe(name).depth_model) if name == "unscaled" else ()
    report = verify(folder, "--rebuild", ALL_ROWS, *model, code=0)
    assert report["good"] and report["findings"] == [] and report["notes"] == []
    assert report["rows"] == report["rebuilt"] > 0
    assert report["depth_rebuilt"] == (report["rows"] if recipe(name).has_depth else 0)
    assert tree(folder) == before


def test_summary_for_people(original):
    ended = call_good("verify", original, "--quiet", "--workers", "1", "--rebuild", "7")
    assert ended.out.startswith(f"{original} is good: ") and "80 rows" in ended.out and "7 rows made anew" in ended.out


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": "matte", "image_format": "png", "overhang": 0.5},
        {"scale": (0.2, 0.6), "hold_out": "both", "splits": (0.6, 0.4, 0.0), "background_fit": "pad"},
        {"hold_out": "none", "splits": (1.0, 0.0, 0.0), "foreground_fit": "stretch", "mask_threshold": 1, "image_quality": 50},
    ],
)
def test_all_ways_of_making_rows_are_verified(changes, pictures, tmp_path):
    from fgbg_depth.generate import generate
    from fgbg_depth.prepare import Options

    layout = {"image_size": 48, "foreground_size": (20, 16), "rows_per_shard": 20, "first_shard_rows": 8, "rows_per_group": 5}
    made = Recipe(**{**layout, "placements": 2, "depth_model": "none", **changes})
    generate(tmp_path / "set", made, Options(pictures.backgrounds, pictures.foregrounds, num_workers=1))
    report = verify_set(tmp_path / "set", rebuild=ALL_ROWS, num_workers=1)
    assert report.findings == () and report.rebuilt == report.rows > 0


def test_workers_change_nothing_of_the_report(damaged):
    flip_bit(damaged / SHARD, value_of(damaged / SHARD, "image", ROW)[0] + 900)
    flip_bit(damaged / FOREGROUNDS, value_of(damaged / FOREGROUNDS, "image", 1)[0] + 200)
    one, two = (verify_set(damaged, rebuild=20, num_workers=workers) for workers in (1, 2))
    assert one.findings and dataclasses.replace(one, seconds=0) == dataclasses.replace(two, seconds=0)


# --- flipped bits ---------------------------------------------------------------------------------------------


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


# --- files ----------------------------------------------------------------------------------------------------


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


# --- rows, with hashes made to fit ----------------------------------------------------------------------------


def swap(values, a, b):
    for listed in values.values():
        listed[a], listed[b] = listed[b], listed[a]


def cell(column, row, value):
    def change(values):
        values[column][row] = value

    return change


def picture(column, data):
    return lambda values, row: values[column].__setitem__(row, data(values[column][row]))


GRAY_JPEG = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes()
SMALL_JPEG = codec.encode_image(np.zeros((64, 32, 3), np.uint8), "jpeg", 90)
# (what is done to a row, column and words of the finding), one row after the other
ROW_DAMAGE = (
    (lambda values, row: swap(values, row, 23), "key", "the plan has"),
    (lambda values, row: values["bbox"].__setitem__(row, [1, 1, 2, 2]), "bbox", "is [1, 1, 2, 2], the mask's box is"),
    (lambda values, row: values["placement_box"].__setitem__(row, [0, 0, 3, 3]), "placement_box", "is [0, 0, 3, 3], the plan has"),
    (lambda values, row: values["mask_area"].__setitem__(row, 0.5), "mask_area", "is 0.5, the mask covers"),
    (lambda values, row: values["flipped"].__setitem__(row, not values["flipped"][row]), "flipped", "the plan has"),
    (lambda values, row: values["placement"].__setitem__(row, 77), "placement", "is 77, the plan has"),
    (lambda values, row: values["background"].__setitem__(row, "room_99"), "background", "is 'room_99'"),
    (lambda values, row: values["key"].__setitem__(row, values["key"][1]), "key", f"is also that of row 1 of {SHARD}"),
    (lambda values, row: values["key"].__setitem__(row, None), "key", "is None, expected a text"),
    (lambda values, row: pixel(values, "mask", row, lambda mask: mask.__setitem__((0, 0), 77)), "mask", "such as 77"),
    (lambda values, row: pixel(values, "mask", row, lambda mask: mask.fill(0)), "mask", "no pixel is inside"),
    (picture("image", lambda data: None), "image", "has no picture"),
    (picture("image", lambda data: codec.encode_image(codec.decode_rgb(data), "png", 0)), "image", "expected a JPEG"),
    (picture("image", lambda data: SMALL_JPEG), "image", "is 32 x 64 px"),
    (picture("image", lambda data: GRAY_JPEG), "image", "mode L, expected RGB"),
    (picture("image", lambda data: data[:-1]), "image", "the JPEG has no end"),
    (picture("mask", lambda data: data + b"x"), "mask", "after the end of the PNG"),
    (picture("mask", lambda data: data[:60]), "mask", "the PNG is cut off"),
)


def test_damaged_rows_with_hashes_made_to_fit(damaged):
    def change(values):
        for row, (damage, _, _) in enumerate(ROW_DAMAGE):
            damage(values, row)

    rewrite(damaged, SHARD, change)
    refit(damaged)
    report = verify(damaged)
    for row, (_, column, words) in enumerate(ROW_DAMAGE):
        assert found(report, SHARD, row, column, words)["repair"].startswith(f"rm {damaged / SHARD} && ")
    assert found(report, SHARD, 23, "key", "the plan has")  # the other one of the swapped rows
    assert {f["row"] for f in report["findings"] if f["file"] == SHARD} == {*range(len(ROW_DAMAGE)), 23}
    assert not any("its bytes have changed" in f["problem"] for f in report["findings"])


def test_dropped_rows(damaged):
    def change(values):
        for listed in values.values():
            del listed[-2:]

    rewrite(damaged, SHARD, change)
    refit(damaged)
    report = verify(damaged)
    assert found(report, SHARD, words="has 22 rows, but its footer says 24")


def test_another_layout_of_row_groups(damaged):
    rewrite(damaged, SHARD, lambda values: None, group_rows=7)
    refit(damaged)
    assert found(verify(damaged), SHARD, words="row groups should have 8 rows each; from group 0 on")


def test_features_that_are_not_those_of_the_columns(damaged, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "features", lambda columns: {name: {"dtype": "string", "_type": "Value"} for name in columns})
        rewrite(damaged, SHARD, lambda values: None)
    refit(damaged)
    assert found(verify(damaged), SHARD, words="the `datasets` features in its schema aren't those of the config")


@pytest.mark.parametrize("with_entry", [False, True])
def test_shard_written_anew_by_another_program(damaged, with_entry):
    entry = {b"fgbg_depth": pq.read_metadata(damaged / SHARD).metadata[b"fgbg_depth"]} if with_entry else {}
    table = pq.read_table(damaged / SHARD, partitioning=None).drop_columns(["mask_area"])
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **entry}), damaged / SHARD)
    report = verify(damaged)
    assert files_of(report) <= {SHARD, "README.md"}  # the card tells the size
    if with_entry:
        assert found(report, SHARD, words="lacks mask_area") and found(report, SHARD, words="row groups should have 8 rows each")
    else:
        assert found(report, SHARD, words="can't be opened: the footer has no 'fgbg_depth' entry")


def test_footer_of_other_work(damaged):
    footer = read_footer(damaged / SHARD)
    rewrite(damaged, SHARD, lambda values: None, start=footer.start + 1, stop=footer.stop + 1, assets="0" * 64)
    refit(damaged)
    problem = found(verify(damaged), SHARD, words="the footer is that of other work")["problem"]
    assert "start 9 (expected 8)" in problem and "assets '0000" in problem


def test_statistics_in_a_footer_that_are_not_those_of_the_rows(damaged):
    """Pixels changed and the hash made to fit: the rows don't give the footer's sums, and the row made anew names itself."""
    rewrite(damaged, SHARD, lambda values: pixel(values, "image", ROW, white))
    refit(damaged)
    report = verify(damaged)
    assert {(f["file"], f["row"], f["column"]) for f in report["findings"]} == {(SHARD, ROW, "image")}
    assert "made anew" in report["findings"][0]["problem"]


@pytest.mark.parametrize("column", ["image", "mask"])
def test_only_rebuilding_finds_what_fits_everything_else(damaged, column):
    def change(values):
        if column == "image":
            pixel(values, "image", ROW, white)
            return
        x, y, width, height = values["bbox"][ROW]  # move one pixel of the mask to a place inside the box: same box, same area

        def move(mask):
            inside = mask[y : y + height, x : x + width]
            full = np.argwhere(inside[1:-1, 1:-1] == 255)[0] + 1
            clear = np.argwhere(inside == 0)[0]
            inside[tuple(full)], inside[tuple(clear)] = 0, 255

        pixel(values, "mask", ROW, move)

    rewrite(damaged, SHARD, change, recipe=load_recipe(damaged / "recipe.toml"))
    refit(damaged)
    assert verify(damaged, code=0)["good"]
    report = verify(damaged, "--rebuild", ALL_ROWS)
    assert {(f["file"], f["row"], f["column"]) for f in report["findings"]} == {(SHARD, ROW, column)}
    assert f"from the {'composite' if column == 'image' else 'mask'} made anew" in report["findings"][0]["problem"]


def test_rows_to_rebuild_are_chosen_by_the_seed(damaged):
    plan = read_basis(damaged, {}, Findings()).plan
    chosen = [choose_rows(plan, 20, seed) for seed in range(8)]
    assert chosen == [choose_rows(plan, 20, seed) for seed in range(8)] and chosen[0] != chosen[1]
    for rows in chosen:
        assert sum(map(len, rows.values())) == 20 and all(len(set(numbers)) == len(numbers) for numbers in rows.values())
    assert choose_rows(plan, ALL_ROWS, 3) == {shard.name: list(range(len(shard))) for shard in plan.shards()}
    rewrite(damaged, SHARD, lambda values: pixel(values, "image", ROW, white), recipe=load_recipe(damaged / "recipe.toml"))
    refit(damaged)
    hit = [ROW in rows.get(SHARD, ()) for rows in chosen]
    for seed in (hit.index(True), hit.index(False)):
        verify(damaged, "--rebuild", "20", "--seed", seed, code=int(hit[seed]))


def test_other_library_versions_are_given_some_levels(damaged):
    """Another encoder's pixels pass where the footer says that another version wrote them; changed pixels don't."""
    versions = {**read_footer(damaged / SHARD).versions, "opencv": "4.10.0"}
    made = load_recipe(damaged / "recipe.toml")

    basis = read_basis(damaged, {}, Findings())
    composite = Maker(basis).make(basis.shards()[SHARD], ROW).image_px.copy()
    composite[20:24, 20:24] ^= 1

    def nudge(values):
        values["image"][ROW] = codec.encode_image(composite, "jpeg", 90)

    rewrite(damaged, SHARD, nudge, recipe=made)
    refit(damaged)
    assert found(verify(damaged, "--rebuild", ALL_ROWS), SHARD, ROW, "image")
    rewrite(damaged, SHARD, nudge, recipe=made, versions=versions)
    refit(damaged)
    assert verify(damaged, "--rebuild", ALL_ROWS, code=0)["good"]
    rewrite(damaged, SHARD, lambda values: pixel(values, "image", ROW, lambda array: white(array, 6)), recipe=made, versions=versions)
    refit(damaged)
    assert found(verify(damaged, "--rebuild", ALL_ROWS), SHARD, ROW, "image")


def test_altered_metadata_table(damaged):
    rewrite(damaged, METADATA, cell("mask_area", 30, 0.25))
    refit(damaged)
    problem = found(verify(damaged), METADATA, 30, "mask_area")["problem"]
    assert problem.startswith("is 0.25, data/train/b000-00001.parquet has ") and problem.endswith("in row 22")


def test_metadata_table_with_rows_dropped(damaged):
    def change(values):
        for listed in values.values():
            del listed[-1]

    rewrite(damaged, METADATA, change)
    refit(damaged)
    report = verify(damaged)
    assert files_of(report) == {METADATA} and found(report, METADATA, words="but its footer says")


def test_many_bad_rows_are_counted(damaged):
    rewrite(damaged, SHARD, lambda values: values.__setitem__("bbox", [[0, 0, 1, 1]] * 24))
    refit(damaged)
    report = verify(damaged)
    named = [f for f in report["findings"] if f["file"] == SHARD and f["column"] == "bbox"]
    assert len(named) == 21 and named[-1]["problem"] == "and 4 more rows with a problem in this column"


# --- asset tables ---------------------------------------------------------------------------------------------


def test_altered_background_is_named_by_rebuilding(damaged):
    """The picture and all hashes changed: every row made anew from it differs."""

    def change(values):
        picture = cv2.imdecode(np.frombuffer(values["image"][2], np.uint8), cv2.IMREAD_COLOR)
        values["image"][2] = cv2.imencode(".png", 255 - picture)[1].tobytes()

    rewrite(damaged, BACKGROUNDS, change)
    refit(damaged)
    assert verify(damaged, code=0)["good"]
    report = verify(damaged, "--rebuild", "40")
    assert found(report, BACKGROUNDS, 2, "image", "rows made anew from 'room_02' differ")
    assert [f["row"] for f in report["findings"] if f["file"] == BACKGROUNDS] == [2]
    assert not any(f["file"] == FOREGROUNDS for f in report["findings"])


def test_altered_mask_of_a_cut_out(damaged):
    rewrite(damaged, FOREGROUNDS, lambda values: pixel(values, "mask", 1, white))
    refit(damaged)
    assert found(verify(damaged), FOREGROUNDS, 1, "mask", "1 pixels aren't 255 exactly where alpha >= 128")


def test_altered_split_of_an_asset(damaged):
    rewrite(damaged, BACKGROUNDS, lambda values: values["split"].__setitem__(3, {"train": "test"}.get(values["split"][3], "train")))
    refit(damaged)
    report = verify(damaged)
    assert found(report, BACKGROUNDS, 3, "split", "the recipe deals it to")
    assert files_of(report) <= {BACKGROUNDS, "README.md"}


def test_group_torn_apart(damaged):
    """Two backgrounds of one scene in different splits, digests and all: the splits are dealt anew and differ."""

    def change(values):
        train, test = values["split"].index("train"), values["split"].index("test")
        values["group"][train] = values["group"][test] = "one scene"

    rewrite(damaged, BACKGROUNDS, change)
    refit(damaged)
    report = verify(damaged)
    assert any(f["column"] == "split" for f in report["findings"])
    assert found(report, BACKGROUNDS, words="asset list in the footer doesn't agree")


WRONG_VALUES = (
    ("sha256", "xyz", "expected 64 hex digits"),
    ("width", 5, "the stored picture has 80"),
    ("id", "a__b", "is no valid id"),
    ("batch", 1, "the table is that of batch 0"),
    ("image", b"\xff\xd8\xff", "the JPEG is cut off"),
)


def test_wrong_values_in_an_asset_table(damaged):
    def change(values):
        for row, (column, value, _) in enumerate(WRONG_VALUES):
            values[column][row] = value

    rewrite(damaged, BACKGROUNDS, change)
    refit(damaged)
    rewrite(damaged, BACKGROUNDS, lambda values: values["licence"].__setitem__(0, None))  # no card can be made of that
    report = verify(damaged)
    for row, (column, _, words) in enumerate(WRONG_VALUES):
        assert found(report, BACKGROUNDS, row, column, words)
    assert found(report, BACKGROUNDS, 0, "licence", "is null")
    assert found(report, BACKGROUNDS, words="asset list in the footer doesn't agree")


def test_nulls_in_an_asset_table(damaged):
    columns = ("id", "sha256", "group", "split", "batch")

    def change(values):
        for row, column in enumerate(columns):
            values[column][row] = None

    rewrite(damaged, BACKGROUNDS, change)
    report = verify(damaged)
    for row, column in enumerate(columns):
        assert found(report, BACKGROUNDS, row, column, "is null")


def test_assets_that_are_not_unique(damaged):
    def change(values):
        values["id"][1], values["sha256"][3] = values["id"][0], values["sha256"][2]

    rewrite(damaged, BACKGROUNDS, change)
    refit(damaged)
    report = verify(damaged)
    for row, column in ((0, "id"), (1, "id"), (2, "sha256"), (3, "sha256")):
        assert found(report, BACKGROUNDS, row, column, "is there 2 times")


def test_background_that_two_splits_use(damaged):
    """Rows of validation that say they are over a background of train."""
    other = next(iter(rows_of(damaged, SHARD, "background")))
    rewrite(damaged, "data/validation/b000-00001.parquet", lambda values: values["background"].__setitem__(3, other))
    refit(damaged)
    report = verify(damaged)
    named = [f for f in report["findings"] if f["file"] == BACKGROUNDS and f["column"] == "split"]
    assert len(named) == 1 and f"{other!r} is used in train and validation, which must not share" in named[0]["problem"]
    assert found(report, "data/validation/b000-00001.parquet", 3, "background", "the plan has")


def test_altered_recipe_in_the_asset_tables(damaged):
    footer = read_footer(damaged / BACKGROUNDS)
    extra = {**footer.extra, "recipe": {**footer.extra["recipe"], "seed": 5}}
    rewrite(damaged, BACKGROUNDS, lambda values: None, extra=extra)
    refit(damaged)
    report = verify(damaged)
    assert found(report, BACKGROUNDS, words="the recipe in its footer has digest")
    assert found(report, FOREGROUNDS, words="its footer holds another recipe or depth model")


# --- depth ----------------------------------------------------------------------------------------------------


def test_altered_depth_range_differs_from_the_statistics(tmp_path):
    folder, name = copy_of(small_set("relative8"), tmp_path / "set"), "data/train/b000-00000.parquet"
    rewrite(folder, name, lambda values: values["depth_max_m"].__setitem__(1, values["depth_max_m"][1] * 1.01))
    refit(folder)
    report = verify(folder)
    assert found(report, name, None, "depth_min_m", "the footer's statistics") and found(report, METADATA, 1, "depth_max_m")


def test_altered_depth_that_fits_everything_is_predicted_anew(tmp_path):
    folder, name = copy_of(small_set("relative8"), tmp_path / "set"), "data/train/b000-00000.parquet"
    made = recipe("relative8")

    def change(values):
        values["depth_max_m"][1] *= 1.01
        pixel(values, "depth", 2, lambda levels: levels.__setitem__((5, 5), levels[5, 5] ^ 16))

    rewrite(folder, name, change, recipe=made)
    rewrite(folder, METADATA, lambda values: values["depth_max_m"].__setitem__(1, values["depth_max_m"][1] * 1.01))
    refit(folder)
    assert verify(folder, code=0)["good"]
    report = verify(folder, "--rebuild", ALL_ROWS)
    places = {(f["file"], f["row"], f["column"]) for f in report["findings"]}
    assert places == {(name, 1, "depth_max_m"), (name, 2, "depth")}


def test_impossible_depth(tmp_path):
    folder, name = copy_of(small_set("relative8"), tmp_path / "set"), "data/train/b000-00000.parquet"

    def change(values):
        values["depth_min_m"][:3] = None, 99.0, values["depth_max_m"][2]
        values["depth_max_m"][0] = float("nan")
        pixel(values, "depth", 3, lambda levels: np.clip(levels, 3, 250, out=levels))

    rewrite(folder, name, change)
    report = verify(folder)
    assert found(report, name, 0, "depth_min_m", "is None, expected metres") and found(report, name, 0, "depth_max_m", "is nan")
    assert found(report, name, 1, "depth_min_m", "is 99.0, above depth_max_m")
    assert found(report, name, 2, "depth", "a constant map is stored as zeros")
    assert found(report, name, 3, "depth", "its levels go from 3 to 250")


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [("metric16", "depth_max_m", 9.5, "expected 65.53"), ("unscaled", "depth_min_m", 0.5, "expected null")],
)
def test_range_that_the_encoding_or_the_model_does_not_have(name, column, value, words, tmp_path):
    folder = copy_of(small_set(name), tmp_path / "set")
    rewrite(folder, "data/train/b000-00000.parquet", cell(column, 1, value))
    assert found(verify(folder), "data/train/b000-00000.parquet", 1, column, words)


def test_eight_bits_where_sixteen_belong(tmp_path):
    folder = copy_of(small_set("metric16"), tmp_path / "set")
    rewrite(folder, "data/train/b000-00000.parquet", lambda values: values["depth"].__setitem__(1, values["mask"][1]))
    assert found(verify(folder), "data/train/b000-00000.parquet", 1, "depth", "has 8 bits per pixel, expected 16")


def test_depth_of_a_model_that_is_not_at_hand(tmp_path):
    report = verify(small_set("unscaled"), "--rebuild", "4", code=0)
    assert report["rebuilt"] == 4 and report["depth_rebuilt"] == 0
    assert report["notes"] == ["depth was not predicted anew: pass --depth-model with the folder or repo id of relative-model"]


def test_depth_model_that_is_not_the_set_s(tmp_path):
    model = save_tiny_model(tmp_path / "other")
    ended = call("verify", small_set("relative8"), "--rebuild", "4", "--quiet", "--workers", "1", "--depth-model", model)
    assert ended.code == 2 and "'other' isn't the model that made this set" in ended.err


# --- wrong use, and what is printed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"), [(("--rebuild", "-1"), "expected 0 or more rows"), (("--workers", "0"), "expected at least 1"), ((), "")]
)
def test_wrong_use(original, tmp_path, flags, words):
    folder = original if flags else tmp_path
    ended = call("verify", folder, "--quiet", *flags)
    assert ended.code == 2 and (words or "holds no set") in ended.err


def test_no_folder(tmp_path):
    assert call("verify", tmp_path / "none").code == 2


def test_findings_for_people(damaged):
    rewrite(damaged, SHARD, lambda values: values.__setitem__("bbox", [[0, 0, 1, 1]] * 24))
    for number in range(40):
        (damaged / f"data/train/strange-{number:02d}.txt").write_text("")
    ended = call("verify", damaged, "--quiet", "--workers", "1")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert sum("strange-" in line and not line.startswith("  rm") for line in lines) + sum("bbox" in line for line in lines) <= 50
    assert any(line.startswith("... and ") and line.endswith(" more (all are in --json)") for line in lines)
    assert f"  rm {damaged / SHARD} && fgbg-depth generate --backgrounds BACKGROUNDS" in ended.out
    assert lines[-1].startswith(f"{damaged}: ") and "problems in" in lines[-1]


# --- repairs --------------------------------------------------------------------------------------------------


def flip_image(folder):
    flip_bit(folder / SHARD, value_of(folder / SHARD, "image", ROW)[0] + 700)


def change_stats(folder):
    replace_text(folder / "stats.json", '"validation": {', '"evaluation": {')


REPAIRED = {
    "data file": flip_image,
    "missing data file": lambda folder: (folder / SHARD).unlink(),
    "metadata table": lambda folder: flip_bit(folder / METADATA, 100),
    "asset table": lambda folder: flip_bit(folder / FOREGROUNDS, value_of(folder / FOREGROUNDS, "image", 0)[0] + 99),
    "statistics": change_stats,
    "manifest": lambda folder: (folder / "manifest.json").unlink(),
    "recipe": lambda folder: replace_text(folder / "recipe.toml", "seed = 0", "seed = 8"),
    "strange file": lambda folder: (folder / "data/test/more.parquet").write_text("x"),
    "card": lambda folder: (folder / "README.md").unlink(),
    "contact sheet": lambda folder: (folder / "assets/masks.png").unlink(),
}


@pytest.mark.parametrize("name", REPAIRED)
def test_the_commands_that_are_told_repair_the_set(name, original, damaged, pictures):
    REPAIRED[name](damaged)
    assert tree(damaged) != tree(original)
    for repair in dict.fromkeys(finding["repair"] for finding in verify(damaged)["findings"]):
        repair = repair.replace("BACKGROUNDS", str(pictures.backgrounds)).replace("FOREGROUNDS", str(pictures.foregrounds))
        for command in repair.split(" && "):
            words = shlex.split(command)
            if words[0] == "fgbg-depth":
                call_good(*words[1:], *(("--quiet", "--workers", "1") if words[1] == "generate" else ()))
            else:
                subprocess.run(command, shell=True, check=True)
    verify(damaged, code=0)
    assert tree(damaged) == tree(original)
