"""Make one shard: composite, encode, decode, predict depth, count, write.

Depth is predicted from the decoded stored picture, in batches that are cut by the row's position in its shard and never
cross into the next one; so a row's bytes depend on nothing but the recipe, the weights and that position.
"""

import contextlib
import itertools
import os
from dataclasses import dataclass

import numpy as np

from . import codec, schema
from .errors import CodecError, DepthModelError
from .shards import Footer, write_table
from .stats import Tally
from .studio import inside_of


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
    """

    folder: object
    recipe: object
    recipe_digest: str
    lists: dict
    versions: dict
    relative: bool = False

    def footer(self, shard, tally=""):
        """The footer of a shard."""
        numbers = (shard.batch, shard.split, shard.index, shard.start, shard.stop)
        return Footer("default", *numbers, self.recipe_digest, self.lists[shard.batch], tally, self.versions)


def make_shard(job, plan, shard, studio, predict=None, on_rows=None):
    """Composite and write one shard.

    Args:
        job: Job.
        plan: plan.Plan that holds the shard's rows.
        shard: plan.ShardPlan.
        studio: studio.Studio.
        predict, on_rows: see `write_shard`, which also says what is raised.
    """
    write_shard(job, shard, _composites(job, plan, shard, studio), predict, on_rows)


def write_shard(job, shard, picture, predict=None, on_rows=None):
    """Complete and write one shard, wherever its pictures come from.

    Args:
        job: Job.
        shard: plan.ShardPlan.
        picture: function (row of the batch and split) -> (row as a dict without depth, (decoded image, decoded mask)); it is
            called once for each row of the shard, in order.
        predict: function (N, S, S, 3) uint8 RGB -> (N, S, S) float32, far is large; None without depth.
        on_rows: function (number of rows), called after each row group.

    Raises:
        DepthModelError: the network gave a value that can't be stored; the row's key is named.
        StorageError: the disk is full or can't be written.
    """
    tally = Tally()
    rows = complete_rows(job, shard, picture, predict, tally)
    columns = schema.data_columns(job.recipe.has_depth)

    def groups():
        while group := list(itertools.islice(rows, job.recipe.rows_per_group)):
            yield {name: [row[name] for row in group] for name in columns}
            if on_rows:
                on_rows(len(group))

    write_table(job.folder / shard.name, columns, groups(), lambda: job.footer(shard, tally.to_text()))


def shard_rows(job, plan, shard, studio, predict, tally):
    """The composited rows of a shard as dicts of the data columns, in order; each is counted in `tally`."""
    return complete_rows(job, shard, _composites(job, plan, shard, studio), predict, tally)


def _composites(job, plan, shard, studio):
    """The `picture` function of rows that a studio composites."""
    rows = plan.rows[shard.batch, shard.split]
    return lambda i: _picture_row(job.recipe, plan, rows, i, studio)


def complete_rows(job, shard, picture, predict, tally):
    """The rows of a shard with depth, if it has any, in order; each is counted in `tally`. Arguments: see `write_shard`."""
    recipe = job.recipe
    for start in range(shard.start, shard.stop, recipe.depth_batch):
        batch = [picture(i) for i in range(start, min(start + recipe.depth_batch, shard.stop))]
        if predict is not None:
            maps = _predict(predict, batch)
            for (row, _), depth in zip(batch, maps, strict=True):
                _add_depth(row, depth, recipe, job.relative)
        for row, (image, mask) in batch:
            _count_row(tally, row, image, mask, recipe, job.relative)
            yield row


def _picture_row(recipe, plan, rows, i, studio):
    """One row without depth, and its decoded image and mask."""
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


def _predict(predict, batch):
    images = np.stack([image for _, (image, _) in batch])
    try:
        return predict(images)
    except DepthModelError as error:
        bad = [batch[i][0]["key"] for i in getattr(error, "indices", range(len(batch)))]
        raise DepthModelError(f"row{'s' * (len(bad) > 1)} {', '.join(bad)}: {error} Finished shards are kept.") from error


def _add_depth(row, depth, recipe, relative):
    try:
        levels, low, high = codec.quantise_depth(depth, recipe.depth_encoding)
    except CodecError as error:
        raise DepthModelError(f"row {row['key']}: {error}") from error
    row["depth"] = codec.encode_gray(levels, recipe.depth_encoding)
    row["depth_min_m"], row["depth_max_m"] = (None, None) if relative else (float(low), float(high))
    # JPEG changes the levels; statistics are of what a reader decodes.
    row["levels"] = codec.decode_gray(row["depth"]) if recipe.depth_encoding == "relative8_jpeg" else levels


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
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def usable_cores():
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
