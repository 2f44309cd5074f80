"""Generated rows: golden placements, pixels as the formulas say, and what every option of the recipe changes."""

import io
import json
import shutil

import numpy as np
import pytest
from exact_pixels import check_pixels, decoded, sources_of
from PIL import Image
from real_runs import NUM_BACKGROUNDS, NUM_FOREGROUNDS, PLAIN, SIDE_PX, Pictures, call_good, data_files, generate, read_rows, refused

from fgbg_depth.resize import contained_size
from fgbg_depth.samples import sample_folder
from fgbg_depth.shards import read_footer

# --- golden pixels ---


# Every row of two sample backgrounds and two sample cut-outs, as the order on disk has them: key and placement box. They
# follow from the seed and the pictures' bytes alone, and may never change: published sets are made anew by them.
GOLDEN = [
    ("apartment_03__mh_03_walk__plain__00", (76, 139, 43, 70)),
    ("bridge_01__mh_03_walk__flip__00", (0, 141, 43, 70)),
    ("apartment_03__photo_hopper__flip__00", (162, 80, 61, 70)),
    ("apartment_03__mh_03_walk__flip__00", (67, 92, 43, 70)),
    ("apartment_03__mh_03_walk__plain__01", (68, 28, 43, 70)),
    ("bridge_01__photo_hopper__flip__00", (111, 25, 61, 70)),
    ("bridge_01__photo_hopper__flip__01", (89, 3, 61, 70)),
    ("apartment_03__photo_hopper__plain__00", (97, 96, 61, 70)),
    ("bridge_01__mh_03_walk__plain__01", (57, 136, 43, 70)),
    ("bridge_01__photo_hopper__plain__01", (39, 109, 61, 70)),
    ("apartment_03__mh_03_walk__flip__01", (160, 79, 43, 70)),
    ("apartment_03__photo_hopper__plain__01", (55, 96, 61, 70)),
    ("bridge_01__photo_hopper__plain__00", (29, 57, 61, 70)),
    ("bridge_01__mh_03_walk__flip__01", (57, 119, 43, 70)),
    ("apartment_03__photo_hopper__flip__01", (159, 5, 61, 70)),
    ("bridge_01__mh_03_walk__plain__00", (78, 110, 43, 70)),
]


def test_sixteen_golden_rows(tmp_path):
    for kind, names in (("background", ("apartment_03.jpg", "bridge_01.jpg")), ("foreground", ("mh_03_walk.png", "photo_hopper.png"))):
        (tmp_path / f"{kind}s").mkdir()
        for name in names:
            shutil.copy(sample_folder(kind) / name, tmp_path / f"{kind}s")
    source = Pictures(tmp_path / "backgrounds", tmp_path / "foregrounds")
    recipe = ("--depth-model", "none", "--image-format", "png", "--placements", "2", "--hold-out", "none")
    call_good(*generate(source, tmp_path / "set", recipe))
    rows = check_pixels(tmp_path / "set")
    assert [(row["key"], tuple(row["placement_box"])) for row in rows] == GOLDEN
    # The exact pictures above are made from the tables; these hold the very pixels of the files.
    for kind, mode in (("background", "RGB"), ("foreground", "RGBA")):
        for name, pixels in sources_of(tmp_path / "set", kind, mode).items():
            (file,) = (tmp_path / f"{kind}s").glob(f"{name}.*")
            assert np.array_equal(pixels, np.asarray(Image.open(file)))


# --- every option of the recipe ---


PNG = (*PLAIN, "--image-format", "png", "--hold-out", "none")


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_backgrounds_are_fitted(fit, few_pictures, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*PNG, "--background-fit", fit)))
    rows = check_pixels(tmp_path / "set", fit)
    assert len(rows) == 3 * 2 * 2 * 4
    black = [not decoded(row, "image")[[0, -1]].any() for row in rows if 8 < row["placement_box"][1] < SIDE_PX - 28]
    assert black and all(edge == (fit == "pad") for edge in black)


def test_cutouts_keep_their_aspect_or_are_stretched(few_pictures, tmp_path):
    for fit in ("contain", "stretch"):
        call_good(*generate(few_pictures, tmp_path / fit, (*PNG, "--foreground-fit", fit)))
        source = {row["id"]: (row["width"], row["height"]) for row in read_rows(tmp_path / fit, "foregrounds/*.parquet")}
        for row in check_pixels(tmp_path / fit):
            size = contained_size(*source[row["foreground"]], 24, 20) if fit == "contain" else (24, 20)
            assert tuple(row["placement_box"][2:]) == size


def test_sizes_are_drawn(few_pictures, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*PNG, "--scale", "0.2", "0.7", "--overhang", "0.3", "--placements", "9")))
    sides = [max(row["placement_box"][2:]) for row in check_pixels(tmp_path / "set")]
    assert round(0.2 * SIDE_PX) <= min(sides) < 0.3 * SIDE_PX and 0.6 * SIDE_PX < max(sides) <= round(0.7 * SIDE_PX)


def test_cutouts_may_hang_over_the_border(few_pictures, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*PNG, "--overhang", "0.5", "--placements", "30")))
    parts = []
    for row in check_pixels(tmp_path / "set"):
        x, y, width, height = row["placement_box"]
        inside = max(0, min(x + width, SIDE_PX) - max(x, 0)) * max(0, min(y + height, SIDE_PX) - max(y, 0))
        parts.append(1 - inside / (width * height))
    assert 0.4 < max(parts) <= 0.5 and min(parts) == 0


def test_without_flips_nothing_is_mirrored(few_pictures, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*PNG, "--no-flips")))
    rows = check_pixels(tmp_path / "set")
    assert len(rows) == 3 * 2 * 4 and not any(row["flipped"] for row in rows)


@pytest.mark.parametrize("flags", [("--mask", "matte"), ("--mask-threshold", "40"), ("--mask-threshold", "250")])
def test_masks(flags, few_pictures, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*PNG, *flags)))
    threshold = int(flags[1]) if flags[0] == "--mask-threshold" else 128
    rows = check_pixels(tmp_path / "set", threshold=threshold, matte="matte" in flags)
    levels = np.unique(np.concatenate([decoded(row, "mask").ravel() for row in rows]))
    assert (len(levels) > 50) if "matte" in flags else (list(levels) == [0, 255])


def test_a_key_colour_cuts_opaque_foregrounds_out(few_pictures, tmp_path):
    keyed = Pictures(few_pictures.backgrounds, tmp_path / "keyed")
    keyed.foregrounds.mkdir()
    y, x = np.mgrid[0:40, 0:30]
    inside = np.hypot(x - 14.5, y - 19.5) < 12
    picture = np.where(inside[..., None], (200, 30, 90), (0, 255, 0)).astype(np.uint8)
    Image.fromarray(picture).save(keyed.foregrounds / "ball.png")
    refused(generate(keyed, tmp_path / "set", PNG), tmp_path / "set", "ball.png")
    call_good(*generate(keyed, tmp_path / "set", (*PNG, "--key-color", "#00ff00")))
    rows = check_pixels(tmp_path / "set")
    ball = sources_of(tmp_path / "set", "foreground", "RGBA")["ball"]
    assert np.array_equal(ball[..., 3], np.where(inside, 255, 0))
    assert {row["placement_box"][2] / row["placement_box"][3] for row in rows} == {15 / 20}


def test_composites_are_jpeg_of_the_quality_asked_for(few_pictures, tmp_path):
    sizes = {}
    for quality in (30, 95):
        call_good(*generate(few_pictures, tmp_path / str(quality), (*PLAIN, "--hold-out", "none", "--image-quality", quality)))
        rows = read_rows(tmp_path / str(quality), "data/*/*.parquet")
        assert {Image.open(io.BytesIO(row["image"]["bytes"])).format for row in rows} == {"JPEG"}
        sizes[quality] = sum(len(row["image"]["bytes"]) for row in rows)
    assert sizes[30] * 2 < sizes[95]


def test_the_seed_moves_placements_and_order(few_pictures, plain_set, tmp_path):
    keys = {}
    for seed in (0, 1):
        call_good(*generate(few_pictures, tmp_path / str(seed), (*PLAIN, "--hold-out", "none", "--seed", seed)))
        keys[seed] = [(row["key"], tuple(row["placement_box"])) for row in read_rows(tmp_path / str(seed))]
    assert len(keys[0]) == len(keys[1]) and [k for k, _ in keys[0]] != [k for k, _ in keys[1]]
    assert sum(dict(keys[0])[key] == box for key, box in keys[1]) < len(keys[0]) / 10


def test_splits_of_nothing_are_left_out(pictures, tmp_path):
    call_good(*generate(pictures, tmp_path / "two", (*PLAIN, "--splits", "0.7", "0.3", "0")))
    assert sorted(p.name for p in (tmp_path / "two" / "data").iterdir()) == ["train", "validation"]
    call_good(*generate(pictures, tmp_path / "one", (*PLAIN, "--hold-out", "none")))
    assert sorted(p.name for p in (tmp_path / "one" / "data").iterdir()) == ["train"]
    assert list(json.loads((tmp_path / "one" / "stats.json").read_text())) == ["train", "all"]


def test_shards_and_row_groups_have_the_sizes_of_the_recipe(plain_set):
    import pyarrow.parquet as pq

    starts = {}
    for name in data_files(plain_set):
        footer, meta = read_footer(plain_set / name), pq.ParquetFile(plain_set / name).metadata
        assert meta.num_rows == footer.stop - footer.start
        assert starts.get(footer.split, 0) == footer.start
        starts[footer.split] = footer.stop
        limit = 8 if footer.index == 0 else 24
        assert meta.num_rows <= limit
        groups = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        assert all(rows == 8 for rows in groups[:-1]) and 0 < groups[-1] <= 8
    assert sum(starts.values()) == NUM_BACKGROUNDS * NUM_FOREGROUNDS * 2 * 4
