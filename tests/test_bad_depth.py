"""Rows for which the depth network gives no finite map: named and refused, or left out of all that a set consists of."""

import json
from pathlib import Path

import numpy as np
import publishing
import pyarrow.parquet as pq
import pytest
import torch
from hub import HubServer, RealClient
from publishing import assert_same_as_folder, publish_set
from real_runs import RECIPE, call, call_good, data_files, generate, read_rows, save_tiny_model, temporary_files, tree
from verify_sets import copy_of, files_of, flip_bit, found, refit, rewrite, value_of, verify

from fgbg_depth import codec
from fgbg_depth.depth import DenseDepthForDepthEstimation
from fgbg_depth.shards import read_footer
from fgbg_depth.verify.basis import read_basis
from fgbg_depth.verify.findings import Findings

ROWS = 168
BAD_PART = 0.1  # of the rows, about
FAILING = (*RECIPE, "--depth-batch", "5")
LARGEST = float(np.finfo(np.float32).max)


def save_failing_model(folder, images, part):
    """The tiny model with a further path: a channel that no output depends on, until it overflows and times zero is NaN.

    Args:
        folder: where it goes.
        images: (N, H, W, 3) uint8 RGB.
        part: of the images for which it shall fail; 1 for all.
    """
    save_tiny_model(folder)
    model = DenseDepthForDepthEstimation.from_pretrained(folder).eval()
    third, last = model.decoder.steps[2], model.decoder.steps[3]
    peaks = []
    third.conv_b.register_forward_hook(lambda module, inputs, output: peaks.append(output[:, 1].abs().amax((1, 2))))
    with torch.no_grad():
        model.raw(torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255)))
        factor = LARGEST / float(np.quantile(peaks[0].numpy(), 1 - part)) if part < 1 else 1e20
        for tensor in (third.conv_b.weight, third.conv_b.bias):
            tensor[1] *= factor
        last.conv_a.weight[:, 1] = 0 if part < 1 else LARGEST
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plain(pictures, tmp_path_factory):
    """The same rows without depth."""
    folder = tmp_path_factory.mktemp("plain") / "set"
    call_good(*generate(pictures, folder, (*FAILING, "--depth-model", "none")))
    return folder


@pytest.fixture(scope="module")
def keys(plain):
    """Keys of all planned rows, by data file."""
    return {name: pq.read_table(plain / name, columns=["key"]).column("key").to_pylist() for name in data_files(plain)}


def recipe_of(plain, folder, part):
    rows = read_rows(plain, "data/*/*.parquet")
    images = np.stack([codec.decode_rgb(row["image"]["bytes"]) for row in rows])
    return (*FAILING, "--depth-model", save_failing_model(folder, images, part))


@pytest.fixture(scope="module")
def failing(plain, tmp_path_factory):
    """A recipe with a model that fails for some rows."""
    return recipe_of(plain, tmp_path_factory.mktemp("failing") / "model", BAD_PART)


@pytest.fixture(scope="module")
def skipped(pictures, failing, tmp_path_factory):
    """(set without those rows, what the run said)."""
    folder = tmp_path_factory.mktemp("skipped") / "set"
    ended = call_good(*generate(pictures, folder, failing, "--on-bad-depth", "skip", "--json"))
    return folder, ended


@pytest.fixture(scope="module")
def gaps(skipped, keys):
    """{data file: keys left out}, of files that lack some."""
    told = {name: list(read_footer(skipped[0] / name).left_out) for name in keys}
    return {name: keys for name, keys in told.items() if keys}


def test_a_bad_row_ends_the_run_and_is_named(pictures, failing, gaps, tmp_path):
    folder = tmp_path / "set"
    ended = call(*generate(pictures, folder, failing))
    first = next(iter(gaps[name] for name in sorted(gaps, key=lambda name: ("train", "validation", "test").index(name.split("/")[1]))))
    assert ended.code == 1
    assert first[0] in ended.err and "NaN or infinite" in ended.err and "--on-bad-depth skip" in ended.err
    assert not (folder / "manifest.json").exists() and temporary_files(folder) == []
    assert not set(data_files(folder)) & set(gaps)


def test_rows_are_left_out_of_everything(skipped, keys, gaps):
    folder, ended = skipped
    left_out = [key for name in sorted(gaps) for key in gaps[name]]
    assert 0 < len(left_out) < ROWS / 2 and len(gaps) > 1
    held = {name: [row["key"] for row in read_rows(folder, name)] for name in keys}
    assert held == {name: [key for key in planned if key not in left_out] for name, planned in keys.items()}
    metadata = [row["key"] for split in ("train", "validation", "test") for row in read_rows(folder, f"metadata/{split}/*.parquet")]
    assert sorted(metadata) == sorted(key for listed in held.values() for key in listed)
    manifest, stats = (json.loads((folder / name).read_text()) for name in ("manifest.json", "stats.json"))
    assert manifest["rows_left_out"] == {name: len(gaps[name]) for name in sorted(gaps)}
    assert all(manifest["files"][name]["rows"] == len(held[name]) for name in keys)
    assert stats["all"]["depth"]["count"] == (ROWS - len(left_out)) * 64 * 64
    words = f"\n{len(left_out)} planned rows are left out, as the network gave no depth that can be stored"
    assert words in (folder / "README.md").read_text()
    told = json.loads(ended.out)
    assert told["rows_left_out"] == left_out and told["rows"] == told["rows_made"] == ROWS - len(left_out)
    assert f"left out: {len(left_out)} rows without depth that can be stored: {left_out[0]}, " in ended.err
    assert f"{left_out[4]} and {len(left_out) - 5} more" in ended.err
    assert all(np.isfinite([row["depth_min_m"], row["depth_max_m"]]).all() for row in read_rows(folder))


def test_files_without_gaps_say_nothing_of_them(skipped, keys, gaps):
    for name in set(keys) - set(gaps):
        assert read_footer(skipped[0] / name).extra is None


def test_such_a_set_is_good(skipped, failing):
    report = verify(skipped[0], "--rebuild", "1000", "--depth-model", failing[-1], code=0)
    assert report["rows"] == report["rebuilt"] == report["depth_rebuilt"] < ROWS


def test_resumed_the_bytes_are_the_same(pictures, skipped, failing, gaps, tmp_path):
    folder = copy_of(skipped[0], tmp_path / "set")
    for name in [*sorted(gaps)[:2], *data_files(folder)[-2:], "manifest.json", "metadata/train/b000.parquet", "stats.json", "README.md"]:
        (folder / name).unlink(missing_ok=True)
    call_good(*generate(pictures, folder, failing, "--on-bad-depth", "skip"))
    assert tree(folder) == tree(skipped[0])


def test_a_finished_set_tells_its_gaps_again(pictures, skipped, failing):
    before = tree(skipped[0])
    ended = call_good(*generate(pictures, skipped[0], failing))  # whatever --on-bad-depth is now: nothing has to be made
    assert "nothing had to be made" in ended.out and "left out: " in ended.err
    assert tree(skipped[0]) == before


def test_a_shard_of_bad_rows_only_is_an_error(pictures, plain, tmp_path):
    recipe = recipe_of(plain, tmp_path / "model", 1)
    ended = call(*generate(pictures, tmp_path / "set", recipe, "--on-bad-depth", "skip"))
    assert ended.code == 1 and "no row is left" in ended.err and "Finished shards are kept" in ended.err
    assert data_files(tmp_path / "set") == [] and temporary_files(tmp_path / "set") == []


# --- verify ---


@pytest.fixture
def gap(gaps):
    """A data file that lacks rows, and their keys."""
    return max(gaps.items(), key=lambda item: len(item[1]))


def test_a_row_that_is_missing_without_a_word_is_found(skipped, gap, tmp_path):
    folder = copy_of(skipped[0], tmp_path / "set")
    name, left_out = gap
    rewrite(folder, name, lambda values: None, extra={"bad_depth": left_out[1:]} if left_out[1:] else None)
    refit(folder)
    report = verify(folder)
    found(report, name, words="rows, but its footer says")
    assert "metadata/" + name.split("/")[1] + "/b000.parquet" in files_of(report)
    found(report, "manifest.json", words="rows_left_out")


def test_a_list_that_does_not_fit_the_plan_is_found(skipped, keys, gap, tmp_path):
    folder = copy_of(skipped[0], tmp_path / "set")
    name, left_out = gap
    strange = next(key for other in keys if other != name for key in keys[other])
    wrong = {
        "that the plan doesn't have in this file, such as": [strange, *left_out[1:]],
        "names rows that are left out twice": [left_out[0], left_out[0], *left_out[2:]],
        "in another order than the plan's": left_out[::-1],
    }
    for words, listed in wrong.items():
        findings = Findings()
        rewrite(folder, name, lambda values: None, extra={"bad_depth": listed})
        basis = read_basis(folder, {}, findings)
        assert [(f.file, words in f.problem) for f in findings.listed()] == [(name, True)]
        assert name not in basis.lacking and basis.lacking
    held = next(key for key in keys[name] if key not in left_out)
    rewrite(folder, name, lambda values: None, extra={"bad_depth": sorted([held, *left_out[1:]], key=keys[name].index)})
    refit(folder)
    report = verify(folder)
    found(report, name, row=keys[name].index(held), column="key", words="the plan has")


def test_damage_in_a_file_with_gaps_is_pinned_down(skipped, keys, gap, failing, tmp_path):
    folder = copy_of(skipped[0], tmp_path / "set")
    name, left_out = gap
    row = next(n for n, key in enumerate(keys[name]) if key in left_out)  # the first row behind a gap
    at, length = value_of(folder / name, "depth", row)
    flip_bit(folder / name, at + length - 20)
    report = verify(folder, "--depth-model", failing[-1])
    assert any((f["file"], f["row"], f["column"]) == (name, row, "depth") for f in report["findings"]), report["findings"]
    assert {f["row"] for f in report["findings"]} <= {None, row}


# --- annotate ---


def annotate(source, folder, model, *flags):
    return call("annotate", source, "--out", folder, "--depth-model", model, "--workers", 1, "--quiet", *flags)


def test_annotate_leaves_out_the_rows_that_generate_does(plain, skipped, failing, gaps, tmp_path):
    failed = annotate(plain, tmp_path / "set", failing[-1], "--trust")
    assert failed.code == 1 and "--on-bad-depth skip" in failed.err
    ended = annotate(plain, tmp_path / "set", failing[-1], "--trust", "--on-bad-depth", "skip")
    assert ended.code == 0, ended.err
    assert tree(tmp_path / "set") == tree(skipped[0])


def test_rows_that_the_source_lacks_are_made_anew(pictures, plain, skipped, gaps, tmp_path):
    ended = annotate(skipped[0], tmp_path / "set", "none")
    assert ended.code == 0, ended.err
    assert tree(tmp_path / "set") == tree(plain)
    (tmp_path / "set" / sorted(gaps)[0]).unlink()  # and the others, whose source lacks rows, are compared with it
    ended = annotate(skipped[0], tmp_path / "set", "none", "--trust")
    assert ended.code == 0 and tree(tmp_path / "set") == tree(plain), ended.err


def test_a_resumed_annotation_knows_a_source_with_other_pictures(plain, skipped, gap, tmp_path):
    folder, source = copy_of(plain, tmp_path / "set"), copy_of(skipped[0], tmp_path / "source")
    name = gap[0]
    other = pq.read_table(Path(folder) / name).column("image").to_pylist()[-1]["bytes"]
    rewrite(folder, name, lambda values: values["image"].__setitem__(0, other))
    ended = annotate(source, folder, "none", "--trust")
    assert ended.code == 1 and f"{name} wasn't made from" in ended.err


# --- the Hub ---


def test_a_set_with_gaps_can_be_published_and_compared(plain, skipped, gaps, tmp_path):
    left_out = sorted(key for keys in gaps.values() for key in keys)
    with HubServer(tmp_path / "hub") as hub, RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
        done = client.run(publish_set, skipped[0], "alice/gaps")
        assert done["version"] == "v1.0.0"
        assert_same_as_folder(hub.repo("alice/gaps"), skipped[0])
    report = json.loads(call("diff", skipped[0], plain, "--json").out)
    assert (report["added"], report["removed"]) == (left_out, [])
