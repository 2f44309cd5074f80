"""Cutting out by a key colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.assets.keying import MAX_KEY_TOLERANCE, key_alpha, parse_key_color
from fgbg_depth.errors import UsageError


@pytest.mark.parametrize("text", ["#00ff00", "00ff00", "#0f0", "0F0", " #00FF00 ", (0, 255, 0)])
def test_colours(text):
    assert parse_key_color(text) == (0, 255, 0)


@pytest.mark.parametrize("text", ["", "#", "green", "#00ff0", "#00ff00ff", "##00ff00", "0,255,0", (0, 255), (0, 256, 0), (0, 1.5, 2)])
def test_what_is_no_colour(text):
    with pytest.raises(UsageError, match="isn't a colour; expected six hex digits"):
        parse_key_color(text)


@pytest.mark.parametrize("tolerance", [-1, 128, 3.5, True, None])
def test_what_is_no_tolerance(tolerance):
    with pytest.raises(UsageError, match=r"isn't a whole number in 0\.\.127"):
        key_alpha(np.zeros((1, 1, 3), np.uint8), "#000", tolerance)


def test_ramp_by_hand():
    distances = np.array([[0, 9, 10, 11, 15, 19, 20, 21, 255]], np.uint8)
    rgb = np.stack([np.full_like(distances, 0), 255 - distances, np.full_like(distances, 0)], axis=-1)
    alpha = key_alpha(rgb, "#00ff00", 10)
    assert alpha.dtype == np.uint8
    assert alpha.tolist() == [[0, 0, 0, 26, 128, 230, 255, 255, 255]]  # 25.5, 127.5 and 229.5 go up


def test_tolerance_zero_takes_only_the_colour_itself():
    rgb = np.array([[[0, 255, 0], [1, 255, 0], [0, 254, 0]]], np.uint8)
    assert key_alpha(rgb, "#00ff00", 0).tolist() == [[0, 255, 255]]


@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.integers(0, MAX_KEY_TOLERANCE),
)
def test_alpha_is_the_rounded_ramp(colour, key, tolerance):
    alpha = int(key_alpha(np.array([[colour]], np.uint8), key, tolerance)[0, 0])
    distance = max(abs(a - b) for a, b in zip(colour, key, strict=True))
    exact = 255 * min(max((distance - tolerance) / max(tolerance, 1), 0), 1)
    assert abs(alpha - exact) <= 0.5
