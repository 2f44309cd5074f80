"""`verify` finds wrong backgrounds and cut-outs: their pictures, their values, their splits."""

import cv2
import numpy as np
import pyarrow.parquet as pq
from verify_sets import BACKGROUNDS, FOREGROUNDS, SHARD, files_of, found, pixel, refit, rewrite, verify, white

from fgbg_depth.shards import read_footer


def rows_of(folder, name, column):
    """One column of a table as a list."""
    return pq.read_table(folder / name, columns=[column], partitioning=None).column(column).to_pylist()


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
