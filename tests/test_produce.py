"""Making rows: what happens when the network gives what can't be stored, and what a row holds."""

import numpy as np
import pytest
from conftest import SAMPLES

from fgbg_depth.asset_tables import PlannedReader
from fgbg_depth.config import Recipe
from fgbg_depth.depth.estimator import BadDepthError
from fgbg_depth.errors import DepthModelError
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.produce import Job, shard_rows
from fgbg_depth.stats import Tally
from fgbg_depth.studio import CutoutMaker, FittedCanvases, Studio

PLAIN = Recipe(image_size=64, foreground_size=(30, 24), placements=1, depth_model="none", hold_out="none", depth_batch=5)
WITH_DEPTH = PLAIN.replace(depth_model="densedepth-mini")


@pytest.fixture(scope="module")
def rows_of(tmp_path_factory):
    prepared = prepare(tmp_path_factory.mktemp("no") / "set", PLAIN, Options(SAMPLES / "bg", SAMPLES / "fg"))
    plan, work = prepared.plan, prepared.work
    readers = {kind: PlannedReader(work.entries[kind], work.newcomers[kind], PLAIN) for kind in work.entries}
    canvases = FittedCanvases(PLAIN, plan.backgrounds, readers["background"])
    studio = Studio(PLAIN, canvases, CutoutMaker(plan.foregrounds, readers["foreground"]))

    def make(recipe, predict, relative=False, tally=None):
        job = Job(prepared.folder, recipe, "", {}, {}, relative)
        return shard_rows(job, plan, plan.shards()[0], studio, predict, tally or Tally())

    return make


def test_rows_without_depth(rows_of):
    tally = Tally()
    rows = list(rows_of(PLAIN, None, tally=tally))
    assert len(rows) == 100 and tally.rows == 100
    assert "depth" not in rows[0]
    assert len({row["key"] for row in rows}) == 100


def test_depth_comes_in_batches_of_the_stored_pictures(rows_of):
    seen = []

    def predict(images):
        seen.append(len(images))
        return images.astype(np.float32).mean(axis=3) / 50 + 0.5

    rows = list(rows_of(WITH_DEPTH, predict))
    assert seen == [5] * 20
    assert all(0.5 <= row["depth_min_m"] < row["depth_max_m"] <= 5.6 for row in rows)
    relative = next(rows_of(WITH_DEPTH, predict, relative=True))
    assert relative["depth_min_m"] is None and relative["depth_max_m"] is None
    assert relative["depth"] == rows[0]["depth"]


def test_bad_depth_names_the_rows(rows_of):
    keys = [row["key"] for row in rows_of(PLAIN, None)]

    def predict(images):
        raise BadDepthError("Depth model 'x' gave NaN.", [1, 3], None)

    with pytest.raises(DepthModelError, match="gave NaN") as caught:
        list(rows_of(WITH_DEPTH, predict))
    assert str(caught.value).startswith(f"rows {keys[1]}, {keys[3]}: ")


def test_depth_outside_of_the_encoding_names_the_row(rows_of):
    recipe = WITH_DEPTH.replace(depth_encoding="metric16")
    keys = [row["key"] for row in rows_of(PLAIN, None)]
    with pytest.raises(DepthModelError, match=r"doesn't fit metric16") as caught:
        list(rows_of(recipe, lambda images: np.full(images.shape[:3], 70, np.float32)))
    assert keys[0] in str(caught.value)
