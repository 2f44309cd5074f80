"""The loading script: imported under the newest `datasets`, and by path under 3.6, it yields what plain loading yields."""

import ast
import json
import subprocess
import sys

import fsspec
import pyarrow.parquet as pq
import pytest
from builder_runs import SCRIPT, FgbgDepth, described, plain_set_on_a_hub, prepared
from conftest import ROOT
from datasets import DatasetDict, DownloadMode, load_dataset
from describe_rows import describe
from old_datasets import ask_old_datasets, assert_same_answer
from small_sets import EVERY_TABLE, append_to, has_depth, planned_keys, small_set

from fgbg_depth import schema

# --- rows and features ---


@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_imported_it_gives_what_plain_loading_gives(name, config, caches, plain_answers):
    builder = FgbgDepth(config_name=config, data_dir=str(small_set(name)), cache_dir=str(caches))
    expected = load_dataset(str(small_set(name)), config, cache_dir=str(caches))
    assert builder.info.features == expected["train"].features  # known before a row is read
    loaded = prepared(builder)
    assert isinstance(loaded, DatasetDict)
    assert list(loaded) == list(expected)
    assert {split: data.features for split, data in loaded.items()} == {split: data.features for split, data in expected.items()}
    assert described(loaded) == plain_answers(name, config)
    assert {s: info.num_examples for s, info in builder.info.splits.items()} == {s: data.num_rows for s, data in expected.items()}


@pytest.mark.parametrize(("name", "config"), EVERY_TABLE)
def test_imported_and_streamed_it_gives_what_plain_loading_gives(name, config, caches, plain_answers):
    streams = FgbgDepth(config_name=config, data_dir=str(small_set(name)), cache_dir=str(caches)).as_streaming_dataset()
    assert described(streams) == plain_answers(name, config)
    assert list(streams) == list(plain_answers(name, config))


def test_each_row_is_the_one_of_the_parquet_files(caches):
    folder = small_set("plain")
    loaded = prepared(FgbgDepth(config_name="metadata", data_dir=str(folder), cache_dir=str(caches)))
    for split, data in loaded.items():
        stored = [row for path in sorted((folder / "data" / split).glob("*.parquet")) for row in rows_without_pictures(path)]
        assert data.to_list() == stored


def rows_without_pictures(path):
    names = list(schema.metadata_columns(has_depth=False))
    return pq.ParquetFile(path).read(columns=names).to_pylist()


def test_two_processes_give_the_same_rows(tmp_path, plain_answers):
    builder = FgbgDepth(data_dir=str(small_set("plain")), cache_dir=str(tmp_path))
    loaded = prepared(builder, num_proc=2)
    assert builder.config.name == "default"
    assert described(loaded) == plain_answers("plain", "default")
    assert len(loaded["train"].info.splits["train"].shard_lengths) == 2


def test_a_stream_can_be_dealt_out_file_by_file(caches, plain_answers):
    stream = FgbgDepth(data_dir=str(small_set("plain")), cache_dir=str(caches)).as_streaming_dataset(split="train")
    files = sorted((small_set("plain") / "data" / "train").glob("*.parquet"))
    assert stream.num_shards == len(files) > 3
    parts = [describe(stream.shard(num_shards=2, index=index))["rows"] for index in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(plain_answers("plain", "default")["train"]["rows"])
    assert all(parts)


def test_a_stream_goes_on_where_it_stopped(caches):
    stream = FgbgDepth(data_dir=str(small_set("plain")), cache_dir=str(caches)).as_streaming_dataset(split="train")
    keys = [row["key"] for row in stream]
    reader = iter(stream)
    seen = [next(reader)["key"] for _ in range(len(keys) // 2)]
    state = stream.state_dict()
    del reader
    stream.load_state_dict(state)
    assert seen + [row["key"] for row in stream] == keys


LEAVING_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from builder.fgbg_depth import FgbgDepth
stream = iter(FgbgDepth(data_dir=sys.argv[2]).as_streaming_dataset(split="train"))
print(next(stream)["key"])
"""


def test_a_stream_can_be_left_half_way(tmp_path):
    command = [sys.executable, "-c", LEAVING_PROGRAM, str(ROOT), str(small_set("plain"))]
    variables = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=variables, check=False, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # threads of a reader would abort the interpreter here
    assert done.stdout.strip() == planned_keys("plain")["train"][0]


@pytest.mark.parametrize("streaming", [False, True])
def test_some_columns_come_in_the_order_of_the_file(streaming, caches, plain_answers):
    builder = FgbgDepth(data_dir=str(small_set("metric16")), columns=["depth", "key"], cache_dir=str(caches))
    data = (builder.as_streaming_dataset() if streaming else prepared(builder))["test"]
    expected = load_dataset(str(small_set("metric16")), columns=["depth", "key"], cache_dir=str(caches))["test"]
    assert list(data.features) == ["key", "depth"]
    assert data.features == expected.features
    assert describe(data) == describe(expected)


@pytest.mark.parametrize("columns", [["key", "colour"], []])
def test_columns_that_are_not_there_are_refused(columns, caches):
    with pytest.raises(ValueError, match=r"expected some of key, background, .*mask"):
        FgbgDepth(data_dir=str(small_set("plain")), columns=columns, cache_dir=str(caches))


def test_no_more_rows_than_a_batch_are_held_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("builder.fgbg_depth.BATCH_ROWS", 5)
    builder = FgbgDepth(config_name="metadata", data_dir=str(small_set("plain")), cache_dir=str(tmp_path))
    generators = {generator.name: generator.gen_kwargs for generator in builder._split_generators(None)}
    sizes = [table.num_rows for _, table in builder._generate_tables(**generators["train"])]
    assert max(sizes) == 5
    assert sum(sizes) == 32


# --- where a set may be, and what happens when it changes ---


def test_an_appended_set_does_not_meet_its_old_rows_in_the_cache(plain_copy, tmp_path):
    first = prepared(FgbgDepth(config_name="metadata", data_dir=str(plain_copy), cache_dir=str(tmp_path)))
    append_to(plain_copy)
    second = prepared(FgbgDepth(config_name="metadata", data_dir=str(plain_copy), cache_dir=str(tmp_path)))
    assert sum(second.num_rows.values()) == sum(first.num_rows.values()) + 16
    again = prepared(FgbgDepth(config_name="metadata", data_dir=str(plain_copy), cache_dir=str(tmp_path)))
    assert again["train"].cache_files == second["train"].cache_files


def test_a_relative_folder_means_the_one_below_the_working_folder(plain_copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = prepared(FgbgDepth(config_name="foregrounds", data_dir="plain/", cache_dir=str(tmp_path / "cache")))
    assert loaded["train"].num_rows == 2


@pytest.fixture
def in_memory(monkeypatch):
    """The set `plain` behind a URL."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)  # off line, `datasets` reaches no URL at all
    files = fsspec.filesystem("memory")
    files.put(str(small_set("plain")), "/set", recursive=True)
    yield "memory://set"
    files.rm("/set", recursive=True)


@pytest.mark.parametrize("config", ["default", "backgrounds"])
def test_a_set_behind_a_url_is_streamed_and_downloaded(config, in_memory, tmp_path, plain_answers):
    builder = FgbgDepth(config_name=config, data_dir=in_memory, cache_dir=str(tmp_path))
    assert described(builder.as_streaming_dataset()) == plain_answers("plain", config)
    assert described(prepared(builder)) == plain_answers("plain", config)


def test_a_file_that_is_missing_behind_a_url_is_named(in_memory, tmp_path):
    builder = FgbgDepth(data_dir=in_memory, cache_dir=str(tmp_path))
    fsspec.filesystem("memory").rm("/set/data/test/b000-00001.parquet")
    with pytest.raises(FileNotFoundError, match=r"manifest.json lists is missing: .*data/test/b000-00001.parquet"):
        builder.download_and_prepare()
    with pytest.raises(FileNotFoundError, match=r"data/test/b000-00001.parquet is missing, but manifest.json lists it"):
        describe(builder.as_streaming_dataset(split="test"))


HUB_PROGRAM = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from builder.fgbg_depth import FgbgDepth
from describe_rows import describe
from hub import HubServer
builder = FgbgDepth(data_dir=sys.argv[3])
streamed = {split: describe(data) for split, data in builder.as_streaming_dataset().items()}
builder.download_and_prepare()
json.dump([streamed, {split: describe(data) for split, data in builder.as_dataset().items()}], open(sys.argv[4], "w"))
"""


def test_a_set_on_the_hub_is_streamed_and_downloaded(tmp_path, plain_answers):
    answers = tmp_path / "answers.json"
    with plain_set_on_a_hub(tmp_path) as hub:
        variables = {"HOME": str(tmp_path), **hub.env(tmp_path / "hf", token=None)}
        url = "hf://datasets/alice/set@v1.0.0"
        command = [sys.executable, "-c", HUB_PROGRAM, str(ROOT), str(ROOT / "tests"), url, str(answers)]
        subprocess.run(command, env=variables, check=True, timeout=300, capture_output=True)
    expected = plain_answers("plain", "default")
    assert json.loads(answers.read_text()) == [expected, expected]


# --- by path under datasets 3.6 ---


def script_job(name, config, **more):
    return {"path": str(SCRIPT), "name": config, "data_dir": str(small_set(name)), "trust_remote_code": True, **more}


SCRIPT_JOBS = {(name, config, streaming): {"streaming": streaming} for name, config in EVERY_TABLE for streaming in (False, True)}


@pytest.fixture(scope="module")
def old_answers(tmp_path_factory):
    """Answers of `datasets` 3.6 to all jobs by the script's path: one process, since its start costs most."""
    jobs = {key: script_job(key[0], key[1], **more) for key, more in SCRIPT_JOBS.items()}
    jobs["num_proc"] = script_job("plain", "default", num_proc=2, download_mode=DownloadMode.FORCE_REDOWNLOAD.value)
    jobs["columns"] = script_job("metric16", "default", columns=["depth", "key"])
    jobs["split"] = script_job("plain", "metadata", split="test")
    jobs["no data_dir"] = {"path": str(SCRIPT), "trust_remote_code": True}
    jobs["no config"] = {"path": str(SCRIPT), "data_dir": str(small_set("plain")), "trust_remote_code": True}
    answers = ask_old_datasets(list(jobs.values()), tmp_path_factory.mktemp("old-by-path"))
    return dict(zip(jobs, answers, strict=True))


@pytest.mark.parametrize(("name", "config", "streaming"), SCRIPT_JOBS)
def test_by_path_under_3_6_it_gives_the_same(name, config, streaming, old_answers, plain_answers):
    features = schema.features(schema.config_columns(config, has_depth(name)))
    assert_same_answer(old_answers[name, config, streaming], plain_answers(name, config), features)


def test_by_path_under_3_6_two_processes_give_the_same(old_answers, plain_answers):
    found = {split: answer["rows"] for split, answer in old_answers["num_proc"].items()}
    assert found == {split: answer["rows"] for split, answer in plain_answers("plain", "default").items()}


def test_by_path_under_3_6_the_config_default_is_the_default(old_answers):
    assert old_answers["no config"] == old_answers["plain", "default", False]


def test_by_path_under_3_6_some_columns_and_one_split(old_answers, plain_answers):
    assert list(old_answers["columns"]["train"]["features"]) == ["key", "depth"]
    assert old_answers["columns"]["train"]["pictures"] == {"depth": plain_answers("metric16", "default")["train"]["pictures"]["depth"]}
    assert old_answers["split"] == {"test": old_answers["plain", "metadata", False]["test"]}


def test_by_path_under_3_6_a_missing_data_dir_is_said(old_answers):
    kind, text = old_answers["no data_dir"]["error"]
    assert kind == "ValueError"
    assert text == 'data_dir is missing: pass the folder or URL of a set, such as data_dir="DIR"'


def test_by_path_under_3_6_a_set_on_the_hub_or_behind_http_is_read(tmp_path, plain_answers):
    with plain_set_on_a_hub(tmp_path) as hub:
        urls = ["hf://datasets/alice/set@v1.0.0", f"{hub.endpoint}/datasets/alice/set/resolve/main"]
        jobs = [{**script_job("plain", "default"), "data_dir": url, "streaming": s} for url in urls for s in (False, True)]
        answers = ask_old_datasets(jobs, tmp_path, HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0")
    expected = {split: answer["rows"] for split, answer in plain_answers("plain", "default").items()}
    for answer in answers:
        assert {split: found["rows"] for split, found in answer.items()} == expected


# --- the file itself ---


def test_it_stands_alone():
    allowed = {"datasets", "pyarrow", *sys.stdlib_module_names}
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert len(node.names) == 1  # `datasets` 3.6 reads the imports line by line
            assert node.names[0].name.split(".")[0] in allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module.split(".")[0] in allowed


def test_it_knows_the_configs_of_the_schema():
    assert tuple(FgbgDepth.builder_configs) == schema.CONFIGS
