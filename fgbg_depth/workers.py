"""Worker processes that make shards, and how they end.

Each worker makes whole shards alone, with one thread, network included: nothing is passed between processes but
names and counts, and two workers do twice the work of one. Workers are spawned, never forked: a forked copy of a
threaded library may hang.

A worker whose parent was killed finds its pipe broken after the row group at hand and ends. One that is killed itself is
noticed by the parent, which stops the others and says so; finished shards stay.
"""

import multiprocessing
import signal
import sys
import traceback
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait

from . import errors
from .asset_tables import AssetReader
from .produce import make_shard, one_thread
from .studio import CutoutMaker, Studio, open_canvases

STOP_TIMEOUT_S = 5  # a worker that hasn't ended after SIGTERM for so long is killed


@dataclass(frozen=True)
class Task:
    """All that a worker needs; sent once when it starts.

    Attributes:
        job: produce.Job.
        plan: plan.Plan.
        canvases: path of the scratch file.
        foreground_entries: asset_tables.Entry list of the cut-outs.
        estimator: keyword arguments of depth.load_depth_estimator, or None without depth.
        weights_digest: what the estimator's weights must hash to.
    """

    job: object
    plan: object
    canvases: object
    foreground_entries: list
    estimator: dict | None
    weights_digest: str

    def open(self):
        """Load what the shards are made with.

        Returns:
            (Studio, predict function or None).
        """
        canvases = open_canvases(self.canvases, self.job.recipe, len(self.plan.backgrounds))
        cutouts = CutoutMaker(self.plan.foregrounds, AssetReader(self.foreground_entries))
        return Studio(self.job.recipe, canvases, cutouts), self._predictor()

    def _predictor(self):
        if self.estimator is None:
            return None
        from .depth import load_depth_estimator

        estimator = load_depth_estimator(**self.estimator)
        if estimator.weights_digest != self.weights_digest:
            raise errors.WeightsError(f"the weights of {estimator.name!r} changed while the run was going on; start it again")
        return estimator.predict


def run_shards(task, shards, num_workers, on_rows, on_shard):
    """Make shards, in this process for one worker, else in several.

    Args:
        task: Task.
        shards: list of plan.ShardPlan.
        num_workers: at least 1.
        on_rows: function (count), called as row groups are written.
        on_shard: function (shard), called when a shard is there.

    Raises:
        FgbgDepthError: the first error of a worker; the others are stopped.
    """
    if min(num_workers, len(shards)) <= 1:
        with one_thread():
            studio, predict = task.open()
            for shard in shards:
                make_shard(task.job, task.plan, shard, studio, predict, on_rows)
                on_shard(shard)
        return
    pool = _Pool(task, min(num_workers, len(shards)))
    try:
        pool.run(shards, on_rows, on_shard)
    finally:
        pool.stop()


class _Pool:
    def __init__(self, task, count):
        context = multiprocessing.get_context("spawn")
        self._workers = {}
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, task), name=f"fgbg-depth-{number}", daemon=True)
            process.start()
            theirs.close()
            self._workers[ours] = process

    def run(self, shards, on_rows, on_shard):
        waiting, busy = deque(shards), dict.fromkeys(self._workers)
        while busy:
            for pipe in wait(list(busy)):
                try:
                    kind, *values = pipe.recv()
                except (EOFError, ConnectionError):
                    raise self._died(pipe, busy[pipe]) from None
                if kind == "rows":
                    on_rows(*values)
                elif kind == "error":
                    raise _rebuilt(*values)
                else:  # "ready": at the start, and after each shard
                    if busy[pipe] is not None:
                        on_shard(busy[pipe])
                    busy[pipe] = waiting.popleft() if waiting else None
                    pipe.send(busy[pipe])
                    if busy[pipe] is None:
                        del busy[pipe]

    def _died(self, pipe, shard):
        process = self._workers[pipe]
        process.join(STOP_TIMEOUT_S)
        how = f"signal {-process.exitcode}" if (process.exitcode or 0) < 0 else f"exit code {process.exitcode}"
        at = f" while it made {shard.name}" if shard else " while it started"
        return errors.FgbgDepthError(
            f"a worker process ended by {how}{at} (signal 9 often means that memory ran out; try fewer --workers). "
            f"Finished shards are kept: run the same command again to go on"
        )

    def stop(self):
        for pipe, process in self._workers.items():
            pipe.close()
            if process.is_alive():
                process.terminate()
        for process in self._workers.values():
            process.join(STOP_TIMEOUT_S)
            if process.is_alive():
                process.kill()
                process.join()


def _rebuilt(name, message, trace):
    """A worker's exception; one that isn't ours keeps its traceback as text."""
    kind = getattr(errors, name, None)
    if kind is None:
        return errors.FgbgDepthError(f"a worker failed unexpectedly:\n{trace}")
    return kind(message)


def _work(pipe, task):
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through `finally`, so that temporary files go
    try:
        with one_thread():
            studio, predict = task.open()
            pipe.send(("ready",))
            while (shard := pipe.recv()) is not None:
                make_shard(task.job, task.plan, shard, studio, predict, lambda count: pipe.send(("rows", count)))
                pipe.send(("ready",))
    except (EOFError, ConnectionError):
        sys.exit(1)  # the parent is gone; nobody is left to tell
    except Exception as error:
        pipe.send(("error", type(error).__name__, str(error), traceback.format_exc()))
        sys.exit(1)
