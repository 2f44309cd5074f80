"""Sets made in S3: the same bytes as in a folder, whole objects or none, whatever stops a run."""

import shutil
import tempfile
import time

import pytest
from real_runs import PLAIN, RUN_TIMEOUT_S, add_background, call, call_good, end_of, generate, kill_group, start
from s3_fixtures import files_of
from s3_server import SECRET

from fgbg_depth import scratch
from fgbg_depth.files import whole_file
from fgbg_depth.folders import as_folder


def test_a_local_set_needs_nothing_of_s3(s3_local):
    assert s3_local[1] == []


def test_the_same_bytes_as_in_a_folder(s3_local, s3_remote, s3_bucket):
    assert s3_bucket.tree("finished/set") == files_of(s3_local[0])


def test_killed_and_resumed(s3_local, s3_bucket, pictures, tmp_path, monkeypatch):
    words = generate(pictures, f"s3://{s3_bucket.name}/killed", workers=2)
    process, until = start(words, env={"TMPDIR": str(tmp_path)}), time.monotonic() + RUN_TIMEOUT_S
    while sum(name.startswith("data/") for name in s3_bucket.versions("killed")) < 2:
        assert process.poll() is None and time.monotonic() < until, end_of(process)
        time.sleep(0.005)
    kill_group(process)
    process.communicate()
    expected, before, versions = files_of(s3_local[0]), s3_bucket.tree("killed"), s3_bucket.versions("killed")
    assert 4 <= len(before) < len(expected) and before.items() <= expected.items()
    assert list(tmp_path.glob(f"{scratch.PREFIX}*")), "the run was killed before it had a scratch folder"
    call_good(*generate(pictures, words[words.index("--out") + 1]))
    assert s3_bucket.tree("killed") == expected
    assert versions.items() <= s3_bucket.versions("killed").items(), "finished objects were written again"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_own", {})
    ours = scratch.scratch_folder()
    assert set(tmp_path.iterdir()) == {ours, ours.with_name(f"{ours.name}{scratch.LOCK_SUFFIX}")}, "those of the killed run are left"
    scratch.drop_scratch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "workers", "words"),
    [("deny", 2, ("AccessDenied", "s3:PutObject")), ("hang up", 1, ("can't be reached, or broke off", "AWS_ENDPOINT_URL"))],
)
def test_an_upload_that_fails(fault, workers, words, s3_local, s3_server, s3_bucket, pictures):
    folder = f"failing-{fault[:4]}"
    arguments = generate(pictures, f"s3://{s3_bucket.name}/{folder}", workers=workers)
    bad = "data/train/b000-00002.parquet"
    with s3_server.faulty(lambda method, key: fault if method == "PUT" and key.endswith(bad) else None):
        ended = call(*arguments)
    assert ended.code == 1 and f"/{folder}/{bad}: " in ended.err and "run the same command again" in ended.err, ended.err
    assert all(word in ended.err for word in words) and SECRET not in ended.err and "Traceback" not in ended.err, ended.err
    there = s3_bucket.tree(folder)
    assert bad not in there and "backgrounds/b000.parquet" in there and there.items() <= files_of(s3_local[0]).items()
    if workers == 1:  # with more, those before it may still be under way
        assert {f"data/train/b000-0000{number}.parquet" for number in (0, 1)} <= set(there)


def test_parts_and_a_further_batch(s3_local, s3_bucket, pictures, tmp_path):
    url, folder = f"s3://{s3_bucket.name}/parts", tmp_path / "set"
    for part in ("2/2", "1/2"):
        call_good(*generate(pictures, url, PLAIN, "--shards", part))
    assert "stats.json" not in s3_bucket.tree("parts")
    call_good("finish", url, "--quiet")
    assert s3_bucket.tree("parts") == files_of(s3_local[0])
    shutil.copytree(s3_local[0], folder)
    more = pictures.copy(tmp_path / "more")
    add_background(more.backgrounds, 50)
    for place in (folder, url):
        call_good(*generate(more, place, PLAIN, "--append"))
    assert s3_bucket.tree("parts") == files_of(folder) != files_of(s3_local[0])


def test_another_run_that_came_first(s3_bucket, pictures, s3_remote, tmp_path, monkeypatch):
    """Without a lock, the asset tables decide whose set it is: they are never replaced."""
    other = pictures.copy(tmp_path)
    add_background(other.backgrounds, 60)
    race = f"s3://{s3_bucket.name}/race"

    def first(place):
        """Another run writes its tables after this one has looked."""
        for kind in ("backgrounds", "foregrounds"):
            with whole_file(as_folder(race) / kind / "b000.parquet") as temp:
                temp.write_bytes((as_folder(place) / kind / "b000.parquet").read_bytes())

    from fgbg_depth import generate as module

    monkeypatch.setattr(module, "prepare", lambda *args, before=module.prepare: [before(*args), first(s3_remote)][0])
    versions = s3_bucket.versions("race")
    ended = call(*generate(other, race))
    assert ended.code == 1 and "another run began batch 0" in ended.err, ended.err
    assert not versions and set(s3_bucket.tree("race")) == {"backgrounds/b000.parquet", "foregrounds/b000.parquet"}
    assert s3_bucket.tree("race").items() <= s3_bucket.tree("finished/set").items()
