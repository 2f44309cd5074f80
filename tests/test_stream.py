"""`fgbg_depth.stream` over a folder: the rows, their order, and folders that are damaged."""

import itertools

import numpy as np
import pytest
import torch
from datasets import Features, Image, load_dataset
from small_sets import NAMES, has_depth, planned_keys, small_set
from streams import GROUP_ROWS, TRAIN_ROWS, digest, keys, noise_set, open_keys, stored_rows

from fgbg_depth import schema, stream
from fgbg_depth.errors import DataError, UsageError

EVERY_TABLE = [(name, config) for name in NAMES for config in schema.CONFIGS]


# What comes.


@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_every_table_comes_as_plain_load_dataset_gives_it(name, config):
    folder, columns = str(small_set(name)), schema.config_columns(config, has_depth(name))
    for split, plain in load_dataset(folder, config, streaming=True).items():
        ours = stream(folder, split, config=config)
        assert ours.features == plain.features == Features.from_dict(schema.features(columns))
        assert list(ours.features) == list(plain.features)
        assert [digest(row) for row in ours] == [digest(row) for row in plain]
        assert {s: i.num_examples for s, i in ours.info.splits.items()} == {s: i.num_examples for s, i in plain.info.splits.items()}
        assert (ours.split, ours.info.dataset_name, ours.info.config_name) == (split, name, config)


def test_the_order_is_that_of_the_plan():
    for split, expected in planned_keys("plain").items():
        assert keys(stream(small_set("plain"), split)) == keys(stream(small_set("plain"), split, config="metadata")) == expected


def test_some_columns():
    data = stream(noise_set(), columns=["mask", "key"])
    assert list(data.features) == ["key", "mask"]
    expected = stored_rows(noise_set(), columns=["key", "mask"])
    assert [digest(row) for row in data] == [digest(row) for row in expected]


def test_pictures_that_are_not_decoded():
    data = stream(noise_set(), columns=["image"]).cast_column("image", Image(decode=False))
    assert list(data) == stored_rows(noise_set(), columns=["image"])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_formats_are_those_of_plain_datasets(kind):
    folder = str(small_set("metric16"))
    plain = load_dataset(folder, split="train", streaming=True).with_format(kind)
    count = 0
    for ours, theirs in zip(stream(folder).with_format(kind), plain, strict=True):
        count += 1
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value)
            if kind == "torch" or name in ("image", "mask", "depth"):  # numpy's own formatter widens single numbers of rows
                assert getattr(ours[name], "dtype", type(ours[name])) == getattr(value, "dtype", type(value))
    assert count == len(planned_keys("metric16")["train"])
    if kind == "torch":
        assert ours["depth"].dtype == torch.uint16


def test_map_filter_take_skip_and_batch(all_keys):
    data = stream(noise_set(), columns=["key", "placement"])
    assert keys(data.filter(lambda row: row["placement"] == 1)) == all_keys[1::3]
    assert keys(data.map(lambda row: {"key": row["key"].upper()}).take(3)) == [key.upper() for key in all_keys[:3]]
    assert keys(data.skip(170)) == all_keys[170:]
    assert [batch["key"] for batch in data.batch(100)] == [all_keys[:100], all_keys[100:]]
    assert [batch["key"] for batch in data.iter(100)] == [all_keys[:100], all_keys[100:]]
    assert [table.num_rows for table in data.with_format("arrow").iter(100)] == [100, 74]
    shuffled = keys(data.shuffle(seed=1, buffer_size=30))
    assert shuffled != all_keys and sorted(shuffled) == all_keys


def test_a_repo_is_a_folder_or_an_id(tmp_path, monkeypatch):
    (tmp_path / "empty" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "here")  # beside the checkout there may be a folder x
    for wrong in ("nonsense", tmp_path / "nothing" / "here", "a/b/c", "./x", "../x"):
        with pytest.raises(UsageError, match="neither a folder nor a repo id"):
            stream(wrong)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"split": "tset"}, "no split 'tset'; it has train, validation"),
        ({"config": "depth"}, "expected one of default, metadata"),
        ({"config": "backgrounds"}, "no split 'train'; it has none"),
        ({"columns": ["key", "depth"]}, "no column 'depth'; it has key, background"),
        ({"columns": []}, "columns is empty"),
        ({"columns": "key"}, r"expected a list such as \['key'\]"),
        ({"revision": "v1.0.0"}, "is a folder; a revision"),
        ({"shuffle_seed": -1}, "shuffle_seed is -1"),
        ({"shuffle_seed": 0.5}, "shuffle_seed is 0.5"),
    ],
)
def test_wrong_use_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        stream(noise_set(), **words)


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        stream(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="can't be read"):
        stream(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99, "files": {}}')
    with pytest.raises(DataError, match="expected a manifest of format 1"):
        stream(tmp_path)


# Order.


def test_a_seed_gives_each_epoch_an_order_of_its_own(all_keys):
    orders = {(seed, epoch): keys(open_keys(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len({tuple(order) for order in orders.values()}) == len(orders)
    for (seed, epoch), order in orders.items():
        assert sorted(order) == all_keys
        assert order == keys(open_keys(seed, epoch))
    assert keys(open_keys()) == all_keys


def test_row_groups_are_shuffled_and_their_rows_stay_together(all_keys):
    place = {key: number for number, key in enumerate(all_keys)}
    order = [place[key] for key in keys(open_keys(7))]
    joints = sum(b != a + 1 for a, b in itertools.pairwise(order))
    num_groups = sum(-(-rows // GROUP_ROWS) for rows in TRAIN_ROWS)
    assert num_groups / 2 < joints < num_groups


# Damage.


def test_a_file_of_another_size_is_refused(noise_copy):
    path = noise_copy / "data" / "train" / "b000-00002.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    rows = iter(stream(noise_copy, columns=["key"]))
    assert len([next(rows) for _ in range(80)]) == 80
    with pytest.raises(DataError, match=r"b000-00002\.parquet has .* bytes, manifest\.json says .*fgbg-depth verify"):
        next(rows)


def test_a_missing_file_is_named(noise_copy):
    (noise_copy / "data" / "train" / "b000-00003.parquet").unlink()
    with pytest.raises(DataError, match=r"b000-00003\.parquet can't be read"):
        keys(stream(noise_copy, columns=["key"]))


def test_bytes_that_are_no_rows_are_refused(noise_copy):
    path = noise_copy / "data" / "train" / "b000-00001.parquet"
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"b000-00001\.parquet of .*can't be decoded"):
        keys(stream(noise_copy, columns=["key"]))


@pytest.mark.parametrize("where", ["end", "length", "footer"])
def test_a_broken_footer_is_refused(where, noise_copy):
    path = noise_copy / "data" / "train" / "b000-00001.parquet"
    data = bytearray(path.read_bytes())
    if where == "end":
        data[-4:] = b"ABCD"
    elif where == "length":
        data[-8:-4] = b"\xff\xff\xff\x7f"
    else:
        data[-200:-8] = b"\xff" * 192
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"b000-00001\.parquet of .*(no Parquet file|footer can't be read)"):
        keys(stream(noise_copy, columns=["key"]))


def test_a_count_that_differs_from_the_manifest_is_refused(noise_copy):
    text = (noise_copy / "manifest.json").read_text()
    assert text.count('"rows": 34') == 1
    (noise_copy / "manifest.json").write_text(text.replace('"rows": 34', '"rows": 33'))
    with pytest.raises(DataError, match=r"b000-00003\.parquet of .* has 34 rows, manifest\.json says 33"):
        keys(stream(noise_copy, columns=["key"]))
