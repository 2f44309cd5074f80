"""Items spread over the machines of a Ray cluster that is there already: workers are actors, each with its own resources.

Actors take one item at a time, as the processes of `pool` do, and are given the same task. An actor that dies (killed, out of memory,
its machine lost) is replaced, and its item is done again by another: shards appear whole or not at all, so nothing has to be undone.
An item at which several died ends the run. Ray serialises the task and hands it to actors; rows and pictures never pass through it.

Nothing is shared with the other machines but the set's folder, which has to be on a file system that all of them see under the same
path, or in S3; and the libraries, which have to be the same, as they decide bytes.
"""

import contextlib
import os
import signal
import socket
import threading
from collections import Counter

from ..errors import FgbgDepthError, UsageError
from ..pool import rebuilt
from .actor import call_there, versions_here
from .crew import Crew, first_line

CONNECT_TIMEOUT_S = 5
GPU_ACTOR_CPUS = 2  # one feeds the network, one prepares and finishes rows
INSTALL_COMMAND = 'pip install "fgbg-depth[ray]"'


class RayExecutor:
    """A connection to a Ray cluster, and what each worker there shall have; use it as a context manager.

    A driver that is connected already stays so; else the connection ends with the block.
    """

    def __init__(self, address=None, num_actors=None, gpus=None, cpus=None, resources=None, device="cpu", on_death=None):
        """Args:
        address: of the cluster, "host:port"; None takes RAY_ADDRESS, or the cluster that runs on this machine.
        num_actors: workers; None takes as many as the cluster's nodes hold.
        gpus: of each worker, parts of one are possible; None takes 1 for a device that isn't "cpu".
        cpus: of each worker; None takes 1, or 2 with a GPU.
        resources: {name: amount} of each worker, of those that the cluster's nodes declare.
        device: torch device of the depth model.
        on_death: function (text), called when a worker died at an item that is done again.

        Raises:
            UsageError: an amount makes no sense.
        """
        self.address, self.num_actors, self._on_death = address, num_actors, on_death or (lambda words: None)
        gpus = (device != "cpu") * 1 if gpus is None else gpus
        cpus = (GPU_ACTOR_CPUS if gpus else 1) if cpus is None else cpus
        self.demand = {"CPU": cpus, "GPU": gpus, **(resources or {})}
        for name, amount in self.demand.items():
            if not 0 <= amount < float("inf") or (amount > 1 and amount % 1):
                raise UsageError(f"a worker of the cluster can't have {amount} {name}: expected a whole number, or a part of one")

    def __enter__(self):
        self._ray = _import_ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._connect()
        try:
            self._fitting = self._count_fitting()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._ours:
            self._ray.shutdown()

    def _connect(self):
        address = self.address or os.environ.get("RAY_ADDRESS") or "auto"
        advice = "Start one with `ray start --head`, or name another with --ray-address HOST:PORT or RAY_ADDRESS"
        _check_reachable(address, advice)
        try:
            with _own_sigterm():
                self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except ConnectionError as error:
            raise UsageError(f"there is no Ray cluster at {address!r}. {advice}") from error
        except (RuntimeError, ValueError, OSError, self._ray.exceptions.RayError) as error:
            raise UsageError(f"the Ray cluster at {address!r} can't be used: {first_line(error)}. {advice}") from error

    def _count_fitting(self):
        """How many workers the cluster's nodes hold, all else put aside; UsageError when not a single one."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        wanted = {name: amount for name, amount in self.demand.items() if amount}
        fitting = sum(min((int(node.get(name, 0) / amount) for name, amount in wanted.items()), default=1) for node in nodes)
        if not fitting:
            kinds = Counter(_amounts({n: a for n, a in node.items() if n in wanted or n in ("CPU", "GPU")}) for node in nodes)
            have = "; ".join(f"{count} with {words}" for words, count in sorted(kinds.items()))
            raise UsageError(
                f"no node of the Ray cluster can hold a worker of {_amounts(wanted)}. Its nodes are: {have}. Change "
                f"--ray-gpus-per-actor, --ray-cpus-per-actor or --ray-resource"
            )
        return fitting

    def _options(self):
        others = {name: amount for name, amount in self.demand.items() if name not in ("CPU", "GPU")}
        return {"num_cpus": self.demand["CPU"], "num_gpus": self.demand["GPU"], "resources": others, "scheduling_strategy": "SPREAD"}

    def call(self, function, *arguments):
        """Call a function on a node that can hold a worker.

        Args:
            function: one of a module; what it takes and gives can be pickled.
            arguments: of the function.

        Returns:
            what it gives.

        Raises:
            FgbgDepthError: what it raised, with the node's name.
        """
        there = self._ray.remote(call_there).options(**self._options())
        with self._plain_errors():
            kind, *values = self._ray.get(there.remote(versions_here(), function, arguments))
        if kind == "error":
            raise rebuilt(*values)
        return values[0]

    @contextlib.contextmanager
    def crew(self, task, num_items, needed=()):
        """Workers with a task; they are gone when the block ends.

        Args:
            task: see pool.run_pool.
            num_items: how many there will be; no more workers are started.
            needed: paths of files that each node has to see.

        Yields:
            Crew.
        """
        count = min(self.num_actors or self._fitting, num_items)
        crew = Crew(self._ray, self._options(), (self._ray.put(task), versions_here(), list(needed)), count, self._on_death)
        try:
            with self._plain_errors():
                yield crew
        finally:
            crew.stop()

    @contextlib.contextmanager
    def _plain_errors(self):
        """Ray's own errors as one of ours."""
        try:
            yield
        except self._ray.exceptions.RayError as error:
            raise FgbgDepthError(
                f"the Ray cluster failed: {first_line(error)}. Finished shards are kept: run the same command again to go on"
            ) from error


def _import_ray():
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # how Ray will handle GPUs of actors without any; it warns if unset
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--executor ray needs the package ray, which can't be imported here ({error}). {INSTALL_COMMAND}") from error
    return ray


def _check_reachable(address, advice):
    """UsageError for an address where nobody listens: Ray would end the process after a minute."""
    host, colon, port = address.rpartition(":")
    if address in ("auto", "local") or "://" in address:
        if address != "auto":
            raise UsageError(f"{address!r} names no Ray cluster that workers can be started in directly. {advice}")
        return
    try:
        if not colon or not port.isdecimal():
            raise OSError("expected HOST:PORT")
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"there is no Ray cluster at {address!r} ({error}). {advice}") from error


@contextlib.contextmanager
def _own_sigterm():
    """Ray sets a handler of its own for SIGTERM when it connects: what was there is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _amounts(resources):
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(resources.items())) or "nothing"
