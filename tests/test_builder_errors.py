"""What the loading script says of a wrong folder, a wrong manifest, and files that are missing or damaged."""

import json

import pytest
from builder_runs import FgbgDepth
from describe_rows import describe
from small_sets import small_set


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


# --- arguments and manifests ---


@pytest.mark.parametrize("data_dir", [None, ""])
def test_a_missing_data_dir_is_said(data_dir):
    with pytest.raises(ValueError, match="data_dir is missing: pass the folder or URL of a set"):
        FgbgDepth(data_dir=data_dir)


def test_data_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="data_files isn't taken"):
        FgbgDepth(data_dir=str(tmp_path), data_files="x.parquet")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FgbgDepth(data_dir=str(tmp_path / "nothing"))


def test_an_unfinished_set_is_refused(plain_copy):
    (plain_copy / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest.json is missing: .* unfinished one; `fgbg-depth generate` finishes it"):
        FgbgDepth(data_dir=str(plain_copy))


def test_an_unknown_config_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"BuilderConfig 'masks' not found. Available: .*'default', 'metadata'"):
        FgbgDepth(config_name="masks", data_dir=str(small_set("plain")), cache_dir=str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": []}', '{"format": 2, "files": {}}', "\x00"],
)
def test_a_file_that_is_no_manifest_is_refused(text, plain_copy):
    (plain_copy / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest.json is no manifest of a fgbg_depth set"):
        FgbgDepth(data_dir=str(plain_copy))


@pytest.mark.parametrize(
    "name",
    [
        "../other/b000.parquet",
        "/data/train/b000.parquet",
        "data/../../b000.parquet",
        "data/train/../b000.parquet",
        "data//b000.parquet",
        "data\\train\\b000.parquet",
        "http://elsewhere.example/data/train/b000.parquet",
        "data/train/b000.parquet::http://elsewhere.example/b000.parquet",
        "data/train/.hidden.parquet",
        "other/b000.parquet",
    ],
)
def test_a_manifest_leads_nowhere_out_of_the_set(name, plain_copy):
    facts = {"config": "default", "rows": 1, "bytes": 1, "sha256": ""}
    edit_manifest(plain_copy, lambda manifest: manifest["files"].update({name: facts}))
    with pytest.raises(ValueError, match="no place for a file of a set"):
        FgbgDepth(data_dir=str(plain_copy))


def test_a_manifest_without_files_of_a_config_is_refused(plain_copy):
    edit_manifest(plain_copy, lambda manifest: manifest["files"].pop("backgrounds/b000.parquet"))
    edit_manifest(plain_copy, lambda manifest: manifest["files"].pop("backgrounds/b001.parquet"))
    with pytest.raises(ValueError, match="lists no file of backgrounds"):
        FgbgDepth(data_dir=str(plain_copy))


# --- data files ---


@pytest.mark.parametrize("use", ["prepare", "stream"])
def test_a_listed_file_that_is_missing_is_named_before_a_row_is_read(use, plain_copy, tmp_path):
    builder = FgbgDepth(data_dir=str(plain_copy), cache_dir=str(tmp_path / "cache"))
    (plain_copy / "data" / "test" / "b000-00001.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"b000-00001.parquet is missing, but manifest.json lists it; .*verify"):
        builder.download_and_prepare() if use == "prepare" else builder.as_streaming_dataset()


def test_a_file_cut_short_is_named(plain_copy, tmp_path):
    path = plain_copy / "data" / "test" / "b000-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"b000-00001.parquet has \d+ bytes, but manifest.json lists it with \d+"):
        FgbgDepth(data_dir=str(plain_copy), cache_dir=str(tmp_path)).download_and_prepare()


def test_a_damaged_file_is_named(plain_copy, tmp_path):
    path = plain_copy / "data" / "test" / "b000-00001.parquet"
    path.write_bytes(bytes(path.stat().st_size))
    stream = FgbgDepth(data_dir=str(plain_copy), cache_dir=str(tmp_path)).as_streaming_dataset(split="test")
    with pytest.raises(ValueError, match=r"b000-00001.parquet can't be read as Parquet"):
        describe(stream)


def test_a_file_with_other_rows_than_listed_is_named(plain_copy, tmp_path):
    edit_manifest(plain_copy, lambda manifest: manifest["files"]["data/test/b000-00001.parquet"].update(rows=7))
    stream = FgbgDepth(data_dir=str(plain_copy), cache_dir=str(tmp_path)).as_streaming_dataset(split="test")
    with pytest.raises(ValueError, match=r"b000-00001.parquet has 8 rows, but manifest.json lists it with 7"):
        describe(stream)
