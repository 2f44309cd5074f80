"""Depth in a whole run: what is said of it and when, what `auto` becomes, and what ends a run."""

import itertools
import json
import sys

import cv2
import numpy as np
import pytest
import torch
from real_runs import RECIPE, call, call_good, data_files, generate, temporary_files, tree

import fgbg_depth.depth
from fgbg_depth.config import AUTO, Recipe, load_recipe
from fgbg_depth.depth import torch_engine
from fgbg_depth.errors import RecipeError
from fgbg_depth.estimate import Cost
from fgbg_depth.produce import ShardMaker
from fgbg_depth.studio import Studio


@pytest.fixture(scope="module")
def recipe(tiny_model):
    return (*RECIPE, "--placements", "1", "--depth-model", tiny_model)


@pytest.fixture(scope="module")
def reference(few_pictures, recipe, tmp_path_factory):
    """(a set made with a batch of 16, what the run said as JSON)."""
    folder = tmp_path_factory.mktemp("reference") / "set"
    ended = call_good(*generate(few_pictures, folder, recipe, "--json"))
    return folder, json.loads(ended.out)


def test_engine_and_precision_are_said_before_the_first_row(few_pictures, recipe, reference, tmp_path, monkeypatch):
    said = []

    def make(self, *arguments, **named):
        said.append(sys.stderr.getvalue())
        return was(self, *arguments, **named)

    was = ShardMaker.make
    monkeypatch.setattr(ShardMaker, "make", make)
    words = "note: depth runs with torch fp32 (as asked for) on cpu, 16 pictures at a time"
    ended = call_good(*generate(few_pictures, tmp_path / "set", recipe))
    assert words in said[0] and ended.err.count(words) == 1
    flags = ("--depth-model", recipe[-1], "--workers", 1, "--quiet", "--trust")
    ended = call_good("annotate", reference[0], "--out", tmp_path / "new", *flags)
    assert words in said[1] and ended.err.count(words) == 1


def test_the_result_tells_what_ran_and_how_busy_it_was(reference):
    told = reference[1]
    assert told["depth"]["engine"] == "torch" and told["depth"]["precision"] == "fp32" and told["depth"]["batch_size"] == 16
    assert 0 < told["depth_busy"] < 1
    assert told["rows_left_out"] == []


def test_without_depth_nothing_is_said_of_it(few_pictures, tmp_path):
    ended = call_good(*generate(few_pictures, tmp_path / "set", (*RECIPE, "--depth-model", "none", "--depth-batch", "auto"), "--json"))
    told = json.loads(ended.out)
    assert told["depth"] is None and told["depth_busy"] is None and "depth" not in ended.err
    assert load_recipe(tmp_path / "set" / "recipe.toml").depth_batch == 16


# --- depth_batch = "auto" ---


def test_auto_is_a_batch_of_a_recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('depth_batch = "auto"\n')
    assert load_recipe(path).depth_batch == AUTO
    for wrong in ("many", 0, 1025, 1.5, True):
        with pytest.raises(RecipeError, match="depth_batch"):
            Recipe().replace(depth_batch=wrong)


def test_auto_is_settled_before_the_first_row_and_recorded(few_pictures, recipe, reference, tmp_path):
    call_good(*generate(few_pictures, tmp_path / "set", (*recipe, "--depth-batch", "auto")))
    assert tree(tmp_path / "set") == tree(reference[0])
    assert load_recipe(tmp_path / "set" / "recipe.toml").depth_batch == 16


def test_a_set_goes_on_with_the_batch_that_it_was_begun_with(few_pictures, recipe, tmp_path, monkeypatch):
    """On a GPU another number may be found the next time."""
    found, real = itertools.count(5), fgbg_depth.depth.load_depth_estimator

    def load(**arguments):
        if arguments["batch_size"] == AUTO:
            arguments["batch_size"] = next(found)
        return real(**arguments)

    monkeypatch.setattr(fgbg_depth.depth, "load_depth_estimator", load)
    folder, command = tmp_path / "set", generate(few_pictures, tmp_path / "set", (*recipe, "--depth-batch", "auto"))
    ended = call_good(*command)
    before = tree(folder)
    assert "5 pictures at a time" in ended.err and load_recipe(folder / "recipe.toml").depth_batch == 5
    for name in (*data_files(folder)[1:], "manifest.json", "recipe.toml"):
        (folder / name).unlink()
    ended = call_good(*command)
    assert "5 pictures at a time" in ended.err and next(found) == 6
    assert tree(folder) == before
    refused = call(*generate(few_pictures, folder, (*recipe, "--depth-batch", "7")))
    assert refused.code == 1 and "depth_batch is 5 there and 7 here" in refused.err


def test_the_reason_stays_that_of_the_first_run(few_pictures, recipe, tmp_path):
    """It is in the footers of the asset tables, of which a killed run may have written only the first."""
    folder = tmp_path / "set"
    call_good(*generate(few_pictures, folder, (*recipe, "--depth-engine", "auto")))
    before = tree(folder)
    for name in ("foregrounds/b000.parquet", "manifest.json", *data_files(folder)):
        (folder / name).unlink()
    ended = call_good(*generate(few_pictures, folder, recipe))
    assert "(torch: quickest in fp32)" in ended.err
    assert tree(folder) == before


# --- what ends a run ---


def test_memory_that_runs_out_on_the_device_is_explained(few_pictures, recipe, tmp_path, monkeypatch):
    calls, real = itertools.count(), torch_engine.TorchRunner.__call__

    def run_out(self, pixel_values):
        with torch_engine.out_of_memory_explained(len(pixel_values)):
            if next(calls) == 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, pixel_values)

    monkeypatch.setattr(torch_engine.TorchRunner, "__call__", run_out)
    ended = call(*generate(few_pictures, tmp_path / "set", recipe, "--on-bad-depth", "skip"))
    assert ended.code == 1 and ended.err.count("inished shards are kept") == 1
    assert "can't take 16 pictures at a time here" in ended.err and "depth_batch" in ended.err
    assert len(data_files(tmp_path / "set")) == 1 and temporary_files(tmp_path / "set") == []


@pytest.mark.parametrize("kind", ["python", "opencv"])
def test_memory_that_runs_out_elsewhere_is_explained(few_pictures, recipe, tmp_path, monkeypatch, kind):
    def run_out(self, *arguments):
        if kind == "python":
            raise MemoryError("Unable to allocate 588. KiB")
        cv2.resize(np.zeros((1, 1), np.uint8), (2**30, 2**16))

    monkeypatch.setattr(Studio, "composite", run_out)
    ended = call(*generate(few_pictures, tmp_path / "set", recipe))
    assert ended.code == 1 and "memory ran out" in ended.err and "fewer --workers" in ended.err
    assert temporary_files(tmp_path / "set") == []


def test_time_is_expected_by_what_is_done_beside_the_network():
    cost = Cost(1000, 0.5, 2.0, 0.1)
    assert cost.seconds(100, 1, 2) == pytest.approx(2 + 100 * 0.4)
    assert cost.seconds(100, 2, 2) == pytest.approx(2 + 100 * 0.5 / 2)
