"""`verify` finds wrong rows whose hashes were made to fit: by their values, by the plan, and by making rows and depth anew."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from real_runs import call, save_tiny_model
from small_sets import recipe, small_set
from verify_sets import ALL_ROWS, METADATA, ROW, SHARD, cell, copy_of, drop_last_rows, files_of, found, pixel, refit, rewrite, verify, white

from fgbg_depth import codec, schema
from fgbg_depth.config import load_recipe
from fgbg_depth.shards import read_footer
from fgbg_depth.verify.anew import choose_rows
from fgbg_depth.verify.basis import read_basis
from fgbg_depth.verify.findings import Findings
from fgbg_depth.verify.rebuild import Maker

# --- values, and what the files say of themselves ---


def swap(values, a, b):
    for listed in values.values():
        listed[a], listed[b] = listed[b], listed[a]


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
    rewrite(damaged, SHARD, drop_last_rows(2))
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


def test_altered_metadata_table(damaged):
    rewrite(damaged, METADATA, cell("mask_area", 30, 0.25))
    refit(damaged)
    problem = found(verify(damaged), METADATA, 30, "mask_area")["problem"]
    assert problem.startswith("is 0.25, data/train/b000-00001.parquet has ") and problem.endswith("in row 22")


def test_metadata_table_with_rows_dropped(damaged):
    rewrite(damaged, METADATA, drop_last_rows(1))
    refit(damaged)
    report = verify(damaged)
    assert files_of(report) == {METADATA} and found(report, METADATA, words="but its footer says")


def test_many_bad_rows_are_counted(damaged):
    rewrite(damaged, SHARD, lambda values: values.__setitem__("bbox", [[0, 0, 1, 1]] * 24))
    refit(damaged)
    report = verify(damaged)
    named = [f for f in report["findings"] if f["file"] == SHARD and f["column"] == "bbox"]
    assert len(named) == 21 and named[-1]["problem"] == "and 4 more rows with a problem in this column"


# --- rows made anew ---


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


# --- depth ---


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
