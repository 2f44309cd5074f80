"""Whole sets: equal bytes however they are made, right pixels, every recipe option, the plan, and what is refused."""

import io
import json
import math
import shutil

import numpy as np
import pytest
from kill_runs import wait_for
from PIL import Image
from real_runs import (
    NUM_BACKGROUNDS,
    NUM_FOREGROUNDS,
    PLAIN,
    RECIPE,
    SIDE_PX,
    Pictures,
    add_background,
    call,
    call_good,
    data_files,
    end_of,
    identities,
    kill_group,
    make_pictures,
    read_rows,
    run_good,
    save_tiny_model,
    start,
    tree,
)

from fgbg_depth import load_depth_estimator
from fgbg_depth.assets import pictures
from fgbg_depth.assets import scan as assets
from fgbg_depth.resize import contained_size
from fgbg_depth.samples import sample_folder
from fgbg_depth.shards import read_footer

OTHER_PLACE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "17", "OMP_NUM_THREADS": "2", "COLUMNS": "40"}
ANOTHER_PLACE = {"TZ": "America/Lima", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Small pictures made by code."""
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Fewer of them."""
    return make_pictures(tmp_path_factory.mktemp("few"), range(3), range(2))


@pytest.fixture(scope="module")
def plain_set(small, tmp_path_factory):
    """A finished set without depth, made by one process. Nobody may change it."""
    folder = tmp_path_factory.mktemp("plain") / "set"
    call_good(*generate(small, folder))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def depth_recipe(model):
    return (*RECIPE, "--depth-model", model, "--depth-batch", "5")


@pytest.fixture(scope="module")
def depth_set(few, depth_recipe, tmp_path_factory):
    """A finished set with depth, made by one process. Nobody may change it."""
    folder = tmp_path_factory.mktemp("depth") / "set"
    call_good(*generate(few, folder, depth_recipe))
    return folder


def generate(source, folder, recipe=PLAIN, *flags, workers=1):
    return ("generate", *source.flags, "--out", folder, *recipe, "--workers", workers, "--quiet", *flags)


def refused(arguments, folder, *words, code=1):
    """The run says all the words and changes nothing."""
    before, ids = tree(folder), identities(folder)
    ended = call(*arguments)
    assert ended.code == code, ended.err
    for word in words:
        assert str(word) in ended.err, ended.err
    assert tree(folder) == before and identities(folder) == ids


def decoded(row, column):
    return np.asarray(Image.open(io.BytesIO(row[column]["bytes"])))


# --- the same bytes ---


def test_neither_workers_nor_directory_nor_surroundings_change_a_byte(small, plain_set, tmp_path):
    moved = small.copy(tmp_path / "moved", order=-1)
    relative = Pictures(moved.backgrounds.relative_to(tmp_path), moved.foregrounds.relative_to(tmp_path))
    command = ("generate", *relative.flags, "--out", "out/set", *PLAIN, "--workers", 3)  # and not quiet
    ended = run_good(*command, env=OTHER_PLACE, cwd=tmp_path)
    assert "make rows: 168 of 168 rows" in ended.err
    assert tree(tmp_path / "out" / "set") == tree(plain_set)
    run_good(*generate(moved, tmp_path / "set", workers=2), env=ANOTHER_PLACE)
    assert tree(tmp_path / "set") == tree(plain_set)


def test_depth_has_the_same_bytes_too(few, depth_set, depth_recipe, tmp_path):
    moved = few.copy(tmp_path / "moved", order=-1)
    run_good(*generate(moved, tmp_path / "set", depth_recipe, workers=2), env=OTHER_PLACE, cwd=tmp_path)
    assert tree(tmp_path / "set") == tree(depth_set)


def test_a_depth_model_is_its_weights_not_its_path(few, depth_set, depth_recipe, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "elsewhere" / model.name)
    folder = shutil.copytree(depth_set, tmp_path / "set")
    (folder / data_files(folder)[-1]).unlink()
    call_good(*generate(few, folder, [copy if value == model else value for value in depth_recipe]))
    assert tree(folder) == tree(depth_set)


def test_a_finished_set_stays_as_it_is(small, plain_set):
    before = identities(plain_set, "**/*")
    ended = call_good(*generate(small, plain_set))
    assert "is complete: 168 rows" in ended.out
    after = identities(plain_set, "**/*")
    files = {name for name in before if (plain_set / name).is_file()}
    assert {name: after[name] for name in files} == {name: before[name] for name in files}


def test_what_is_told_as_json(small, tmp_path):
    ended = call_good(*generate(small, tmp_path / "set"), "--json")
    told = json.loads(ended.out)
    files = json.loads((tmp_path / "set" / "manifest.json").read_text())["files"]
    assert told["rows"] == told["rows_made"] == NUM_BACKGROUNDS * NUM_FOREGROUNDS * 2 * 4
    assert told["data_files"] == len(data_files(tmp_path / "set")) == len([f for f in files.values() if f.get("config") == "default"])
    assert told["bytes"] == sum(f["bytes"] for f in files.values())
    assert told["skipped"] == [] and told["cells_left_out"] == 0


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
ROUNDED = 0.5 + 1e-3  # half a level, and the noise of float32
AT_THRESHOLD = 1e-3  # alpha so near to the threshold [levels] may fall on either side


def kernel(count_in, count_out):
    """(count_out, count_in) float64 weights of the Hamming-windowed sinc of support 1, widened by the ratio when shrinking."""
    ratio = count_in / count_out
    width = max(ratio, 1.0)
    at = (np.arange(count_in)[None, :] + 0.5 - (np.arange(count_out)[:, None] + 0.5) * ratio) / width
    weights = np.where(np.abs(at) < 1, np.sinc(at) * (0.54 + 0.46 * np.cos(np.pi * at)), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def exact_resize(planes, width, height):
    """(H, W, C) float64 resized to (height, width, C)."""
    if planes.shape[:2] == (height, width):
        return planes
    tall = np.tensordot(kernel(planes.shape[0], height), planes, 1)
    return np.einsum("jw,iwc->ijc", kernel(planes.shape[1], width), tall, optimize=True)


def exact_background(rgb, side, fit):
    height, width = rgb.shape[:2]
    if fit == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        rgb, fit = rgb[top : top + short, left : left + short], "stretch"
    if fit == "stretch":
        return exact_resize(rgb.astype(np.float64), side, side)
    scale = side / max(height, width)
    inner_width, inner_height = max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5))
    out = np.zeros((side, side, 3))
    top, left = (side - inner_height) // 2, (side - inner_width) // 2
    out[top : top + inner_height, left : left + inner_width] = exact_resize(rgb.astype(np.float64), inner_width, inner_height)
    return out


def exact_composite(background, rgba, flipped, box):
    """(exact picture, exact alpha in levels on the whole canvas) of a fitted background and a cut-out in its source size."""
    x, y, width, height = box
    alpha = rgba[..., 3:] / 255.0
    small = exact_resize(np.concatenate([rgba[..., :3] * alpha, alpha], axis=2), width, height)
    if flipped:
        small = small[:, ::-1]
    side = background.shape[0]
    wide = np.zeros((3 * side, 3 * side, 4))  # with a margin for what hangs over the border
    wide[side + y : side + y + height, side + x : side + x + width] = small
    placed = wide[side : 2 * side, side : 2 * side]
    return background * (1 - placed[..., 3:]) + placed[..., :3], placed[..., 3] * 255


def tight(visible):
    rows, columns = np.nonzero(visible)
    return [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]


def sources_of(folder, kind, mode):
    rows = read_rows(folder, f"{kind}s/*.parquet")
    return {row["id"]: np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert(mode)) for row in rows}


def check_pixels(folder, fit="stretch", threshold=128, matte=False):
    """Compare all rows of a set of PNG composites with the exact ones; returns the rows."""
    backgrounds, foregrounds = sources_of(folder, "background", "RGB"), sources_of(folder, "foreground", "RGBA")
    rows = read_rows(folder, "data/*/*.parquet")
    side = decoded(rows[0], "image").shape[0]
    fitted = {name: exact_background(rgb, side, fit) for name, rgb in backgrounds.items()}
    for row in rows:
        exact, alpha = exact_composite(fitted[row["background"]], foregrounds[row["foreground"]], row["flipped"], row["placement_box"])
        image, mask = decoded(row, "image"), decoded(row, "mask")
        assert image.dtype == mask.dtype == np.uint8
        assert np.abs(image - exact).max() <= ROUNDED, row["key"]
        sure = np.abs(alpha - (threshold - 0.5)) > AT_THRESHOLD
        assert sure.mean() > 0.999
        visible = alpha >= threshold - 0.5
        if matte:
            assert np.abs(mask - alpha).max() <= ROUNDED, row["key"]
        else:
            assert np.array_equal(mask[sure], np.where(visible, 255, 0)[sure]), row["key"]
        seen = mask >= threshold
        assert seen.any() and row["bbox"] == tight(seen)
        assert row["mask_area"] == np.float32(seen.mean())
    return rows


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
def test_backgrounds_are_fitted(fit, few, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*PNG, "--background-fit", fit)))
    rows = check_pixels(tmp_path / "set", fit)
    assert len(rows) == 3 * 2 * 2 * 4
    black = [not decoded(row, "image")[[0, -1]].any() for row in rows if 8 < row["placement_box"][1] < SIDE_PX - 28]
    assert black and all(edge == (fit == "pad") for edge in black)


def test_cutouts_keep_their_aspect_or_are_stretched(few, tmp_path):
    for fit in ("contain", "stretch"):
        call_good(*generate(few, tmp_path / fit, (*PNG, "--foreground-fit", fit)))
        source = {row["id"]: (row["width"], row["height"]) for row in read_rows(tmp_path / fit, "foregrounds/*.parquet")}
        for row in check_pixels(tmp_path / fit):
            size = contained_size(*source[row["foreground"]], 24, 20) if fit == "contain" else (24, 20)
            assert tuple(row["placement_box"][2:]) == size


def test_sizes_are_drawn(few, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*PNG, "--scale", "0.2", "0.7", "--overhang", "0.3", "--placements", "9")))
    sides = [max(row["placement_box"][2:]) for row in check_pixels(tmp_path / "set")]
    assert round(0.2 * SIDE_PX) <= min(sides) < 0.3 * SIDE_PX and 0.6 * SIDE_PX < max(sides) <= round(0.7 * SIDE_PX)


def test_cutouts_may_hang_over_the_border(few, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*PNG, "--overhang", "0.5", "--placements", "30")))
    parts = []
    for row in check_pixels(tmp_path / "set"):
        x, y, width, height = row["placement_box"]
        inside = max(0, min(x + width, SIDE_PX) - max(x, 0)) * max(0, min(y + height, SIDE_PX) - max(y, 0))
        parts.append(1 - inside / (width * height))
    assert 0.4 < max(parts) <= 0.5 and min(parts) == 0


def test_without_flips_nothing_is_mirrored(few, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*PNG, "--no-flips")))
    rows = check_pixels(tmp_path / "set")
    assert len(rows) == 3 * 2 * 4 and not any(row["flipped"] for row in rows)


@pytest.mark.parametrize("flags", [("--mask", "matte"), ("--mask-threshold", "40"), ("--mask-threshold", "250")])
def test_masks(flags, few, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*PNG, *flags)))
    threshold = int(flags[1]) if flags[0] == "--mask-threshold" else 128
    rows = check_pixels(tmp_path / "set", threshold=threshold, matte="matte" in flags)
    levels = np.unique(np.concatenate([decoded(row, "mask").ravel() for row in rows]))
    assert (len(levels) > 50) if "matte" in flags else (list(levels) == [0, 255])


def test_a_key_colour_cuts_opaque_foregrounds_out(few, tmp_path):
    keyed = Pictures(few.backgrounds, tmp_path / "keyed")
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


def test_composites_are_jpeg_of_the_quality_asked_for(few, tmp_path):
    sizes = {}
    for quality in (30, 95):
        call_good(*generate(few, tmp_path / str(quality), (*PLAIN, "--hold-out", "none", "--image-quality", quality)))
        rows = read_rows(tmp_path / str(quality), "data/*/*.parquet")
        assert {Image.open(io.BytesIO(row["image"]["bytes"])).format for row in rows} == {"JPEG"}
        sizes[quality] = sum(len(row["image"]["bytes"]) for row in rows)
    assert sizes[30] * 2 < sizes[95]


def test_the_seed_moves_placements_and_order(few, plain_set, tmp_path):
    keys = {}
    for seed in (0, 1):
        call_good(*generate(few, tmp_path / str(seed), (*PLAIN, "--hold-out", "none", "--seed", seed)))
        keys[seed] = [(row["key"], tuple(row["placement_box"])) for row in read_rows(tmp_path / str(seed))]
    assert len(keys[0]) == len(keys[1]) and [k for k, _ in keys[0]] != [k for k, _ in keys[1]]
    assert sum(dict(keys[0])[key] == box for key, box in keys[1]) < len(keys[0]) / 10


def test_splits_of_nothing_are_left_out(small, tmp_path):
    call_good(*generate(small, tmp_path / "two", (*PLAIN, "--splits", "0.7", "0.3", "0")))
    assert sorted(p.name for p in (tmp_path / "two" / "data").iterdir()) == ["train", "validation"]
    call_good(*generate(small, tmp_path / "one", (*PLAIN, "--hold-out", "none")))
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


# --- depth ---


def predicted(folder, rows, model, batch=5):
    """Depth of the decoded stored pictures, in the batches of their shards."""
    estimator = load_depth_estimator(str(model), batch_size=batch, num_threads=1)
    maps = []
    for name in data_files(folder):
        images = np.stack([decoded(row, "image") for row in rows if row["file"] == name])
        maps += [estimator.predict(images[i : i + batch]) for i in range(0, len(images), batch)]
    return np.concatenate(maps).astype(np.float64)


def test_relative8_keeps_metres_within_half_a_step(depth_set, model):
    rows = read_rows(depth_set, "data/*/*.parquet")
    for row, depth in zip(rows, predicted(depth_set, rows, model), strict=True):
        levels, low, high = decoded(row, "depth"), row["depth_min_m"], row["depth_max_m"]
        assert levels.dtype == np.uint8 and levels.min() == 0 and levels.max() == 255
        assert (low, high) == (np.float32(depth.min()), np.float32(depth.max())) and low < high
        step = (high - low) / 255
        assert np.abs(low + levels * step - depth).max() <= step / 2 * 1.001


def test_metric16_keeps_millimetres(few, depth_recipe, model, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*depth_recipe, "--depth-encoding", "metric16")))
    rows = read_rows(tmp_path / "set", "data/*/*.parquet")
    for row, depth in zip(rows, predicted(tmp_path / "set", rows, model), strict=True):
        levels = decoded(row, "depth")
        assert levels.dtype == np.uint16 and np.abs(levels / 1000 - depth).max() <= 0.0005 * 1.001
        assert (row["depth_min_m"], row["depth_max_m"]) == (0, np.float32(65.535))


def test_relative8_jpeg_is_near(few, depth_recipe, model, tmp_path):
    call_good(*generate(few, tmp_path / "set", (*depth_recipe, "--depth-encoding", "relative8_jpeg")))
    rows = read_rows(tmp_path / "set", "data/*/*.parquet")
    assert {Image.open(io.BytesIO(row["depth"]["bytes"])).format for row in rows} == {"JPEG"}
    for row, depth in zip(rows, predicted(tmp_path / "set", rows, model), strict=True):
        step = (row["depth_max_m"] - row["depth_min_m"]) / 255
        error = np.abs(row["depth_min_m"] + decoded(row, "depth") * step - depth) / step
        assert error.mean() < 3 and error.max() < 40


def test_the_input_size_of_the_network_is_part_of_the_recipe(few, depth_recipe, depth_set, tmp_path):
    other = (*depth_recipe, "--depth-input-size", "96", "32")
    refused(generate(few, depth_set, other), depth_set, "depth_input_size is [64, 64] there and [96, 32] here")
    call_good(*generate(few, tmp_path / "set", (*other, "--placements", "1")))
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["depth"]["input_size"] == [32, 96]


# --- refused ---


def test_two_runs_in_one_folder_are_refused(small, plain_set, tmp_path):
    process = start(generate(small, tmp_path / "set"))
    try:
        wait_for(process, tmp_path / "set", "data/*/.*")
        second = call(*generate(small, tmp_path / "set"))
        running = process.poll() is None
        first = end_of(process)
    finally:
        kill_group(process)
    assert running, "the first run ended before the second was looked at"
    assert second.code == 1 and "is in use by another run" in second.err
    assert first.code == 0 and tree(tmp_path / "set") == tree(plain_set)


def test_a_folder_of_another_recipe_is_refused_and_the_difference_named(small, plain_set):
    other = (*PLAIN, "--seed", "5", "--image-quality", "80")
    words = ("seed is 0 there and 5 here", "image_quality is 90 there and 80 here", "Nothing was changed")
    refused(generate(small, plain_set, other), plain_set, *words)
    refused(generate(small, plain_set, other, "--append"), plain_set, *words)


def test_other_weights_are_another_recipe(few, depth_set, depth_recipe, model, tmp_path):
    from safetensors.numpy import load_file, save_file

    other = shutil.copytree(model, tmp_path / model.name)
    tensors = load_file(other / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + np.float32(1e-3)
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    recipe = [other if value == model else value for value in depth_recipe]
    refused(generate(few, depth_set, recipe), depth_set, "the weights of its depth model were others")


@pytest.mark.parametrize("name", ["thesis.docx", "data/train.csv", "backgrounds/holiday.jpg"])
def test_a_folder_with_files_of_others_is_refused(name, few, tmp_path):
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("mine")
    refused(generate(few, tmp_path / "mine"), tmp_path / "mine", name.split("/")[0], "choose another --out", "Nothing was changed")


def test_a_new_repository_may_be_the_folder(few, tmp_path):
    for name in (".git/HEAD", ".gitattributes", "data/train"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).mkdir() if name == "data/train" else (tmp_path / "set" / name).write_text("x")
    call_good(*generate(few, tmp_path / "set"))
    assert (tmp_path / "set" / ".git" / "HEAD").read_text() == "x"


def test_wrong_use_is_told_and_leaves_no_folder(few, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    nowhere, empty = Pictures(tmp_path / "nowhere", few.foregrounds), Pictures(few.backgrounds, tmp_path / "empty")
    for arguments, words in (
        (generate(few, tmp_path / "file"), "is a file, expected a folder"),
        (generate(few, tmp_path / "file" / "set"), "can't be made or written"),
        (generate(nowhere, tmp_path / "a" / "set"), "the folder of backgrounds isn't there"),
        (generate(empty, tmp_path / "a" / "set"), "holds no picture"),
        (generate(few, few.backgrounds / "set"), "where pictures are looked for"),
        (generate(few, tmp_path / "a", PLAIN, "--recipe", tmp_path / "none.toml"), "none.toml"),
        (generate(few, tmp_path / "a", PLAIN, "--image-quality", "101"), "image_quality is 101"),
        (generate(few, tmp_path / "a", workers=0), "expected at least 1"),
    ):
        ended = call(*arguments)
        assert ended.code == 2 and words in ended.err, ended.err
        assert tree(tmp_path) == before
    assert not (few.backgrounds / "set").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--placements", "100000"), "legal, visible offsets"),
        (("--splits", "0.4", "0.3", "0.3", "--hold-out", "both"), "2 groups of foregrounds can't fill 3 splits"),
        (("--foreground-size", "1", "1", "--mask-threshold", "255"), "has no mask pixel at 1 x 1 px"),
    ],
)
def test_impossible_plans_are_refused_before_the_first_byte(flags, words, few, tmp_path):
    refused(generate(few, tmp_path / "new" / "set", (*PLAIN, *flags)), tmp_path, words)


def test_bad_pictures_stop_the_run_or_are_left_out(few, plain_set, tmp_path):
    bad = few.copy(tmp_path / "bad")
    data = add_background(bad.backgrounds, 50).read_bytes()
    (bad.backgrounds / "cut.png").write_bytes(data[: len(data) // 2])
    refused(generate(bad, tmp_path / "set"), tmp_path / "set", "cut.png", "--skip-bad")
    ended = call_good(*generate(bad, tmp_path / "set", PLAIN, "--skip-bad"))
    assert "left out: cut.png: " in ended.err
    assert {row["background"] for row in read_rows(tmp_path / "set")} == {"room_00", "room_01", "room_02", "room_50"}


def test_a_raised_bound_on_pixels_holds_wherever_a_picture_is_read(few, tmp_path, monkeypatch):
    """With a bound below the pictures' size as default, they can be used only where the flag's bound goes with them."""
    refused(generate(few, tmp_path / "set", PLAIN, "--max-pixels", "1000"), tmp_path / "set", "more than the bound")
    for function in (pictures.decode_picture, pictures.decode_pixels, pictures.stored_picture, assets.read_asset, assets.asset_bytes):
        monkeypatch.setitem(function.__kwdefaults__, "max_pixels", 1000)
    call_good("plan", *generate(few, tmp_path / "set", PLAIN, "--max-pixels", "5000")[1:])
    call_good(*generate(few, tmp_path / "set", PLAIN, "--max-pixels", "5000"))
    (tmp_path / "set" / data_files(tmp_path / "set")[0]).unlink()
    call_good(*generate(few, tmp_path / "set", PLAIN, "--max-pixels", "5000"))


# --- the plan ---


def test_a_plan_writes_nothing_and_is_what_generate_makes(tmp_path):
    source = Pictures(tmp_path / "backgrounds", tmp_path / "foregrounds")
    for kind, folder in (("background", source.backgrounds), ("foreground", source.foregrounds)):
        folder.mkdir()
        for path in sorted(sample_folder(kind).glob("*.[jp]*g"))[::2]:
            shutil.copy(path, folder)
    recipe = ("--depth-model", "none", "--placements", "3", "--hold-out", "both", "--splits", "0.5", "0.25", "0.25")
    before, times = tree(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    arguments = generate(source, tmp_path / "new" / "set", recipe)[1:]
    plan = json.loads(call_good("plan", *arguments, "--json").out)
    text = call_good("plan", *arguments).out
    assert tree(tmp_path) == before and {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == times
    made = json.loads(call_good("generate", *arguments, "--json").out)
    files = json.loads((tmp_path / "new" / "set" / "manifest.json").read_text())["files"].values()
    assert (plan["rows"], plan["cells_left_out"], plan["shards"]) == (made["rows"], made["cells_left_out"], made["data_files"])
    assert plan["cells_left_out"] > 0 and f"{plan['rows']:,} (" in text and "nothing was written" in text
    rows = [row["file"].split("/")[1] for row in read_rows(tmp_path / "new" / "set")]
    assert plan["rows_by_split"] == {split: rows.count(split) for split in ("train", "validation", "test")}
    stored = sum(f["bytes"] for f in files if "config" in f)
    assert abs(plan["bytes"] / stored - 1) < 0.15
    # Of a finished set nothing is left to make.
    after = json.loads(call_good("plan", *arguments, "--json").out)
    assert (after["rows"], after["rows_to_make"], after["shards_to_make"]) == (plan["rows"], 0, 0)
