"""The work spread over a Ray cluster: a real one on this machine, of two nodes with one core each.

Whatever dies, the folder has to be that of a run with local workers, byte for byte.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import ray_tasks
from kill_runs import wait_for
from real_runs import RECIPE, call_good, end_of, environment, generate, identities, refused, start, temporary_files, tree

from fgbg_depth import missing
from fgbg_depth.config import Recipe
from fgbg_depth.errors import DepthModelError, FgbgDepthError, FolderError, PlanError, StorageError, UsageError, WeightsError
from fgbg_depth.generate import generate as generate_set
from fgbg_depth.plan import ShardPlan
from fgbg_depth.prepare import Options
from fgbg_depth.progress import Quiet, Task
from fgbg_depth.ray_cluster import actor as ray_actor
from fgbg_depth.ray_cluster import crew as ray_crew
from fgbg_depth.ray_cluster.executor import RayExecutor

OBJECT_STORE_BYTES = 80 << 20
LONG_STOP_S = 30  # on an idle machine two
TESTS = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def cluster(s3_bucket):
    """Address of a cluster of two nodes, which find the bucket; this process isn't connected."""
    short = tempfile.TemporaryDirectory(prefix="fd-ray-", dir="/tmp")  # sockets want short paths
    with pytest.MonkeyPatch.context() as patch, short as home:
        env = environment({"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": home})
        env["PYTHONPATH"] = os.pathsep.join((TESTS, env["PYTHONPATH"]))
        for name, value in env.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        from ray.cluster_utils import Cluster

        patch.setattr("ray._private.worker.print_to_stdstream", lambda *_, **__: None, raising=False)  # it reports each death between tests

        node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "resources": {"large": 1}})
        try:
            cluster.add_node(**node)
            yield cluster.address
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def executor(cluster):
    """A connection of this process."""
    with RayExecutor(cluster) as executor:
        yield executor


def squares(executor, numbers, folder, needed=(), **options):
    results, said = {}, []
    with executor.crew(ray_tasks.Squares(folder, **options), len(numbers), needed) as crew:
        crew.wait()
        crew.work(numbers, results.__setitem__, said.append)
    return results, said


# --- actors ---


def test_items_are_spread_and_actors_are_gone_afterwards(executor, tmp_path):
    results, said = squares(executor, [2, 3, 5, 7], tmp_path, together=2)
    assert results == {2: 4, 3: 9, 5: 25, 7: 49} and sum(said) == 4
    pids = [int(path.name.removeprefix("worker-")) for path in tmp_path.glob("worker-*")]
    assert len(pids) == 2 and os.getpid() not in pids  # one for each node
    until = time.monotonic() + LONG_STOP_S
    while any(map(ray_tasks.is_running, pids)):
        assert time.monotonic() < until, "an actor outlived its work"
        time.sleep(0.05)


def test_the_item_of_a_dead_actor_is_done_again(executor, tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(executor, "_on_death", notes.append)
    results, said = squares(executor, [13, 2], tmp_path, deaths=2)
    assert len(notes) == 2 and all(f"on node {socket.gethostname()} died at 13, which is done again" in note for note in notes)
    assert results == {13: 169, 2: 4}
    assert sum(said) == 2 and -1 in said  # what the dead had counted doesn't count
    assert len(list(tmp_path.glob("death-*"))) == 2


def test_an_item_at_which_many_die_ends_the_run_and_is_named(executor, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_crew, "MAX_DEATHS", 1)
    words = rf"2 workers died while they were at 13, the last one on node {socket.gethostname()}: .*run the same command again to go on"
    with pytest.raises(FgbgDepthError, match=words):
        squares(executor, [13, 2], tmp_path, deaths=99)
    assert len(list(tmp_path.glob("death-*"))) == 2


def test_an_error_of_an_actor_keeps_type_and_message_and_names_the_node(executor, tmp_path):
    with pytest.raises(PlanError, match=rf"^seventeen \(on node {socket.gethostname()}\)$"):
        squares(executor, [17], tmp_path)
    with pytest.raises(FgbgDepthError, match=r"(?s)failed unexpectedly.*in _square.*ZeroDivisionError: nineteen"):
        squares(executor, [19], tmp_path)


def test_actors_that_cannot_start(executor, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"^no weights"), executor.crew(ray_tasks.Broken(), 1) as crew:
        crew.wait()
    with pytest.raises(FolderError, match=r"doesn't see .*nowhere: the set's folder has to be in S3, or on a file system"):
        squares(executor, [2], tmp_path, needed=[tmp_path / "nowhere"])
    monkeypatch.setattr(ray_crew, "MAX_DEATHS", 0)
    with pytest.raises(FgbgDepthError, match="1 workers of the Ray cluster died"), executor.crew(ray_tasks.Broken(dies=True), 1) as crew:
        crew.wait()


def test_a_node_with_other_libraries_is_refused(tmp_path):
    versions = ray_actor.versions_here()
    assert {"fgbg_depth", "torch", "numpy", "opencv"} <= set(versions)
    ray_actor.check_node(versions, [])
    with pytest.raises(DepthModelError, match=r"bytes may depend on them: numpy .* there, 1\.0 where"):
        ray_actor.check_node({**versions, "numpy": "1.0"}, [])


# --- whole runs ---


class KillOne(Quiet, Task):
    """Kills an actor as soon as rows were made, once."""

    def __init__(self):
        self.killed, self._rows = [], False

    @contextlib.contextmanager
    def task(self, title, total, done=0, unit="files"):
        self._rows = title == "make rows"
        yield self

    def update(self, done, total=None):
        if self._rows and done and not self.killed:
            self.killed = ray_tasks.actors()[:1]
            os.kill(self.killed[0], signal.SIGKILL)


def test_a_set_made_with_depth_while_an_actor_is_killed_has_the_same_bytes(executor, few_pictures, tiny_model, tmp_path, monkeypatch):
    recipe = (*RECIPE, "--depth-model", tiny_model, "--depth-batch", "4")
    call_good(*generate(few_pictures, tmp_path / "local", recipe))
    monkeypatch.chdir(tmp_path)
    size = {"image_size": 64, "foreground_size": (24, 20), "placements": 4, "splits": (0.6, 0.2, 0.2)}
    shards = {"rows_per_shard": 24, "first_shard_rows": 8, "rows_per_group": 8}
    model = os.path.relpath(tiny_model)  # the actors work in another folder
    wanted = Recipe().replace(**size, **shards, depth_model=model, depth_batch=4)
    progress, notes = KillOne(), []
    monkeypatch.setattr(executor, "_on_death", notes.append)
    options = Options(few_pictures.backgrounds, few_pictures.foregrounds, executor=executor)
    result = generate_set("spread", wanted, options, progress)
    assert len(progress.killed) == 1 and not ray_tasks.is_running(progress.killed[0])
    assert len(notes) == 1 and "which is done again" in notes[0]
    assert result.rows_made == result.rows == 48
    assert tree(tmp_path / "spread") == tree(tmp_path / "local")


def test_ctrl_c_ends_the_actors_and_the_same_command_goes_on(cluster, pictures, tmp_path):
    plain = (*RECIPE, "--depth-model", "none", "--placements", "12")
    call_good(*generate(pictures, tmp_path / "local", plain))
    words = ("--executor", "ray", "--ray-address", cluster)
    process = start(generate(pictures, tmp_path / "set", plain, *words, workers=2))
    try:
        wait_for(process, tmp_path / "set", "data/*/[!.]*.parquet")
        mine = ray_tasks.actors()
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)  # as `scancel` and `kill` do; Ray has a handler of its own for it
        ended = end_of(process)
    finally:
        process.kill()
    assert ended.code == 130, ended.err
    assert ended.err == "fgbg-depth: stopped. Finished shards are kept: run the same command again to go on where it stopped.\n"
    assert time.monotonic() - asked < LONG_STOP_S
    assert mine and not any(map(ray_tasks.is_running, mine))
    assert temporary_files(tmp_path / "set") == []
    finished = identities(tmp_path / "set", "data/*/*.parquet")
    call_good(*generate(pictures, tmp_path / "set", plain, *words, workers=2))
    assert tree(tmp_path / "set") == tree(tmp_path / "local")
    assert finished.items() <= identities(tmp_path / "set").items()


def test_annotate_and_parts_are_spread_too(executor, few_pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = (*RECIPE, "--depth-model", "none")
    call_good(*generate(few_pictures, "local", plain))
    for number in (2, 1):
        call_good(*generate(few_pictures, "parts", plain), "--executor", "ray", "--shards", f"{number}/2")
    call_good("finish", "parts", "--quiet")
    assert tree("parts") == tree("local")
    annotated = ("annotate", "local", "--trust", "--depth-model", "none", "--quiet")
    call_good(*annotated, "--workers", 1, "--out", "copied")
    call_good(*annotated, "--workers", 1, "--executor", "ray", "--out", "spread")
    assert tree("spread") == tree("copied")


def test_a_set_in_s3_has_the_same_bytes(executor, s3_bucket, few_pictures, tmp_path):
    plain = (*RECIPE, "--depth-model", "none")
    call_good(*generate(few_pictures, tmp_path / "local", plain))
    call_good(*generate(few_pictures, f"s3://{s3_bucket.name}/spread/set", plain), "--executor", "ray")
    assert s3_bucket.tree("spread/set") == {name: value for name, value in tree(tmp_path / "local").items() if value != "folder"}


def test_shards_that_are_seen_late_are_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(missing, "VISIBLE_POLL_S", 0.01)
    shards = [ShardPlan(0, "train", index, 0, 8) for index in range(2)]
    paths = [tmp_path / shard.name for shard in shards]
    paths[0].parent.mkdir(parents=True)
    paths[0].touch()
    threading.Timer(0.2, paths[1].touch).start()
    missing.wait_until_visible(tmp_path, shards)
    assert paths[1].exists()
    paths[0].unlink()
    monkeypatch.setattr(missing, "VISIBLE_TIMEOUT_S", 0.1)
    with pytest.raises(StorageError, match=r"1 shards that other machines made .*b000-00000\.parquet"):
        missing.wait_until_visible(tmp_path, shards)


# --- what is refused before the work begins ---


def test_a_cluster_that_is_not_there(few_pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # a connection that is there already would be used
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    for address, words in (
        (f"127.0.0.1:{free}", "there is no Ray cluster at"),
        ("nonsense", "expected HOST:PORT"),
        ("ray://somewhere:10001", "names no Ray cluster that workers can be started in"),
    ):
        arguments = generate(few_pictures, tmp_path / "set", RECIPE, "--executor", "ray", "--ray-address", address)
        refused(arguments, tmp_path, words, "ray start --head", code=2)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free}")
    refused(generate(few_pictures, tmp_path / "set", RECIPE, "--executor", "ray"), tmp_path, f"127.0.0.1:{free}", code=2)
    monkeypatch.setitem(sys.modules, "ray", None)
    refused(generate(few_pictures, tmp_path / "set", RECIPE, "--executor", "ray"), tmp_path, 'pip install "fgbg-depth[ray]"', code=2)


def test_workers_that_no_node_can_hold(executor, few_pictures, tmp_path):
    for flags, words in (
        (("--device", "cuda"), "a worker of 2 CPU, 1 GPU. Its nodes are: 2 with 1 CPU. Change"),
        (("--ray-cpus-per-actor", "2"), "a worker of 2 CPU"),
        (("--ray-resource", "large=2"), "Its nodes are: 1 with 1 CPU; 1 with 1 CPU, 1 large. Change"),
        (("--ray-resource", "large"), "expected NAME=AMOUNT"),
        (("--ray-gpus-per-actor", "-1"), "can't have -1.0 GPU"),
        (("--ray-gpus-per-actor", "1.5"), "can't have 1.5 GPU"),
    ):
        refused(generate(few_pictures, tmp_path / "set", RECIPE, "--executor", "ray", *flags), tmp_path, words, code=2)
    refused(generate(few_pictures, tmp_path / "set", RECIPE, "--executor", "ray", workers=0), tmp_path, "expected at least 1", code=2)
    refused(generate(few_pictures, tmp_path / "set", RECIPE, "--ray-address", "x:1"), tmp_path, "only with --executor ray", code=2)


def test_resources_say_where_workers_go(cluster, executor):
    assert executor._fitting == 2
    with RayExecutor(cluster, resources={"large": 0.5}) as other:
        assert other._fitting == 1
    with pytest.raises(UsageError, match="no node"), RayExecutor(cluster, resources={"nonsense": 1}):
        pass


def test_a_call_on_a_node(executor):
    """The depth model is loaded by one: a node that lacks it is named."""
    word, pid = executor.call(ray_tasks.who, "there")
    assert word == "there" and pid != os.getpid()
    with pytest.raises(WeightsError, match=rf"^no weights \(on node {socket.gethostname()}\)$"):
        executor.call(ray_tasks.Broken().open)
