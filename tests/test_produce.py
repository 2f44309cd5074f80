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

    def make(recipe, predict, relative=False, tally=None, on_bad_depth="fail"):
        job = Job(prepared.folder, recipe, "", {}, {}, relative, on_bad_depth)
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


@pytest.mark.parametrize("encoding", ["relative8", "metric16"])
def test_rows_without_depth_that_can_be_stored_are_left_out(rows_of, encoding):
    recipe, tally = WITH_DEPTH.replace(depth_encoding=encoding), Tally()
    keys = [row["key"] for row in rows_of(PLAIN, None)]

    def predict(images):
        depth = images.astype(np.float32).mean(axis=3) / 50 + 0.5
        if encoding == "metric16":
            depth[2] = 70  # finite, and more than the encoding holds
            return depth
        depth[2] = np.nan
        raise BadDepthError("Depth model 'x' gave NaN.", [2], depth)

    rows = list(rows_of(recipe, predict, tally=tally, on_bad_depth="skip"))
    assert [row["key"] for row in rows] == [key for i, key in enumerate(keys) if i % 5 != 2]
    assert tally.rows == 80
    good = list(rows_of(recipe, lambda images: images.astype(np.float32).mean(axis=3) / 50 + 0.5))
    assert rows == [row for i, row in enumerate(good) if i % 5 != 2]


def test_an_error_that_is_not_about_rows_is_never_skipped(rows_of):
    def predict(images):
        raise DepthModelError("out of memory")

    with pytest.raises(DepthModelError, match="out of memory"):
        list(rows_of(WITH_DEPTH, predict, on_bad_depth="skip"))


def test_many_bad_rows_are_not_all_named(rows_of):
    def predict(images):
        raise BadDepthError("NaN.", list(range(10)), None)

    recipe = WITH_DEPTH.replace(depth_batch=10)
    with pytest.raises(DepthModelError, match=r"and 5 more: NaN\. Finished shards are kept\. --on-bad-depth skip leaves such rows out\.$"):
        list(rows_of(recipe, predict))
