"""Whole sets, with and without depth: equal bytes however they are made, metres as they are encoded, and the plan beforehand."""

import io
import json
import shutil

import numpy as np
import pytest
from exact_pixels import decoded
from PIL import Image
from real_runs import (
    NUM_BACKGROUNDS,
    NUM_FOREGROUNDS,
    PLAIN,
    RECIPE,
    Pictures,
    call_good,
    data_files,
    generate,
    identities,
    read_rows,
    refused,
    run_good,
    tree,
)

from fgbg_depth import load_depth_estimator, load_recipe
from fgbg_depth.samples import sample_folder

OTHER_PLACE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "17", "OMP_NUM_THREADS": "2", "COLUMNS": "40"}
ANOTHER_PLACE = {"TZ": "America/Lima", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def depth_recipe(tiny_model):
    return (*RECIPE, "--depth-model", tiny_model, "--depth-batch", "5")


@pytest.fixture(scope="module")
def depth_set(few_pictures, depth_recipe, tmp_path_factory):
    """A finished set with depth, made by one process. Nobody may change it."""
    folder = tmp_path_factory.mktemp("depth") / "set"
    call_good(*generate(few_pictures, folder, depth_recipe))
    return folder


# --- the same bytes ---


def test_neither_workers_nor_directory_nor_surroundings_change_a_byte(pictures, plain_set, tmp_path):
    moved = pictures.copy(tmp_path / "moved", order=-1)
    relative = Pictures(moved.backgrounds.relative_to(tmp_path), moved.foregrounds.relative_to(tmp_path))
    command = ("generate", *relative.flags, "--out", "out/set", *PLAIN, "--workers", 3)  # and not quiet
    ended = run_good(*command, env=OTHER_PLACE, cwd=tmp_path)
    assert "make rows: 168 of 168 rows" in ended.err
    assert tree(tmp_path / "out" / "set") == tree(plain_set)
    run_good(*generate(moved, tmp_path / "set", workers=2), env=ANOTHER_PLACE)
    assert tree(tmp_path / "set") == tree(plain_set)


def test_a_finished_set_stays_as_it_is(pictures, plain_set):
    before = identities(plain_set, "**/*")
    ended = call_good(*generate(pictures, plain_set))
    assert "is complete: 168 rows" in ended.out
    after = identities(plain_set, "**/*")
    files = {name for name in before if (plain_set / name).is_file()}
    assert {name: after[name] for name in files} == {name: before[name] for name in files}


def test_what_is_told_as_json(pictures, tmp_path):
    ended = call_good(*generate(pictures, tmp_path / "set"), "--json")
    told = json.loads(ended.out)
    files = json.loads((tmp_path / "set" / "manifest.json").read_text())["files"]
    assert told["rows"] == told["rows_made"] == NUM_BACKGROUNDS * NUM_FOREGROUNDS * 2 * 4
    assert told["data_files"] == len(data_files(tmp_path / "set")) == len([f for f in files.values() if f.get("config") == "default"])
    assert told["bytes"] == sum(f["bytes"] for f in files.values())
    assert told["skipped"] == [] and told["cells_left_out"] == 0


# --- depth ---


def test_depth_has_the_same_bytes_too(few_pictures, depth_set, depth_recipe, tmp_path):
    moved = few_pictures.copy(tmp_path / "moved", order=-1)
    ended = run_good(*generate(moved, tmp_path / "set", depth_recipe, workers=2), env=OTHER_PLACE, cwd=tmp_path)
    assert "the depth network was busy " in ended.out
    assert tree(tmp_path / "set") == tree(depth_set)


def test_a_depth_model_is_its_weights_not_its_path(few_pictures, depth_set, depth_recipe, tiny_model, tmp_path):
    copy = shutil.copytree(tiny_model, tmp_path / "elsewhere" / tiny_model.name)
    folder = shutil.copytree(depth_set, tmp_path / "set")
    (folder / data_files(folder)[-1]).unlink()
    call_good(*generate(few_pictures, folder, [copy if value == tiny_model else value for value in depth_recipe]))
    assert tree(folder) == tree(depth_set)


def test_other_weights_are_another_recipe(few_pictures, depth_set, depth_recipe, tiny_model, tmp_path):
    from safetensors.numpy import load_file, save_file

    other = shutil.copytree(tiny_model, tmp_path / tiny_model.name)
    tensors = load_file(other / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + np.float32(1e-3)
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    recipe = [other if value == tiny_model else value for value in depth_recipe]
    refused(generate(few_pictures, depth_set, recipe), depth_set, "the weights of its depth model were others")


def predicted(folder, rows, model, batch=5):
    """Depth of the decoded stored pictures, in the batches of their shards."""
    estimator = load_depth_estimator(str(model), batch_size=batch, num_threads=1)
    maps = []
    for name in data_files(folder):
        images = np.stack([decoded(row, "image") for row in rows if row["file"] == name])
        maps += [estimator.predict(images[i : i + batch]) for i in range(0, len(images), batch)]
    return np.concatenate(maps).astype(np.float64)


def test_relative8_keeps_metres_within_half_a_step(depth_set, tiny_model):
    rows = read_rows(depth_set, "data/*/*.parquet")
    for row, depth in zip(rows, predicted(depth_set, rows, tiny_model), strict=True):
        levels, low, high = decoded(row, "depth"), row["depth_min_m"], row["depth_max_m"]
        assert levels.dtype == np.uint8 and levels.min() == 0 and levels.max() == 255
        assert (low, high) == (np.float32(depth.min()), np.float32(depth.max())) and low < high
        step = (high - low) / 255
        assert np.abs(low + levels * step - depth).max() <= step / 2 * 1.001


def test_metric16_keeps_millimetres(few_pictures, depth_recipe, tiny_model, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*depth_recipe, "--depth-encoding", "metric16")))
    rows = read_rows(tmp_path / "set", "data/*/*.parquet")
    for row, depth in zip(rows, predicted(tmp_path / "set", rows, tiny_model), strict=True):
        levels = decoded(row, "depth")
        assert levels.dtype == np.uint16 and np.abs(levels / 1000 - depth).max() <= 0.0005 * 1.001
        assert (row["depth_min_m"], row["depth_max_m"]) == (0, np.float32(65.535))


def test_relative8_jpeg_is_near(few_pictures, depth_recipe, tiny_model, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*depth_recipe, "--depth-encoding", "relative8_jpeg")))
    rows = read_rows(tmp_path / "set", "data/*/*.parquet")
    assert {Image.open(io.BytesIO(row["depth"]["bytes"])).format for row in rows} == {"JPEG"}
    for row, depth in zip(rows, predicted(tmp_path / "set", rows, tiny_model), strict=True):
        step = (row["depth_max_m"] - row["depth_min_m"]) / 255
        error = np.abs(row["depth_min_m"] + decoded(row, "depth") * step - depth) / step
        assert error.mean() < 3 and error.max() < 40


def test_the_input_size_of_the_network_is_part_of_the_recipe(few_pictures, depth_recipe, depth_set, tmp_path):
    other = (*depth_recipe, "--depth-input-size", "96", "32")
    refused(generate(few_pictures, depth_set, other), depth_set, "depth_input_size is [64, 64] there and [96, 32] here")
    call_good(*generate(few_pictures, tmp_path / "set", (*other, "--placements", "1")))
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["depth"]["input_size"] == [32, 96]


def test_the_engine_is_chosen_once_said_and_recorded(few_pictures, depth_recipe, depth_set, tmp_path):
    folder, words = tmp_path / "set", (*depth_recipe, "--placements", "1")
    refused(generate(few_pictures, depth_set, (*depth_recipe, "--depth-engine", "openvino")), depth_set, "depth_engine is 'torch' there")
    said = call_good(*generate(few_pictures, folder, (*words, "--depth-engine", "auto", "--depth-precision", "auto"))).err
    depth = json.loads((folder / "manifest.json").read_text())["depth"]
    stored = load_recipe(folder / "recipe.toml")
    assert "auto" not in (stored.depth_engine, stored.depth_precision)
    assert (depth["engine"], depth["precision"]) == (stored.depth_engine, stored.depth_precision)
    assert f"depth runs with {depth['engine']} {depth['precision']} (" in said and "as asked for" not in said
    # Asked for by name it is the same set, file by file, and nothing is left to make.
    before = tree(folder)
    chosen = ("--depth-engine", depth["engine"], "--depth-precision", depth["precision"])
    assert "nothing had to be made" in call_good(*generate(few_pictures, folder, (*words, *chosen))).out
    assert tree(folder) == before
    call_good("verify", folder, "--rebuild", "3")


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
