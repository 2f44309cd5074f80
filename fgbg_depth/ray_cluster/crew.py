"""Actors of a Ray cluster at work, as the driver sees them: who has which item, who is how far, who died.

An actor that dies is replaced, and its item is done again by another. An item at which several died ends the run.
"""

import contextlib
from collections import deque
from dataclasses import dataclass, field

from ..errors import FgbgDepthError
from ..pool import rebuilt
from .actor import Actor

MAX_DEATHS = 3  # of actors at one item, or one after the other while they start; a fourth isn't risked
POLL_S = 0.5  # how often rows are counted
STOP_TIMEOUT_S = 5  # actors that haven't ended by themselves after so long are killed
SIDE = "side"  # the actors' second thread, which answers while they work


@dataclass(eq=False)
class _Worker:
    """An actor as the driver sees it.

    Attributes:
        actor: its handle.
        pending: reference to the answer that it owes, None when it has nothing to do.
        item: what it works on, None while it starts.
        said: of the item's rows, those that were counted.
        asked: reference to its answer to "how far are you", or None.
        node, pid: where it lives, once it has started.
    """

    actor: object
    pending: object
    item: object = None
    said: int = 0
    asked: object = None
    node: str = ""
    pid: int = 0


@dataclass(eq=False)
class Crew:
    """Actors that work through items.

    Attributes:
        ray: the package, connected.
        options: of the actors.
        arguments: of `Actor.open`.
        count: how many there shall be.
        on_death: function (text), called when an actor died at an item that is done again.
        workers: those that live.
        failed_starts: how many died one after the other while they started.
    """

    ray: object
    options: dict
    arguments: tuple
    count: int
    on_death: object
    workers: list = field(default_factory=list)
    failed_starts: int = 0

    def __post_init__(self):
        for _ in range(self.count):
            self._start()

    def _start(self):
        kind = self.ray.remote(concurrency_groups={SIDE: 1})(Actor)
        actor = kind.options(**self.options).remote()
        self.workers.append(_Worker(actor, actor.open.remote(*self.arguments)))

    def wait(self):
        """Wait until one of them has started.

        Raises:
            FgbgDepthError: it can't work.
        """
        while not any(worker.node for worker in self.workers):
            for worker in self._answering():
                self._hear_start(worker)

    def work(self, items, on_result, on_progress=None):
        """Work through items.

        Args:
            items: list of what can be pickled.
            on_result: function (item, result).
            on_progress: function (count); the count is negative when an actor died that had counted.

        Raises:
            FgbgDepthError: the first error of an actor, or too many died at one item.
        """
        say = on_progress or (lambda count: None)
        waiting, deaths, left = deque(items), {}, len(items)
        while left:
            for worker in self.workers:
                if worker.node and worker.pending is None and waiting:
                    worker.item, worker.said = waiting.popleft(), 0
                    worker.pending = worker.actor.work.remote(worker.item)
            for worker in self._answering():
                if not worker.node:
                    self._hear_start(worker)
                    continue
                answer = self._answer(worker)
                if isinstance(answer, Exception):
                    say(-worker.said)
                    self._count_death(worker, deaths, answer)
                    waiting.appendleft(worker.item)
                    self._replace(worker)
                    continue
                result, said = answer
                say(said - worker.said)
                on_result(worker.item, result)
                worker.item, left = None, left - 1
            self._count_rows(say)

    def _answering(self):
        """Workers whose answer is there, after a short wait for one."""
        pending = {worker.pending: worker for worker in self.workers if worker.pending is not None}
        ready, _ = self.ray.wait(list(pending), num_returns=1, timeout=POLL_S)
        return [pending[reference] for reference in ready]

    def _answer(self, worker):
        """What a worker answers, or the exception of Ray that says that it is dead."""
        try:
            kind, *values = self.ray.get(worker.pending)
        except self.ray.exceptions.RayActorError as error:
            return error
        worker.pending = None
        if kind == "error":
            raise rebuilt(*values)
        return values

    def _hear_start(self, worker):
        answer = self._answer(worker)
        if not isinstance(answer, Exception):
            (worker.node, worker.pid), self.failed_starts = answer, 0
            return
        self.failed_starts += 1
        if self.failed_starts > MAX_DEATHS:
            raise FgbgDepthError(
                f"{self.failed_starts} workers of the Ray cluster died one after the other while they started; the last one: "
                f"{first_line(answer)}. Memory may have run out: give each more (--ray-cpus-per-actor), or start fewer (--workers)"
            )
        self._replace(worker)

    def _count_death(self, worker, deaths, error):
        name = getattr(worker.item, "name", worker.item)
        deaths[name] = deaths.get(name, 0) + 1
        if deaths[name] > MAX_DEATHS:
            raise FgbgDepthError(
                f"{deaths[name]} workers died while they were at {name}, the last one on node {worker.node}: {first_line(error)}. Memory "
                f"may have run out: give each more (--ray-cpus-per-actor), or start fewer (--workers). Finished shards are kept: run the "
                f"same command again to go on"
            )
        self.on_death(f"a worker on node {worker.node} died at {name}, which is done again ({first_line(error)})")

    def _replace(self, worker):
        self.workers.remove(worker)
        self.ray.kill(worker.actor)  # one that Ray only lost sight of must not go on
        self._start()

    def _count_rows(self, say):
        """Ask the busy how far they are, and hear what they answered to the last question."""
        for worker in self.workers:
            if worker.item is None or worker.pending is None:
                continue
            if worker.asked is not None:
                ready, _ = self.ray.wait([worker.asked], timeout=0)
                if not ready:
                    continue
                with contextlib.suppress(self.ray.exceptions.RayActorError):  # its death is heard where its work is waited for
                    name, said = self.ray.get(worker.asked)
                    if name == worker.item and said > worker.said:
                        say(said - worker.said)
                        worker.said = said
            worker.asked = worker.actor.said.options(concurrency_group=SIDE).remote()

    def stop(self):
        """End all actors. It is waited for those that are at work: what they write ends with them."""
        started = [worker for worker in self.workers if worker.node]
        leaving = [worker.actor.leave.options(concurrency_group=SIDE).remote(worker.pending is not None) for worker in started]
        if leaving:
            self.ray.wait(leaving, num_returns=len(leaving), timeout=STOP_TIMEOUT_S)
        for worker in self.workers:
            self.ray.kill(worker.actor)


def first_line(error):
    """What an error says in one line; one that Ray found in a worker has its traceback before that."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (lines[-1] if str(error).startswith(("ray::", "\x1b")) else lines[0]).rstrip(". ")
