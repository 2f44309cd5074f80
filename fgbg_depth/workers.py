"""What a worker process needs to make shards.

Each worker makes whole shards alone, with one thread, network included: nothing is passed between processes but names and
counts, and two workers do twice the work of one. How the processes live and end is `pool`'s business.
"""

from dataclasses import dataclass

from . import errors
from .asset_tables import AssetReader
from .pool import run_pool
from .produce import make_shard
from .studio import Canvases, CutoutMaker, Studio

ADVICE = "Finished shards are kept: run the same command again to go on"


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
            function (shard, say) that makes one shard and says how many rows it wrote, after each row group.
        """
        canvases = Canvases(self.canvases, self.job.recipe, len(self.plan.backgrounds))
        studio = Studio(self.job.recipe, canvases, CutoutMaker(self.plan.foregrounds, AssetReader(self.foreground_entries)))
        predict = self._predictor()
        return lambda shard, say: make_shard(self.job, self.plan, shard, studio, predict, say)

    def _predictor(self):
        return open_predictor(self.estimator, self.weights_digest)


def open_predictor(estimator, weights_digest):
    """Load a worker's depth model.

    Args:
        estimator: keyword arguments of depth.load_depth_estimator, or None without depth.
        weights_digest: what its weights must hash to.

    Returns:
        function (N, S, S, 3) uint8 RGB -> (N, S, S) float32, or None without depth.

    Raises:
        WeightsError: the weights are no longer those that the run began with.
    """
    if estimator is None:
        return None
    from .depth import load_depth_estimator

    loaded = load_depth_estimator(**estimator)
    if loaded.weights_digest != weights_digest:
        raise errors.WeightsError(f"the weights of {loaded.name!r} changed while the run was going on; start it again")
    return loaded.predict


def run_shards(task, shards, num_workers, on_rows, on_shard):
    """Make shards, in this process for one worker, else in several.

    Args:
        task: Task, or another object with such an `open`.
        shards: list of plan.ShardPlan.
        num_workers: at least 1.
        on_rows: function (count), called as row groups are written.
        on_shard: function (shard), called when a shard is there.

    Raises:
        FgbgDepthError: the first error of a worker; the others are stopped.
    """
    run_pool(task, shards, num_workers, lambda shard, _: on_shard(shard), on_rows, ADVICE)
