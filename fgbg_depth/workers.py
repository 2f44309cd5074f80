"""What a worker process needs to make shards.

Each worker makes whole shards alone, network included: nothing is passed between processes but names and counts, and two workers
do twice the work of one. The network has one thread; rows are prepared and finished beside it (see `produce`). How the processes
live and end is `pool`'s business.
"""

from dataclasses import dataclass, field

from . import errors
from .asset_tables import AssetReader
from .pool import run_pool
from .produce import ShardMaker, composites, one_thread
from .scratch import scratch_folder
from .studio import Canvases, CutoutMaker, Studio, write_canvases

ADVICE = "Finished shards are kept: run the same command again to go on"


class DepthTask:
    """What tasks of `run_shards` have in common: dataclasses that are sent once when a worker starts, with these attributes.

    Attributes:
        job: produce.Job.
        plan: plan.Plan.
        estimator: keyword arguments of depth.load_depth_estimator, or None without depth.
        weights_digest: what the estimator's weights must hash to.
        loaded: the depth.DepthEstimator that is loaded already, or None; it stays in its process.
        overlapped: whether rows are prepared and finished while the network runs; it changes no byte.
    """

    def __getstate__(self):
        return {**self.__dict__, "loaded": None}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def open(self):
        """Load what the shards are made with.

        Returns:
            produce.ShardMaker: a function (shard, say) that makes one shard, says how many rows it wrote after each row group, and
            returns a produce.ShardReport.
        """
        predict = self.loaded.predict if self.loaded else open_predictor(self.estimator, self.weights_digest)
        return ShardMaker(self.job, self.pictures(), predict, self.overlapped)

    def pictures(self):
        """The `pictures` of a produce.ShardMaker."""
        raise NotImplementedError


@dataclass(frozen=True)
class Task(DepthTask):
    """Composites rows from source pictures; see DepthTask.

    Attributes:
        canvases: path of the scratch file; or asset_tables.Entry list of the backgrounds: each worker makes a scratch file of its own.
        foreground_entries: asset_tables.Entry list of the cut-outs.
    """

    job: object
    plan: object
    canvases: object
    foreground_entries: list
    estimator: dict | None
    weights_digest: str
    loaded: object = field(default=None, repr=False, compare=False)
    overlapped: bool = True

    def pictures(self):
        """See DepthTask."""
        canvases = Canvases(self._canvases_path(), self.job.recipe, len(self.plan.backgrounds))
        studio = Studio(self.job.recipe, canvases, CutoutMaker(self.plan.foregrounds, AssetReader(self.foreground_entries)))
        return composites(self.job, self.plan, studio)

    def _canvases_path(self):
        if not isinstance(self.canvases, list):
            return self.canvases
        path = scratch_folder() / "canvases"
        write_canvases(path, self.job.recipe, self.plan.backgrounds, AssetReader(self.canvases))
        return path


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
        task: DepthTask.
        shards: list of plan.ShardPlan.
        num_workers: at least 1.
        on_rows: function (count), called as row groups are written.
        on_shard: function (shard, produce.ShardReport), called when a shard is there.

    Raises:
        FgbgDepthError: the first error of a worker; the others are stopped.
    """
    if min(num_workers, len(shards)) > 1:
        run_pool(task, shards, num_workers, on_shard, on_rows, ADVICE)
    elif shards:
        with one_thread():
            task.open().make(shards, on_rows, on_shard)
