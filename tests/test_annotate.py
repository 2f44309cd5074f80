"""`fgbg-depth annotate`: the same pictures with another depth column, as if `generate` had made the set with that model."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_sets
from annotate_sets import MINI, again, command, generate, made, model, more_pictures, pictures, times
from datasets import load_dataset
from real_runs import call_good, data_files, identities, read_rows, run_good, tree
from small_sets import small_set
from verify_sets import copy_of, refit, rewrite

from fgbg_depth import schema
from fgbg_depth.manifest import PICTURE_LIBRARIES
from fgbg_depth.shards import read_footer
from fgbg_depth.verify import verify_set


@pytest.mark.parametrize(
    ("before", "after"), [("none", "tiny"), ("tiny", "mini"), ("mini", "tiny"), ("mini", "none"), ("none", "none"), ("tiny", "tiny")]
)
def test_the_set_is_that_of_generate_with_the_other_model(before, after, tmp_path):
    source, expected = made(before), made(after)
    untouched = tree(source), times(source)
    call_good(*command(source, tmp_path / "new", model(after)))
    assert tree(tmp_path / "new") == tree(expected)
    assert (tree(source), times(source)) == untouched
    assert len(list(expected.glob("backgrounds/*.parquet"))) == 2 and len(list(expected.glob("foregrounds/*.parquet"))) == 1


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("relative8", "metric16", ("--depth-encoding", "metric16")),
        ("metric16", "relative8", ("--depth-encoding", "relative8")),
        ("metric16", "metric16", ()),  # the encoding is the source's, where nothing else is said
        ("unscaled", "relative8", ()),
        ("relative8", "unscaled", ()),
    ],
)
def test_encodings_and_models_without_metres(before, after, words, tmp_path):
    model = small_sets.recipe(after).depth_model
    call_good(*command(small_set(before), tmp_path / "new", model, *words))
    assert tree(tmp_path / "new") == tree(small_set(after))
    ranges = {(row["depth_min_m"], row["depth_max_m"]) for row in read_rows(tmp_path / "new")}
    assert (ranges == {(None, None)}) == (after == "unscaled")
    assert after != "metric16" or ranges == {(0.0, np.float32(65.535))}


def test_input_size_batch_and_the_rest_are_those_of_the_flags(tmp_path):
    """As if they had been given to generate; what belongs to the old model doesn't stay."""
    fields = {"depth_batch": 3, "depth_input_size": (96, 64), "depth_encoding": "relative8_jpeg"}
    small_sets.generate(tmp_path / "expected", small_sets.recipe("relative8").replace(**fields), small_sets._options(small_sets.FIRST))
    words = ("--depth-batch", 3, "--depth-input-size", 96, 64, "--depth-encoding", "relative8_jpeg")
    call_good(*command(small_set("unscaled"), tmp_path / "new", "densedepth-mini", *words))
    assert tree(tmp_path / "new") == tree(tmp_path / "expected")
    call_good(*command(tmp_path / "new", tmp_path / "back", "densedepth-mini", "--depth-batch", 2, "--depth-encoding", "relative8"))
    assert tree(tmp_path / "back") == tree(small_set("relative8"))


def test_several_workers_in_a_process_of_its_own(tmp_path):
    ended = run_good("annotate", made("none"), "--out", tmp_path / "new", "--depth-model", model("tiny"), "--workers", 2, "--json")
    assert tree(tmp_path / "new") == tree(made("tiny"))
    result = json.loads(ended.out)
    assert (result["rows"], result["rows_made"]) == (len(read_rows(made("none"))),) * 2
    assert result["data_files"] == len(data_files(made("none"))) and result["folder"] == str(tmp_path / "new")
    assert "make rows: 192 of 192 rows" in ended.err, ended.err


@pytest.mark.parametrize(("before", "after"), [("none", "tiny"), ("mini", "tiny"), ("tiny", "none")])
def test_columns_that_stay_are_the_same_bytes_in_the_files(before, after, tmp_path):
    source, folder = made(before), tmp_path / "new"
    call_good(*command(source, folder, model(after)))
    assert data_files(folder) == data_files(source)
    for name in data_files(folder):
        old, new = (chunks(top / name) for top in (source, folder))
        assert list(new) == [key for key in new if key in old or "depth" in key[1]]  # the order on disk, too
        kept = [key for key in old if "depth" not in key[1]]
        assert {key: new[key] for key in kept} == {key: old[key] for key in kept}
        depth = {column for _, column in new if "depth" in column}
        assert depth == ({"depth_min_m", "depth_max_m", "depth.bytes", "depth.path"} if after != "none" else set())


def chunks(path):
    """{(row group, column): its bytes in the file, page headers included}, in the order on disk."""
    data, found = path.read_bytes(), {}
    facts = pq.read_metadata(path)
    for group in range(facts.num_row_groups):
        for number in range(facts.num_columns):
            column = facts.row_group(group).column(number)
            start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            found[group, column.path_in_schema] = (start, data[start : start + column.total_compressed_size])
    return {key: chunk for key, (_, chunk) in sorted(found.items(), key=lambda item: item[1][0])}


def test_the_new_set_is_good_and_its_rows_can_be_made_anew(tmp_path):
    call_good(*command(made("none"), tmp_path / "new", model("tiny")))
    report = verify_set(tmp_path / "new", rebuild=40, num_workers=1, depth_model=model("tiny"))
    assert report.findings == () and (report.rebuilt, report.depth_rebuilt) == (40, 40)
    old, new = (json.loads((folder / "stats.json").read_text()) for folder in (made("none"), tmp_path / "new"))
    for split, columns in old.items():
        assert set(new[split]) == {*columns, "depth", "depth_m"}
        assert {column: new[split][column] for column in columns} == columns


def test_the_new_set_can_be_loaded(tmp_path):
    again(made("none"), tmp_path / "new", {"depth_model": model("tiny")})
    old, new = (load_dataset(str(folder), cache_dir=str(tmp_path / "cache")) for folder in (made("none"), tmp_path / "new"))
    assert {split: rows["key"] for split, rows in old.items()} == {split: rows["key"] for split, rows in new.items()}
    row = next(iter(load_dataset(str(tmp_path / "new"), split="train", streaming=True)))
    assert list(row) == list(schema.data_columns(True))
    assert row["image"] == old["train"][0]["image"] and row["mask"] == old["train"][0]["mask"]
    assert row["depth"].size == (64, 64) and row["depth_min_m"] < row["depth_max_m"]


def test_a_folder_that_was_annotated_can_be_appended_to(tmp_path):
    generate(tmp_path / "old", pictures(), "none")
    call_good(*command(tmp_path / "old", tmp_path / "new", model("tiny")))
    generate(tmp_path / "new", more_pictures(), model("tiny"), "--append")
    assert tree(tmp_path / "new") == tree(made("tiny"))


def test_a_source_that_has_grown_is_followed(tmp_path):
    generate(tmp_path / "old", pictures(), "none")
    call_good(*command(tmp_path / "old", tmp_path / "new", model("tiny")))
    before = identities(tmp_path / "new")
    generate(tmp_path / "old", more_pictures(), "none", "--append")
    call_good(*command(tmp_path / "old", tmp_path / "new", model("tiny")))
    assert tree(tmp_path / "new") == tree(made("tiny"))
    assert before.items() <= identities(tmp_path / "new").items()


def test_versions_of_the_libraries_that_made_the_pictures_stay(tmp_path):
    """Whether a picture made anew has to be equal to the last bit hangs on them."""
    source = copy_of(small_set("relative8"), tmp_path / "old")
    for path in source.rglob("*.parquet"):
        name = path.relative_to(source).as_posix()
        if not name.startswith("metadata/"):
            now = read_footer(path).versions
            rewrite(source, name, lambda values: None, versions={**now, "pillow": "1.1.7", "pyarrow": "0.1", "torch": "0.0.1"})
    refit(source)
    again(source, tmp_path / "new", MINI)
    for path in tmp_path.glob("new/data/*/*.parquet"):
        versions = read_footer(path).versions
        assert versions["pillow"] == "1.1.7" and "pillow" in PICTURE_LIBRARIES
        assert versions["torch"] == now["torch"] and versions["pyarrow"] == now["pyarrow"]
    assert verify_set(tmp_path / "new", rebuild=5, num_workers=1).good
