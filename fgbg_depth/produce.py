"""Make shards: composite, encode, decode, predict depth, count, write.

Depth is predicted from the decoded stored picture, in batches that are cut by the row's position in its shard and never
cross into the next one; so a row's bytes depend on nothing but the recipe, the weights and that position. While the network is at
one batch, the next ones are composited and those before are encoded, counted and written (`overlap`), across shards too.
"""

import contextlib
import itertools
import os
import time
from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from . import codec, schema
from .errors import CodecError, DepthModelError, FgbgDepthError
from .overlap import in_turn, overlap
from .shards import Footer, left_out_entry, write_table
from .stats import Tally
from .studio import inside_of

FAIL, SKIP = "fail", "skip"  # what is done about a row whose depth can't be stored
ON_BAD_DEPTH = (FAIL, SKIP)
NO_MEMORY = -4  # cv2.Error.StsNoMem
ROWS_NAMED = 5  # keys that one message names


@dataclass(frozen=True)
class Job:
    """What every shard of a run has in common.

    Attributes:
        folder: the set's folder.
        recipe: the resolved config.Recipe.
        recipe_digest: its digest.
        lists: {batch: asset-list digest}.
        versions: library -> version.
        relative: True when the depth model gives no metres.
        on_bad_depth: "fail", or "skip": rows whose depth can't be stored are left out, and the footer names them.
    """

    folder: object
    recipe: object
    recipe_digest: str
    lists: dict
    versions: dict
    relative: bool = False
    on_bad_depth: str = FAIL

    def footer(self, shard, tally="", left_out=()):
        """The footer of a shard; `left_out` are the keys of planned rows that it doesn't hold."""
        numbers = (shard.batch, shard.split, shard.index, *shard.footer_range)
        digests = self.recipe_digest, self.lists[shard.batch]
        return Footer("default", *numbers, *digests, tally, self.versions, left_out_entry(left_out), shard.dropped)


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        rows: rows written.
        left_out: keys of the rows left out for their depth.
        busy_s: how long the network was at work between the end of the shard before (the beginning of the run, for the first one)
            and the end of this one [s].
        wall_s: that time in all [s].
    """

    rows: int
    left_out: tuple = ()
    busy_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Made:
    """What a run made: rows written, and how long its networks were at work, of how long rows were made, summed over processes [s]."""

    rows: int = 0
    busy_s: float = 0.0
    wall_s: float = 0.0

    @classmethod
    def of(cls, reports):
        """The sum of some ShardReports."""
        return cls(*(sum(getattr(report, name) for report in reports) for name in ("rows", "busy_s", "wall_s")))

    @property
    def depth_busy(self):
        """Share of the time in which the network was at work, 0 to 1; None where there was none or nothing to do."""
        return self.busy_s / self.wall_s if self.busy_s else None


@dataclass(eq=False)
class Batch:
    """Rows that go through the network together.

    Attributes:
        rows: (row as a dict without depth, (decoded image, decoded mask)) pairs.
        maps: (N, S, S) float32 of the rows, None without depth.
        bad: positions of rows whose maps aren't finite.
    """

    rows: list
    maps: np.ndarray | None = None
    bad: frozenset = field(default=frozenset())


class ShardMaker:
    """Makes shards of one job in one process, wherever their pictures come from."""

    def __init__(self, job, pictures, predict=None, overlapped=True):
        """Args:
        job: Job.
        pictures: function (plan.ShardPlan) -> context manager that gives a function (row of the batch and split) -> (row as a
            dict without depth, (decoded image, decoded mask)); that one is called once for each row of the shard, in order.
        predict: function (N, S, S, 3) uint8 RGB -> (N, S, S) float32, far is large; None without depth.
        overlapped: prepare and finish rows in threads while the network runs; without a network there is nothing to overlap.
        """
        self._job, self._pictures, self._predict = job, pictures, predict
        self._stages = overlap if overlapped and predict is not None else in_turn
        self._busy_s, self._told = 0.0, None  # seconds of the network; (busy, clock) at the end of the last shard

    def __call__(self, shard, on_rows=None):
        """Make one shard; returns its ShardReport. Arguments and errors: see `make`."""
        reports = []
        self.make([shard], on_rows, lambda _, report: reports.append(report))
        return reports[0]

    def make(self, shards, on_rows=None, on_shard=None):
        """Make shards one after the other.

        Args:
            shards: list of plan.ShardPlan.
            on_rows: function (number of rows), called after each row group.
            on_shard: function (shard, ShardReport), called when a shard is there. Both are called in the caller's thread.

        Raises:
            DepthModelError: the network gave a value that can't be stored; the rows' keys are named. Or no row of a shard is left.
            StorageError: the disk is full or can't be written.
            FgbgDepthError: memory ran out.
        """
        news = deque()
        if self._told is None:
            self._told = 0.0, time.perf_counter()

        def work(batch):
            self._run_network(batch)
            tell()
            return batch

        def tell():
            while news:
                call, *words = news.popleft()
                if call:
                    call(*words)

        def sink(batches):
            for shard in shards:
                news.append((on_shard, shard, self._write(shard, batches, lambda count: news.append((on_rows, count)))))

        with _memory_explained():
            self._stages(self._batches(shards), work, sink)
        tell()

    def _batches(self, shards):
        """The first stage: rows without depth, batch by batch."""
        size = self._job.recipe.depth_batch
        for shard in shards:
            with self._pictures(shard) as picture:
                for start in range(shard.start, shard.stop, size):
                    yield Batch([picture(i) for i in range(start, min(start + size, shard.stop))])

    def _run_network(self, batch):
        """The second stage: maps of a batch."""
        if self._predict is None:
            return
        started = time.perf_counter()
        try:
            predict_batch(self._predict, batch, self._job.on_bad_depth)
        finally:
            self._busy_s += time.perf_counter() - started

    def _write(self, shard, batches, on_rows):
        """The third stage, for one shard: it takes the shard's own batches and writes it; returns its ShardReport."""
        job, tally, left_out = self._job, Tally(), []
        mine = itertools.islice(batches, -(-len(shard) // job.recipe.depth_batch))
        rows = complete_rows(job, mine, tally, left_out)
        columns = schema.data_columns(job.recipe.has_depth)

        def groups():
            told = 0
            while group := list(itertools.islice(rows, job.recipe.rows_per_group)):
                yield {name: [row[name] for row in group] for name in columns}
                done = tally.rows + len(left_out)
                on_rows(done - told)
                told = done

        def footer():
            if not tally.rows:
                raise DepthModelError(
                    f"{shard.name}: no row is left, as the network gave no depth that can be stored for any of its {len(shard):,} "
                    f"pictures, such as {left_out[0]}. Its weights or its numeric precision don't suit these pictures; use another "
                    f"depth model or depth_precision. Finished shards are kept."
                )
            return job.footer(shard, tally.to_text(), left_out)

        write_table(job.folder / shard.name, columns, groups(), footer)
        before, now = self._told, (self._busy_s, time.perf_counter())
        self._told = now
        return ShardReport(tally.rows, tuple(left_out), now[0] - before[0], now[1] - before[1])


@contextlib.contextmanager
def _memory_explained():
    try:
        yield
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != NO_MEMORY:
            raise
        raise FgbgDepthError(
            f"memory ran out ({error}). Finished shards are kept: free some, or use fewer --workers, and run the same command again"
        ) from error


def composites(job, plan, studio):
    """The `pictures` of a ShardMaker that a studio composites; plan: plan.Plan, studio: studio.Studio."""

    @contextlib.contextmanager
    def pictures(shard):
        rows = plan.rows[shard.batch, shard.split]
        yield lambda i: picture_row(job.recipe, plan, rows, i, studio)

    return pictures


def shard_rows(job, plan, shard, studio, predict, tally):
    """The composited rows of a shard as dicts of the data columns, in order, made in turn; each is counted in `tally`."""
    picture, size = composites(job, plan, studio), job.recipe.depth_batch

    def batches():
        with picture(shard) as row:
            for start in range(shard.start, shard.stop, size):
                batch = Batch([row(i) for i in range(start, min(start + size, shard.stop))])
                if predict is not None:
                    predict_batch(predict, batch, job.on_bad_depth)
                yield batch

    return complete_rows(job, batches(), tally, [])


def complete_rows(job, batches, tally, left_out):
    """The rows of some batches with depth, if they have any, in order.

    Args:
        job: Job.
        batches: iterable of Batch.
        tally: stats.Tally that counts the rows.
        left_out: list that receives the keys of rows left out.

    Yields:
        dicts of the data columns.

    Raises:
        DepthModelError: a map can't be stored, and the job doesn't leave such rows out.
    """
    for batch in batches:
        for number, (row, (image, mask)) in enumerate(batch.rows):
            if number in batch.bad or (batch.maps is not None and not _add_depth(job, row, batch.maps[number])):
                left_out.append(row["key"])
                continue
            _count_row(tally, row, image, mask, job.recipe, job.relative)
            yield row


def picture_row(recipe, plan, rows, i, studio):
    """One composited row without depth, and its decoded (image, mask): row `i` of plan.Rows `rows`."""
    made = studio.composite(rows.background[i], rows.foreground[i], rows.flipped[i], rows.box[i])
    row = {
        "key": plan.key(rows, i),
        "background": plan.backgrounds[rows.background[i]].id,
        "foreground": plan.foregrounds[rows.foreground[i]].id,
        "flipped": bool(rows.flipped[i]),
        "placement": int(rows.placement[i]),
        "bbox": list(made.bbox),
        "placement_box": rows.box[i].tolist(),
        "mask_area": float(made.mask_area),
        "image": codec.encode_image(made.image, recipe.image_format, recipe.image_quality),
        "mask": codec.encode_mask(made.mask),
    }
    # A PNG gives back what was put in; a JPEG has to be looked at as the reader will see it.
    image = made.image if recipe.image_format == "png" else codec.redecode_rgb(row["image"])
    return row, (image, made.mask)


def predict_batch(predict, batch, on_bad_depth=FAIL):
    """Predict the maps of a Batch.

    Raises:
        DepthModelError: maps aren't finite, and such rows aren't to be left out; or the network failed.
    """
    images = np.stack([image for _, (image, _) in batch.rows])
    try:
        batch.maps = predict(images)
    except DepthModelError as error:
        bad = getattr(error, "indices", None)  # None: it isn't about single pictures
        if bad and on_bad_depth == SKIP:
            batch.maps, batch.bad = error.depth, frozenset(bad)
            return
        keys = [row["key"] for row, _ in batch.rows]
        at = _row_words([keys[i] for i in bad]) if bad else f"rows {keys[0]} to {keys[-1]}"
        told = "" if "inished shards" in str(error) else f" {_way_out(bad)}"
        raise DepthModelError(f"{at}: {error}{told}") from error


def _row_words(keys):
    more = f" and {len(keys) - ROWS_NAMED} more" if len(keys) > ROWS_NAMED else ""
    return f"row{'s' * (len(keys) > 1)} {', '.join(keys[:ROWS_NAMED])}{more}"


def _way_out(about_rows=True):
    return "Finished shards are kept." + (" --on-bad-depth skip leaves such rows out." if about_rows else "")


def _add_depth(job, row, depth):
    """Put a map into a row; returns False when it can't be stored and the row is to be left out."""
    encoding = job.recipe.depth_encoding
    try:
        levels, low, high = codec.quantise_depth(depth, encoding)
    except CodecError as error:
        if job.on_bad_depth == SKIP:
            return False
        raise DepthModelError(f"row {row['key']}: {error}. {_way_out()}") from error
    row["depth"] = codec.encode_gray(levels, encoding)
    row["depth_min_m"], row["depth_max_m"] = (None, None) if job.relative else (float(low), float(high))
    # JPEG changes the levels; statistics are of what a reader decodes.
    row["levels"] = codec.decode_gray(row["depth"]) if encoding == "relative8_jpeg" else levels
    return True


def _count_row(tally, row, image, mask, recipe, relative):
    levels = row.pop("levels", None)
    tally.add(image, mask, inside_of(mask, recipe), levels, millimetres_of(row, levels, relative), row["bbox"])


def millimetres_of(row, levels, relative):
    """Whole millimetres at each level of a row's depth map, or None where metres aren't known."""
    if levels is None or relative:
        return None
    return codec.level_to_millimetres(row["depth_min_m"], row["depth_max_m"], int(np.iinfo(levels.dtype).max))


@contextlib.contextmanager
def one_thread():
    """Keep OpenCV to one thread: workers share the cores. The network has its own number; nothing else here has threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def usable_cores():
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
