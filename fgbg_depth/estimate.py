"""What a row will cost in bytes and time, measured on some rows of the plan."""

import itertools
import time
from dataclasses import dataclass

import numpy as np

from .asset_tables import PlannedReader
from .config import NO_DEPTH
from .produce import Job, one_thread, shard_rows
from .stats import Tally
from .studio import CutoutMaker, FittedCanvases, Studio

SAMPLE_ROWS = 32  # enough for the bytes to be right within some percent
WORKER_START_S = {False: 1.5, True: 8.0}  # a worker imports the libraries, with depth torch too, before its first row
WARM_RUN_S = 5.0  # a network that takes longer for one batch isn't run twice
ROW_OVERHEAD_BYTES = 120  # keys, boxes, page headers and the metadata table, per row


@dataclass(frozen=True)
class Cost:
    """bytes_per_row on the disk; seconds_per_row in one process, beside_s of it beside the network where a core is idle; start_s before
    the first row."""

    bytes_per_row: float
    seconds_per_row: float
    start_s: float
    beside_s: float = 0.0

    def seconds(self, rows, workers, cores):
        """Seconds that so many rows take with workers that have something to do, on so many processors."""
        beside = self.beside_s if workers < cores else 0.0
        return self.start_s + rows * (self.seconds_per_row - beside) / workers


def _reader(prepared, kind):
    return PlannedReader(prepared.work.entries[kind], prepared.work.newcomers[kind], prepared.recipe)


def measure_rows(prepared, sample_rows=SAMPLE_ROWS):
    """Make some rows in memory and see what they cost.

    The pictures are fitted in a first pass that isn't timed: in a long run each is fitted once.

    Args:
        prepared: prepare.Prepared.
        sample_rows: rows to make, from the beginning of the first shard.

    Returns:
        Cost.
    """
    plan, recipe, estimator = prepared.plan, prepared.recipe, prepared.loaded
    cutouts = CutoutMaker(plan.foregrounds, _reader(prepared, "foreground"))
    studio = Studio(recipe, FittedCanvases(recipe, plan.backgrounds, _reader(prepared, "background")), cutouts)
    plain = recipe.replace(depth_model=NO_DEPTH)
    shard = plan.shards()[0]

    def make(with_recipe, predict, count):
        count = min(count, len(shard))
        job = Job(prepared.folder, with_recipe, "", {}, {}, prepared.relative)
        spent = [0.0]

        def timed(images):
            began = time.perf_counter()
            maps = predict(images)
            spent[0] += time.perf_counter() - began
            return maps

        started = time.perf_counter()
        rows = list(itertools.islice(shard_rows(job, plan, shard, studio, predict and timed, Tally()), count))
        made = max(1, -(-count // recipe.depth_batch) * recipe.depth_batch)
        whole, network = (time.perf_counter() - started) / made, spent[0] / made
        return rows, whole, min(network, whole - network)

    with one_thread():
        make(plain, None, sample_rows)
        rows, seconds, beside = make(plain, None, sample_rows)
        if estimator is not None:
            rows, seconds, beside = make(recipe, estimator.predict, recipe.depth_batch)
            if seconds * recipe.depth_batch < WARM_RUN_S:  # the first run of a network prepares it; a large one takes long anyway
                rows, seconds, beside = make(recipe, estimator.predict, recipe.depth_batch)
    stored = [sum(len(row[name]) for name in ("image", "mask", "depth") if row.get(name)) for row in rows]
    return Cost(float(np.mean(stored)) + ROW_OVERHEAD_BYTES, seconds, WORKER_START_S[estimator is not None], beside)
