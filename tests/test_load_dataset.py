"""A finished folder is a data set: `load_dataset("DIR")` reads it by config and split, whole or as a stream."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Features, Image, load_dataset, load_dataset_builder
from describe_rows import describe
from old_datasets import ask_old_datasets, assert_same_answer
from small_sets import EVERY_TABLE, IMAGE_SIZE_PX, NAMES, has_depth, planned_keys, small_set

from fgbg_depth import schema
from fgbg_depth.codec import depth_to_metres

SIZE = [IMAGE_SIZE_PX, IMAGE_SIZE_PX]
DEPTH_MODES = {"relative8": "L", "metric16": "I;16", "unscaled": "L"}
HOW = pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """load_dataset of a small set, with a cache of its own."""
    cache = str(tmp_path_factory.mktemp("cache"))

    def load(name, config=None, **options):
        if not options.get("streaming"):
            options["cache_dir"] = cache
        return load_dataset(str(small_set(name)), config, **options)

    return load


def files_of(name, config):
    """{split: the set's files of a config, in order}."""
    top = small_set(name) / {"default": "data"}.get(config, config)
    if config in ("backgrounds", "foregrounds"):
        return {"train": sorted(top.glob("*.parquet"))}
    return {split: sorted((top / split).glob("*.parquet")) for split in planned_keys(name)}


def stored(paths, columns):
    return [row for path in paths for row in pq.ParquetFile(path).read(columns=columns).to_pylist()]


@HOW
@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_every_table_has_the_features_of_the_schema(name, config, streaming, load):
    expected = Features.from_dict(schema.features(schema.config_columns(config, has_depth(name))))
    loaded = load(name, config, streaming=streaming)
    assert list(loaded) == list(files_of(name, config))
    for data in loaded.values():
        assert data.features == expected
        assert list(data.features) == list(expected)


@HOW
@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_every_row_comes_as_it_is_stored_in_the_order_of_the_files(name, config, streaming, load):
    columns = schema.config_columns(config, has_depth(name))
    for split, data in load(name, config, streaming=streaming).items():
        expected = stored(files_of(name, config)[split], list(columns))
        for column in schema.picture_columns(columns):
            data = data.decode(False) if streaming else data.cast_column(column, Image(decode=False))
        assert list(data) == expected


@HOW
@pytest.mark.parametrize("config", [None, "default", "metadata"])
@pytest.mark.parametrize("name", NAMES)
def test_the_rows_are_those_of_the_plan_in_its_order(name, config, streaming, load):
    loaded = load(name, config, streaming=streaming)
    assert {split: [row["key"] for row in data] for split, data in loaded.items()} == planned_keys(name)


@HOW
@pytest.mark.parametrize("name", NAMES)
def test_pictures_have_their_mode_and_size(name, streaming, load):
    expected = {"image": [["RGB", SIZE]], "mask": [["L", SIZE]]}
    if name in DEPTH_MODES:
        expected["depth"] = [[DEPTH_MODES[name], SIZE]]
    for data in load(name, streaming=streaming).values():
        assert describe(data)["pictures"] == expected


def test_masks_are_binary_and_the_box_is_tight_around_them(load):
    for data in load("plain").values():
        for row in data:
            mask = np.asarray(row["mask"])
            assert set(np.unique(mask)) == {0, 255}
            ys, xs = np.nonzero(mask)
            assert row["bbox"] == [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
            assert row["mask_area"] == pytest.approx((mask == 255).mean(), abs=1e-7)


def test_metres_come_back_from_both_encodings(load):
    eight, sixteen = load("relative8", split="train"), load("metric16", split="train")
    for coarse, fine in zip(eight, sixteen, strict=True):
        assert coarse["key"] == fine["key"]
        low, high = coarse["depth_min_m"], coarse["depth_max_m"]
        assert 0.1 <= low < high <= 10
        assert (fine["depth_min_m"], fine["depth_max_m"]) == pytest.approx((0, 65.535))
        metres = np.asarray(fine["depth"]) / 1000
        found = depth_to_metres(np.asarray(coarse["depth"]), low, high)
        assert np.abs(found - metres).max() <= (high - low) / 255 / 2 + 0.0006


def test_a_model_without_metres_has_null_ranges(load):
    for data in load("unscaled").values():
        assert set(data["depth_min_m"]) == set(data["depth_max_m"]) == {None}
        assert all(np.asarray(row["depth"]).max() == 255 for row in data)


def test_sixteen_bits_reach_torch_as_uint16(load):
    import torch

    row = load("metric16", split="test").with_format("torch")[0]
    assert row["depth"].dtype == torch.uint16
    assert row["image"].shape == (3, *SIZE)
    assert row["bbox"].tolist() == load("metric16", split="test")[0]["bbox"]


@HOW
@pytest.mark.parametrize("config", ["backgrounds", "foregrounds"])
def test_source_pictures_come_with_their_facts(config, streaming, load):
    rows = list(load("plain", config, streaming=streaming)["train"])
    assert [row["batch"] for row in rows] == ([0, 0, 0, 1] if config == "backgrounds" else [0, 0])
    used = {row[config.removesuffix("s")] for data in load("plain").values() for row in data}
    assert {row["id"] for row in rows} == used
    for row in rows:
        assert row["image"].size == (row["width"], row["height"])
        assert row["image"].mode == ("RGB" if config == "backgrounds" else "RGBA")
        assert row["licence"]
        assert len(row["sha256"]) == 64
        if config == "foregrounds":
            assert row["mask"].mode == "L"
            assert row["mask"].size == row["image"].size


@HOW
@pytest.mark.parametrize("config", [None, "metadata"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_alone(split, config, streaming, load):
    data = load("plain", config, split=split, streaming=streaming)
    assert [row["key"] for row in data] == planned_keys("plain")[split]


def test_parts_of_splits(load):
    keys = planned_keys("plain")
    assert load("plain", split="train[3:7]")["key"] == keys["train"][3:7]
    assert load("plain", split="validation+test")["key"] == keys["validation"] + keys["test"]


def test_a_set_of_one_split_has_no_others(load):
    assert list(load("one_split")) == list(load("one_split", "metadata")) == ["train"]
    with pytest.raises(ValueError, match=r'Unknown split "test"'):
        load("one_split", split="test")


@HOW
def test_some_columns(streaming, load):
    loaded = load("metric16", columns=["key", "depth"], streaming=streaming)
    for split, data in loaded.items():
        assert list(data.features) == ["key", "depth"]
        rows = list(data)
        assert [row["key"] for row in rows] == planned_keys("metric16")[split]
        assert all(set(row) == {"key", "depth"} and row["depth"].mode == "I;16" for row in rows)


@HOW
@pytest.mark.parametrize("config", ["default", "metadata"])
def test_rows_are_filtered_while_they_are_read(config, streaming, load):
    whole = [row for row in load("plain", "metadata", split="train") if row["flipped"] and row["mask_area"] > 0.02]
    assert 0 < len(whole) < 32
    filters = [("flipped", "==", True), ("mask_area", ">", 0.02)]
    if not streaming:
        # The card's counts are of the whole table, and a filtered one has fewer rows.
        data = load("plain", config, split="train", filters=filters, verification_mode="no_checks")
    else:
        data = load("plain", config, split="train", filters=filters, streaming=True)
    assert [row["key"] for row in data] == [row["key"] for row in whole]


@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_splits_and_features_are_known_before_a_file_is_read(name, config):
    info = load_dataset_builder(str(small_set(name)), config).info
    assert info.features == Features.from_dict(schema.features(schema.config_columns(config, has_depth(name))))
    rows = {split: sum(pq.read_metadata(path).num_rows for path in paths) for split, paths in files_of(name, config).items()}
    assert {split: facts.num_examples for split, facts in info.splits.items()} == rows


def test_the_manifest_counts_what_is_loaded(load):
    manifest = json.loads((small_set("plain") / "manifest.json").read_text())
    for config in schema.CONFIGS:
        listed = sum(facts["rows"] for facts in manifest["files"].values() if facts.get("config") == config)
        assert sum(load("plain", config).num_rows.values()) == listed


# datasets 3.6

OLD_JOBS = {(name, config, streaming): {"streaming": streaming} for name, config in EVERY_TABLE for streaming in (False, True)}
OLD_SPLITS = [
    (config, split, streaming) for config in ("default", "metadata") for split in ("train", "test") for streaming in (False, True)
]


@pytest.fixture(scope="module")
def old_answers(tmp_path_factory):
    """What `datasets` 3.6 gives for every table without the script; all in one process, since its start costs most."""
    jobs = {key: {"path": str(small_set(key[0])), "name": key[1], **more} for key, more in OLD_JOBS.items()}
    for config, split, streaming in OLD_SPLITS:
        jobs[config, split, streaming] = {"path": str(small_set("plain")), "name": config, "split": split, "streaming": streaming}
    jobs["no config"] = {"path": str(small_set("relative8"))}
    answers = ask_old_datasets(list(jobs.values()), tmp_path_factory.mktemp("old"))
    return dict(zip(jobs, answers, strict=True))


@pytest.mark.parametrize(("name", "config", "streaming"), OLD_JOBS)
def test_version_3_6_loads_the_same(name, config, streaming, old_answers, load):
    expected = {split: describe(data) for split, data in load(name, config).items()}
    features = schema.features(schema.config_columns(config, has_depth(name)))
    assert_same_answer(old_answers[name, config, streaming], expected, features)


@pytest.mark.parametrize(("config", "split", "streaming"), OLD_SPLITS)
def test_version_3_6_loads_a_split_alone(config, split, streaming, old_answers):
    assert old_answers[config, split, streaming] == {split: old_answers["plain", config, False][split]}


def test_version_3_6_takes_the_config_default(old_answers):
    assert old_answers["no config"] == old_answers["relative8", "default", False]
