"""A published set is loaded by plain `datasets`, no line of ours: by config, split and version, whole or as a stream, old and new.

The set is published twice, so `main` is at v1.1.0; each job is done by the newest `datasets` and by 3.6, and must give just what
the folders give that were published.
"""

import pytest
from datasets import Features, load_dataset
from describe_rows import describe, do_job
from old_datasets import ask_old_datasets
from publishing import SETTINGS, copy_of, publish_set
from small_sets import append_to, has_depth, small_set
from streams import open_plain_stream

from fgbg_depth import schema

LOAD_SETTINGS = {"datasets.config": {"USE_PARQUET_EXPORT": False}}  # else it asks another server, which isn't there
CLIENT_OPTIONS = {"settings": {**SETTINGS, **LOAD_SETTINGS}}
REPO, DEPTH_REPO = "alice/plain", "alice/with-depth"
WAYS = [False, True]
NEWEST, OLD = "newest datasets", "datasets 3.6"

# name -> (keyword arguments of load_dataset, folder that it comes from, split or None)
JOBS = {}
for _streaming in WAYS:
    _how = "streaming" if _streaming else "whole"
    for _config in schema.CONFIGS:
        JOBS[f"{_config}, {_how}"] = {"path": REPO, "name": _config, "streaming": _streaming}
        JOBS[f"{_config} of v1.0.0, {_how}"] = {"path": REPO, "name": _config, "revision": "v1.0.0", "streaming": _streaming}
        JOBS[f"{_config} with depth, {_how}"] = {"path": DEPTH_REPO, "name": _config, "streaming": _streaming}
    for _config in ("default", "metadata"):
        for _split in ("train", "validation", "test"):
            JOBS[f"{_split} of {_config}, {_how}"] = {"path": REPO, "name": _config, "split": _split, "streaming": _streaming}
    JOBS[f"no config, {_how}"] = {"path": REPO, "streaming": _streaming}
    JOBS[f"a split of v1.0.0, {_how}"] = {"path": REPO, "split": "test", "revision": "v1.0.0", "streaming": _streaming}
    JOBS[f"v1.1.0 by its tag, {_how}"] = {"path": REPO, "revision": "v1.1.0", "streaming": _streaming}
    JOBS[f"columns, {_how}"] = {"path": REPO, "columns": ["key", "mask"], "streaming": _streaming}
    JOBS[f"columns of v1.0.0, {_how}"] = {"path": REPO, "columns": ["key", "bbox"], "revision": "v1.0.0", "streaming": _streaming}
    JOBS[f"filters, {_how}"] = {
        "path": REPO,
        "name": "metadata",
        "split": "train",
        "filters": [["flipped", "==", True], ["mask_area", ">", 0.02]],
        "streaming": _streaming,
        # The card's counts are of the whole table; whoever keeps some of the rows has to say so, unless it is a stream.
        **({} if _streaming else {"verification_mode": "no_checks"}),
    }
JOBS["a part of a split"] = {"path": REPO, "split": "train[3:7]"}


@pytest.fixture(autouse=True)
def sound(hub_stays_sound):
    """After each test."""


@pytest.fixture(scope="module")
def folders(hub, client, tmp_path_factory):
    """{repo, revision: folder that was published}; main is at the last one."""
    home = tmp_path_factory.mktemp("published")
    first, depth = copy_of(small_set("plain"), home / "first"), copy_of(small_set("relative8"), home / "depth")
    second = copy_of(small_set("plain"), home / "second")
    append_to(second)
    assert client.run(publish_set, first, REPO)["version"] == "v1.0.0"
    assert client.run(publish_set, second, REPO)["version"] == "v1.1.0"
    assert client.run(publish_set, depth, DEPTH_REPO)["version"] == "v1.0.0"
    return {(REPO, "v1.0.0"): first, (REPO, None): second, (REPO, "v1.1.0"): second, (DEPTH_REPO, None): depth}


@pytest.fixture(scope="module")
def answers(hub, client, folders, tmp_path_factory):
    """{(which datasets, job): what it gave}; the old one does all jobs in one process, since its start costs most."""
    home = tmp_path_factory.mktemp("old")
    old = ask_old_datasets(list(JOBS.values()), home, **hub.env(home / "hf"))
    newest = [client.run(do_job, job) for job in JOBS.values()]
    return {(which, name): answer for which, found in ((NEWEST, newest), (OLD, old)) for name, answer in zip(JOBS, found, strict=True)}


def expected_of(job, folders, tmp_path):
    """What the folder gives, by the datasets of this process."""
    words = {key: value for key, value in job.items() if key not in ("path", "revision", "streaming")}
    if "filters" in words:
        words["filters"] = [tuple(one) for one in words["filters"]]
        words["verification_mode"] = "no_checks"
    folder = folders[job["path"], job.get("revision")]
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path), **words)
    splits = loaded if isinstance(loaded, dict) else {job["split"]: loaded}
    return {split: describe(data) for split, data in splits.items()}


@pytest.mark.parametrize("which", [NEWEST, OLD])
@pytest.mark.parametrize("name", JOBS)
def test_what_is_loaded_is_what_was_published(name, which, answers, folders, tmp_path):
    job, answer = JOBS[name], answers[which, name]
    assert "error" not in answer, answer
    expected = expected_of(job, folders, tmp_path)
    assert list(answer) == list(expected)
    for split, found in answer.items():
        assert found["rows"] == expected[split]["rows"] != []
        assert found["pictures"] == expected[split]["pictures"]
        columns = schema.config_columns(job.get("name", "default"), has_depth("relative8" if job["path"] == DEPTH_REPO else "plain"))
        features = {key: value for key, value in schema.features(columns).items() if key in job.get("columns", columns)}
        assert found["features"] == (features if which == OLD else Features.from_dict(features).to_dict())


def test_the_versions_differ(answers):
    for which in (NEWEST, OLD):
        new, old = (answers[which, name]["train"]["rows"] for name in ("default, whole", "default of v1.0.0, whole"))
        assert new[: len(old)] == old and len(new) > len(old)


@pytest.mark.parametrize("streaming", WAYS)
def test_a_version_that_is_not_there(client, folders, streaming):
    answer = client.run(do_job, {"path": REPO, "revision": "v9.0.0", "streaming": streaming})
    assert "v9.0.0" in answer["error"][1]


def test_filters_without_saying_so_are_refused_by_datasets(client, folders, tmp_path):
    """Counts of the card against counts of filtered rows."""
    job = {key: value for key, value in JOBS["filters, whole"].items() if key != "verification_mode"}
    assert client.run(do_job, {**job, "cache_dir": str(tmp_path)})["error"][0] == "NonMatchingSplitsSizesError"


def test_a_stream_opens_in_few_requests_and_reads_no_rows_for_it(hub, client, folders):
    mark = hub.log.mark()
    client.run(open_plain_stream, REPO)
    asked = hub.log.filter(since=mark)
    assert len(asked) <= 10
    assert [str(e) for e in asked if e.path.endswith(".parquet") or e.port == "cdn"] == []
