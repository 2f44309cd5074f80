"""From raw output to metres at the size of the picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners

sides = st.integers(1, 40)


def test_edge_cases_follow_from_the_clip():
    raw = [-5.0, -0.0, 0.0, 1e-45, 0.5, 1.0, 4.0, 100.0, 1000.0, np.inf, -np.inf, np.nan]
    expected = np.float32([0.1, 0.1, 10, 10, 10, 10, 2.5, 0.1, 0.1, 0.1, 0.1, np.nan])
    metres = raw_to_metres(np.float32(raw))
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(metres, expected)


def test_other_range():
    np.testing.assert_array_equal(raw_to_metres([0.5, 8, 100], 80.0, 1.0), np.float32([80, 10, 1]))


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=1))
def test_metres_as_the_authors_compute_them(raw):
    """The authors count in centimetres and give the fraction of 10 m; metres are ten times that."""
    raw = np.float32(raw)
    with np.errstate(divide="ignore", over="ignore"):
        fraction = np.clip(np.float32(1000) / raw, np.float32(10), np.float32(1000)) / np.float32(1000)
    np.testing.assert_allclose(raw_to_metres(raw), 10 * fraction, rtol=3e-7)


@given(sides, sides, sides, sides, st.integers(0, 2**32 - 1))
def test_resampling_equals_torch(height, width, new_height, new_width, seed):
    maps = np.random.default_rng(seed).uniform(0.1, 10, (2, height, width)).astype(np.float32)
    found = resize_align_corners(maps, (new_height, new_width))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[:, None].double(), (new_height, new_width), mode="bilinear", align_corners=True
    )[:, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_corners_and_straight_lines_are_kept():
    ramp = np.add.outer(np.arange(112.0), 2 * np.arange(112.0)).astype(np.float32)
    resized = resize_align_corners(ramp, (224, 224))
    corners = np.ix_([0, -1], [0, -1])
    np.testing.assert_array_equal(resized[corners], ramp[corners])
    exact = np.add.outer(np.linspace(0, 111, 224), 2 * np.linspace(0, 111, 224))
    np.testing.assert_allclose(resized, exact, atol=1e-4)


def test_same_size_is_a_copy():
    maps = np.float32([[1, 2], [3, 4]])
    resized = resize_align_corners(maps, (2, 2))
    np.testing.assert_array_equal(resized, maps)
    resized[0, 0] = 9
    assert maps[0, 0] == 1


@pytest.mark.parametrize("size", [(4, 4), (2, 2), (5, 3)])
def test_nan_is_never_hidden(size):
    maps = np.ones((3, 3), np.float32)
    maps[1, 1] = np.nan
    assert np.isnan(resize_align_corners(maps, (7, 7))).any()
    maps[:] = np.nan
    assert np.isnan(resize_align_corners(maps, size)).all()
