"""Contact sheets: what they show is what the set holds, and they are the same whenever they are made."""

import io
import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from real_runs import make_pictures, tree
from small_sets import NAMES, has_depth, small_set

from fgbg_depth import codec
from fgbg_depth.asset_tables import AssetReader, read_entries
from fgbg_depth.config import Recipe
from fgbg_depth.errors import DataError
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options
from fgbg_depth.sheets import drawing as drawing
from fgbg_depth.sheets import rows as sheet_rows
from fgbg_depth.sheets import write as sheets
from fgbg_depth.sheets.rows import pick_rows, read_pictures

RED, BLUE = 0, 2


def opened(path):
    """(H, W, 3) uint8 of a PNG."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def tile_of(sheet, index, columns, width, height):
    top = drawing.GAP_PX + index // columns * (height + drawing.GAP_PX)
    left = drawing.GAP_PX + index % columns * (width + drawing.GAP_PX)
    return sheet[top : top + height, left : left + width]


def stored_rows(folder):
    """{key: row} of all data files."""
    paths = sorted((folder / "data").rglob("*.parquet"))
    return {row["key"]: row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()}


# --- whole sets ---


@pytest.mark.parametrize("name", NAMES)
def test_every_set_has_its_sheets(name):
    folder = small_set(name) / "assets"
    assert sorted(p.name for p in folder.iterdir()) == sorted(sheets.picture_names(has_depth(name)))
    assert ("depth.png" in sheets.sheet_titles(has_depth(name))) == has_depth(name)
    for path in folder.iterdir():
        assert path.stat().st_size <= sheets.MAX_SHEET_BYTES
        height, width = opened(path).shape[:2]
        assert width <= drawing.SHEET_WIDTH_PX
        assert height <= 800


def test_sheets_are_the_same_again_and_elsewhere(tmp_path):
    folder = shutil.copytree(small_set("relative8"), tmp_path / "copy")
    before = tree(folder)
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    sheets.write_sheets(folder)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == times  # equal ones aren't written again
    shutil.rmtree(folder / "assets")
    sheets.write_sheets(folder)
    assert tree(folder) == before


def test_composites_and_masks_are_those_of_the_set():
    folder = small_set("plain")
    rows, places = stored_rows(folder), pick_rows(folder, sheets.ROWS_SHOWN)
    side = (drawing.SHEET_WIDTH_PX - drawing.GAP_PX) // sheets.ROW_COLUMNS - drawing.GAP_PX
    composites, masks = opened(folder / "assets" / "composites.png"), opened(folder / "assets" / "masks.png")
    for index, place in enumerate(places):
        row = rows[place.key]
        assert (row["background"], row["foreground"], row["flipped"]) == (place.background, place.foreground, place.flipped)
        image, mask = codec.decode_rgb(row["image"]["bytes"]), codec.decode_gray(row["mask"]["bytes"])
        expected = drawing.fit_tile(image, side, side)
        assert np.array_equal(tile_of(composites, index, sheets.ROW_COLUMNS, side, side), expected)
        shown = tile_of(masks, index, sheets.ROW_COLUMNS, side, side)
        # 64 pixels on 130: each stored pixel is a block of at least two.
        centres = (np.arange(64) * 2 + 1) + (side - 128) // 2
        assert np.array_equal(shown[np.ix_(centres, centres)][..., 0], mask)


@pytest.mark.parametrize("name", ["relative8", "metric16"])
def test_depth_is_coloured_by_metres_on_one_scale(name):
    folder = small_set(name)
    stats = json.loads((folder / "stats.json").read_text())
    scale = sheets.DepthScale.of(stats)
    quantiles = stats["all"]["depth_m"]["quantiles"]
    assert scale.near_m <= quantiles["0.01"] < quantiles["0.99"] <= scale.far_m
    rows = stored_rows(folder)
    for pictures in read_pictures(pick_rows(folder, 3)):
        row = rows[pictures.place.key]
        levels = codec.decode_gray(row["depth"]["bytes"])
        metres = row["depth_min_m"] + levels.astype(float) * (row["depth_max_m"] - row["depth_min_m"]) / np.iinfo(levels.dtype).max
        assert np.abs(pictures.depth - metres).max() < 1e-5
        assert np.allclose(scale.part(pictures), (metres - scale.near_m) / (scale.far_m - scale.near_m), atol=1e-5)


def test_depth_without_metres_has_a_scale_of_its_own():
    folder = small_set("unscaled")
    scale = sheets.DepthScale.of(json.loads((folder / "stats.json").read_text()))
    assert scale == sheets.DepthScale()
    for pictures in read_pictures(pick_rows(folder, 4)):
        assert not pictures.is_metric
        assert (pictures.depth.min(), pictures.depth.max()) == (0, 1)  # every map is stretched to its own range
        assert scale.part(pictures) is pictures.depth


def test_assets_are_all_shown_in_order():
    folder = small_set("plain")
    entries, _ = read_entries(folder, "background")
    assert len(entries) == 4
    sheet = opened(folder / "assets" / "backgrounds.png")
    width = (drawing.SHEET_WIDTH_PX - drawing.GAP_PX) // 4 - drawing.GAP_PX
    height = round(width * sheets.ASSET_ASPECT)
    assert sheet.shape == (height + 2 * drawing.GAP_PX, 4 * (width + drawing.GAP_PX) + drawing.GAP_PX, 3)
    reader = AssetReader(entries)
    for index, entry in enumerate(entries):
        expected = drawing.fill_tile(reader.pixels(entry.plan.id, alpha=False), width, height)
        shown = tile_of(sheet, index, 4, width, height)
        assert np.abs(shown.astype(int) - expected).mean() < 6  # the sheet may have a palette


def test_demo_sheet_shows_every_split(tmp_path):
    folder = small_set("relative8")
    sheets.demo_sheet(folder, tmp_path / "new" / "sheet.png")
    sheet = opened(tmp_path / "new" / "sheet.png")
    assert sheet.shape[1] <= drawing.SHEET_WIDTH_PX
    places = pick_rows(folder, sheets.DEMO_SAMPLES, each_split=True)
    assert {place.split for place in places} == {"train", "validation", "test"}
    lines = -(-len(places) // 2)
    assert sheet.shape[0] > lines * 170


# --- sets with something unusual ---


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": "matte", "image_size": 300, "foreground_size": (60, 60)},
        {"image_size": 16, "foreground_size": (12, 9), "image_format": "png"},
        {"overhang": 0.5, "flips": False},
        {"scale": (0.2, 0.5)},
    ],
    ids=["matte", "tiny", "overhang", "scale"],
)
def test_unusual_recipes(changes, tmp_path):
    pictures = make_pictures(tmp_path / "pictures", range(1), range(1))
    settings = {"image_size": 64, "foreground_size": (24, 20), "placements": 2, "hold_out": "none", "splits": (1.0, 0.0, 0.0)}
    recipe = Recipe(**{**settings, "depth_model": "none", **changes})
    folder = tmp_path / "set"
    generate(folder, recipe, Options(pictures.backgrounds, pictures.foregrounds, num_workers=1))
    assert sorted(p.name for p in (folder / "assets").iterdir()) == sorted(sheets.picture_names(False))
    places = pick_rows(folder, sheets.ROWS_SHOWN)
    assert len(places) == len({place.key for place in places}) == 2 * (2 if recipe.flips else 1)
    if recipe.mask == "matte":
        masks = opened(folder / "assets" / "masks.png")
        assert len(np.unique(masks)) > 20  # soft edges are shown


def test_a_damaged_picture_is_named(tmp_path):
    folder = shutil.copytree(small_set("one_split"), tmp_path / "set")
    place = pick_rows(folder, 1)[0]
    table = pq.read_table(place.table, partitioning=None)
    cells = table.column("image").to_pylist()
    cells[place.row]["bytes"] = cells[place.row]["bytes"][:100]
    index = table.schema.get_field_index("image")
    pq.write_table(table.set_column(index, table.schema.field(index), pa.array(cells, table.schema.field(index).type)), place.table)
    with pytest.raises(DataError, match=re.escape(f"{place.table}: row {place.key}: ")):
        sheets.write_sheets(folder)


def test_missing_statistics_are_named(tmp_path):
    folder = shutil.copytree(small_set("one_split"), tmp_path / "set")
    (folder / "stats.json").unlink()
    with pytest.raises(DataError, match=r"stats\.json can't be read"):
        sheets.write_sheets(folder)


# --- which rows ---


def test_rows_are_picked_fairly():
    folder = small_set("plain")
    places = pick_rows(folder, 8)
    assert len({place.key for place in places}) == 8
    used = [place.background for place in places]
    assert {used.count(name) for name in set(used)} == {2}  # four backgrounds, two of each
    each = [place.split for place in pick_rows(folder, 6, each_split=True)]
    assert [each.count(split) for split in ("train", "validation", "test")] == [2, 2, 2]
    assert len(pick_rows(folder, 10_000)) <= 4 * 2 * 2 * 4


def test_few_files_are_opened_however_many_there_are(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    source = sorted((small_set("plain") / "data" / "train").glob("*.parquet"))[1]
    (folder / "data" / "train").mkdir(parents=True)
    for number in range(300):
        shutil.copy(source, folder / "data" / "train" / f"b000-{number:05d}.parquet")
    count = []
    monkeypatch.setattr(sheet_rows, "open_table", lambda path, real=sheet_rows.open_table: count.append(path) or real(path))
    assert len(pick_rows(folder, 16)) == 16
    assert len(count) == sheet_rows.CANDIDATE_FILES
    assert [int(path.stem[-5:]) for path in count] == [0, 75, 150, 225]  # from all parts of the set


# --- drawing ---


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 60), st.integers(1, 60))
def test_tiles_have_their_size_whatever_the_picture(height, width, tile_width, tile_height):
    picture = np.full((height, width, 3), 77, np.uint8)
    filled = drawing.fill_tile(picture, tile_width, tile_height)
    assert filled.shape == (tile_height, tile_width, 3) and (filled == 77).all()
    fitted = drawing.fit_tile(picture, tile_width, tile_height)
    assert fitted.shape == (tile_height, tile_width, 3)
    inside = (fitted == 77).all(axis=2)
    assert inside.any()
    assert (fitted[~inside] == 255).all()  # picture or paper, nothing between
    assert inside.all(axis=1).any() or inside.all(axis=0).any()  # it touches two opposite sides


def test_checkerboard_shows_through_alpha():
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[..., :3] = (200, 30, 60)
    rgba[:, 20:, 3] = 255
    tile = drawing.on_checkerboard(rgba, 40, 40)
    assert set(np.unique(tile[:, :20])) == set(drawing.CHECKS)
    assert (tile[:, 20:] == (200, 30, 60)).all()
    rgba[..., 3] = 128
    half = drawing.on_checkerboard(rgba, 40, 40)
    expected = {round(200 * 128 / 255 + check * 127 / 255) for check in drawing.CHECKS}
    assert set(np.unique(half[..., RED])) == expected
    # Clear pixels of another colour leave no fringe when the cut-out is made smaller.
    rgba[:, :20] = (0, 255, 0, 0)
    rgba[:, 20:] = (200, 30, 60, 255)
    assert drawing.on_checkerboard(rgba, 13, 13)[..., 1].max() <= 255
    edge = drawing.on_checkerboard(rgba, 13, 13)[:, 6].astype(int)
    assert (edge[:, 1] <= edge[:, RED]).all()  # mixed of red and gray, never of green


def test_depth_colours_run_from_red_to_blue():
    colours = drawing.depth_colours(np.array([[-1.0, 0.0, 0.15, 0.85, 1.0, 2.0]]))[0].astype(int)
    assert (colours[0] == colours[1]).all() and (colours[4] == colours[5]).all()  # clipped
    assert colours[1][RED] > 3 * colours[1][BLUE]
    assert colours[2][RED] > 200 and colours[3][BLUE] > 200
    assert len(np.unique(drawing.depth_colours(np.linspace(0, 1, 256)[None])[0], axis=0)) == 256


@given(st.floats(0, 100), st.floats(0.01, 100))
def test_metre_ticks_are_round_and_in_order(near, span):
    step = drawing.round_step(span)
    near = round(near / step) * step
    ticks = drawing.metre_ticks(near, near + span)
    assert 3 <= len(ticks) <= 12
    parts = [part for part, _ in ticks]
    assert parts == sorted(parts) and parts[0] >= 0 and parts[-1] <= 1
    assert [text for _, text in ticks if text.endswith(" m")] == [ticks[-1][1]]
    for part, text in ticks:
        assert float(text.removesuffix(" m")) == pytest.approx(near + part * span, rel=1e-4, abs=1e-4 * span)


@given(st.floats(1e-6, 1e6))
def test_round_step_is_one_two_or_five(span):
    step = drawing.round_step(span)
    assert 3.9 <= span / step <= 10 + 1e-6
    assert f"{step:.3e}"[0] in "125" and float(f"{step:.3e}"[1:5].strip("e") or 0) == 0


@given(st.integers(1, 3000), st.sampled_from([1.0, sheets.ASSET_ASPECT]))
def test_grid_holds_all_assets_or_a_sample_within_bounds(number, aspect):
    columns, width, count = sheets._grid_of(number, aspect)
    lines = -(-count // columns)
    assert count == number or count >= 100  # all of a set of 100
    assert columns * (width + drawing.GAP_PX) + drawing.GAP_PX <= drawing.SHEET_WIDTH_PX
    assert lines * (round(width * aspect) + drawing.GAP_PX) + drawing.GAP_PX <= sheets.GRID_HEIGHT_PX


def test_long_and_strange_texts_fit():
    for text in ("a", "x" * 500, "né \n|", ""):
        line = drawing.text_line(text, 300, right="validation")
        assert line.shape == (drawing.LABEL_PX, 300, 3)
    long, short = (drawing.text_line(t, 120, right="") for t in ("w" * 300, "w"))
    assert (long[:, -2:] == 255).all() or (long < 255).sum() > (short < 255).sum()
    assert (drawing.text_line("", 120) == 255).all()


def test_encoding_is_exact_where_it_may_be_large_and_close_where_not():
    rng = np.random.default_rng(0)
    sheet = drawing.paper(120, 200)
    sheet[10:110, 10:190] = rng.normal(128, 40, (100, 180, 3)).clip(0, 254).astype(np.uint8)
    exact = drawing.encode_sheet(sheet, 10_000_000)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(exact))), sheet)
    small = drawing.encode_sheet(sheet, 1000)
    assert len(small) < len(exact) / 2
    shown = np.asarray(Image.open(io.BytesIO(small)).convert("RGB"))
    assert (shown[:10] == 255).all() and (shown[:, :10] == 255).all()  # paper stays white
    assert np.abs(shown.astype(int) - sheet).mean() < 12
    assert drawing.encode_sheet(sheet, 1000) == small
