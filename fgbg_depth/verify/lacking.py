"""Rows that data files lack, as the depth network failed on them: what the footers tell, against the plan."""

import numpy as np

from ..errors import DataError
from ..shards import read_footer

KEYS_NAMED = 3


def read_lacking(folder, plan, recipe, found):
    """See which planned rows the data files lack by their own word.

    A file that names other keys than planned ones, twice or in another order, is found, and taken as if it named none.

    Args:
        folder: pathlib.Path of the set.
        plan: plan.Plan.
        recipe: config.Recipe.
        found: Findings.

    Returns:
        {data file: rows of its (batch, split) that it lacks, ascending}, of those files that lack some.
    """
    lacking = {}
    for shard in plan.shards() if recipe.has_depth else ():
        keys = _told(folder, shard)
        if not keys:
            continue
        rows = plan.rows[shard.batch, shard.split]
        planned = {plan.key(rows, i): i for i in range(shard.start, shard.stop)}
        strange = [key for key in keys if key not in planned]
        numbers = [planned[key] for key in keys if key in planned]
        if strange:
            some = ", ".join(map(repr, strange[:KEYS_NAMED]))
            found.add(shard.name, f"its footer leaves out rows that the plan doesn't have in this file, such as {some}")
        elif numbers != sorted(set(numbers)):
            found.add(shard.name, "its footer names rows that are left out twice, or in another order than the plan's")
        else:
            lacking[shard.name] = tuple(numbers)
    return lacking


def _told(folder, shard):
    """Keys that a data file leaves out; none where it can't be read, which is found elsewhere."""
    try:
        return read_footer(folder / shard.name).left_out
    except DataError:
        return ()


def held_rows(shard, lacking):
    """Rows of the (batch, split) that a data file holds, in order: (N,) int64.

    Args:
        shard: plan.ShardPlan.
        lacking: rows that it lacks.
    """
    rows = np.arange(shard.start, shard.stop)
    return np.setdiff1d(rows, lacking, assume_unique=True) if lacking else rows
