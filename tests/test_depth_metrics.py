"""Depth errors against values worked out by hand, and the score of a pasted person on drawn scenes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.depth.training.metrics import depth_errors, mean_errors, person_scores, ring_around, valid_pixels
from fgbg_depth.errors import DataError


def test_four_pixels_by_hand():
    true = np.array([[1.0, 2.0], [4.0, 8.0]])
    pred = np.array([[1.2, 2.6], [4.0, 4.0]])  # ratios 1.2, 1.3, 1, 2
    errors = depth_errors(pred, true)
    assert errors["delta1"] == 0.5  # 1.2 and 1 are below 1.25
    assert errors["delta2"] == 0.75  # 1.3 < 1.5625
    assert errors["delta3"] == 0.75  # 2 > 1.953125
    assert errors["abs_rel"] == pytest.approx((0.2 + 0.3 + 0.0 + 0.5) / 4)
    assert errors["rmse_m"] == pytest.approx(math.sqrt((0.04 + 0.36 + 0 + 16) / 4))
    expected = (math.log10(1.2) + math.log10(1.3) + math.log10(2)) / 4
    assert errors["log10"] == pytest.approx(expected)


def test_ratio_of_exactly_1_25_is_no_hit():
    assert depth_errors(np.full((2, 2), 1.25), np.full((2, 2), 1.0))["delta1"] == 0.0


def test_median_alignment_removes_one_factor():
    true = np.array([[1.0, 2.0, 4.0]])
    errors = depth_errors(true * 0.5, true, align_median=True)
    assert errors["delta1"] == 1.0
    assert errors["abs_rel"] == pytest.approx(0.0)
    assert depth_errors(true * 0.5, true)["abs_rel"] == pytest.approx(0.5)


def test_median_alignment_by_hand():
    true, pred = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0, 3.0]])  # medians 2 and 3: factor 2/3
    expected = (1 / 3 + (8 / 3 - 2) / 2 + 1 / 3) / 3
    assert depth_errors(pred, true, align_median=True)["abs_rel"] == pytest.approx(expected)


def test_prediction_is_clipped_to_the_range():
    assert depth_errors(np.full((1, 1), 50.0), np.full((1, 1), 10.0))["abs_rel"] == 0.0
    assert depth_errors(np.full((1, 1), 0.01), np.full((1, 1), 0.1))["abs_rel"] == 0.0


def test_only_depths_of_the_range_count():
    true = np.array([[0.0, 0.05, 0.1, 1.0, 10.0, 10.5, np.nan, np.inf]])
    assert valid_pixels(true).tolist() == [[False, False, True, True, True, False, False, False]]
    pred = np.where(valid_pixels(true), np.nan_to_num(true), 99.0)
    assert depth_errors(pred, true)["delta1"] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_predictions_that_are_no_depth_are_refused(bad):
    with pytest.raises(DataError, match="metres above 0"):
        depth_errors(np.array([[1.0, bad]]), np.ones((1, 2)))


def test_other_shape_and_no_valid_pixel_are_refused():
    with pytest.raises(DataError, match="resample first"):
        depth_errors(np.ones((2, 2)), np.ones((4, 4)))
    with pytest.raises(DataError, match="metres"):
        depth_errors(np.ones((2, 2)), np.full((2, 2), 2500.0))
    with pytest.raises(DataError, match="empty"):
        mean_errors([])


def test_mean_counts_each_picture_alike():
    assert mean_errors([{"a": 1.0, "b": 0.0}, {"a": 2.0, "b": 1.0}]) == {"a": 1.5, "b": 0.5}


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=20), st.floats(0.02, 50.0))
def test_alignment_makes_scale_irrelevant(values, factor):
    true = np.array([values])
    pred = np.sqrt(true)
    one, other = depth_errors(pred, true, align_median=True), depth_errors(pred * factor, true, align_median=True)
    assert one["abs_rel"] == pytest.approx(other["abs_rel"], abs=1e-9)
    assert one["delta1"] <= one["delta2"] <= one["delta3"]


def test_ring_is_the_set_of_pixels_at_a_distance():
    mask = np.zeros((40, 50), bool)
    mask[10:14, 5:9] = mask[30, 48] = True
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[:40, :50]
    distance = np.min(np.maximum(abs(y[..., None] - rows), abs(x[..., None] - columns)), axis=-1)
    assert np.array_equal(ring_around(mask, 3, 14), (distance >= 3) & (distance <= 14))


def test_person_before_and_behind_the_wall():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 25:35] = True
    wall = np.full((60, 60), 4.0)
    near = np.where(mask, 3.0, 4.0)
    assert person_scores(near, wall, mask) == {"before_wall": True, "before_ring": True, "ratio": 0.75, "outline": 1.0}
    far = np.where(mask, 5.0, 4.0)
    assert person_scores(far, wall, mask) == {"before_wall": False, "before_ring": False, "ratio": 1.25, "outline": 0.0}


def test_person_equal_to_the_wall_is_not_in_front():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 25:35] = True
    wall = np.full((60, 60), 4.0)
    scores = person_scores(wall, wall, mask)
    assert not scores["before_wall"] and not scores["before_ring"]


def test_the_outline_of_a_halo_and_of_half_a_person():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:30] = True
    wall = np.full((60, 60), 4.0)
    halo = wall.copy()
    halo[18:42, 18:32] = 2.0  # 24 x 14 in place of 20 x 10
    assert person_scores(halo, wall, mask)["outline"] == pytest.approx(200 / 336)
    legless = wall.copy()
    legless[20:35, 20:30] = 2.0
    assert person_scores(legless, wall, mask)["outline"] == pytest.approx(150 / 200)
    elsewhere = np.where(mask, 2.0, 4.0)
    elsewhere[:3] = 1.0  # farther from the person than is looked at
    assert person_scores(elsewhere, wall, mask)["outline"] == 1.0


def test_everything_moved_nearer_is_not_told_by_the_wall_score_alone():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 25:35] = True
    wall = np.full((60, 60), 4.0)
    scores = person_scores(wall * 0.5, wall, mask)
    assert scores["before_wall"] and not scores["before_ring"]


@pytest.mark.parametrize("value", [False, True])
def test_empty_or_full_mask_is_refused(value):
    with pytest.raises(DataError, match="of 100 pixels"):
        person_scores(np.ones((10, 10)), np.ones((10, 10)), np.full((10, 10), value))
