"""Resizing and compositing: no fringe, no truncation, borders, known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fgbg_depth.composite import Canvas, blend, make_mask, tight_box
from fgbg_depth.resize import contained_size, fit_background, make_cutout, resize_planes


def disc(size, colour, hidden):
    """A one-coloured disc with a soft rim; transparent pixels hide another colour."""
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    alpha = np.clip(size * 0.4 - np.hypot(xx, yy) + 0.5, 0, 1)
    rgba = np.empty((size, size, 4), np.uint8)
    rgba[..., :3] = np.where(alpha[..., None] > 0, colour, hidden)
    rgba[..., 3] = np.rint(alpha * 255)
    return rgba


@pytest.mark.parametrize("size", [(10, 10), (33, 33), (61, 40), (97, 97), (150, 150)])
def test_flat_disc_has_no_fringe(size):
    colour = np.array([200, 30, 90])
    cutout = make_cutout(disc(97, colour, (0, 255, 0)), size)
    # Over its own colour a one-coloured cut-out is invisible, whatever its alpha.
    background = np.tile(colour.astype(np.float32), (200, 200, 1))
    out = blend(Canvas.of(background), cutout, (7, 3, *size))
    assert np.abs(out.astype(int) - colour).max() == 0
    assert 0 < cutout.alpha.max() <= 1 and cutout.alpha.min() >= 0
    visible = cutout.alpha > 1e-3
    assert np.abs(cutout.colour[visible] / cutout.alpha[visible][:, None] - colour).max() < 0.01


pixels = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(4)))


@given(rgba=pixels, x=st.integers(-30, 30), y=st.integers(-30, 30), seed=st.integers(0, 99), kind=st.sampled_from(["binary", "matte"]))
def test_blend_and_mask_against_float64(rgba, x, y, seed, kind):
    side = 20
    exact = np.random.default_rng(seed).uniform(0, 255, (side, side, 3)).astype(np.float32)
    height, width = rgba.shape[:2]
    cutout = make_cutout(rgba, (width, height))  # not resized: the reference needs no filter
    out = blend(Canvas.of(exact), cutout, (x, y, width, height))
    mask = make_mask(cutout, (x, y, width, height), side, kind, 100)
    expected, expected_mask = exact.astype(np.float64), np.zeros((side, side), int)
    for row in range(height):
        for column in range(width):
            if 0 <= y + row < side and 0 <= x + column < side:
                alpha = rgba[row, column, 3] / 255
                below = expected[y + row, x + column]
                expected[y + row, x + column] = below * (1 - alpha) + rgba[row, column, :3].astype(float) * alpha
                set_to = rgba[row, column, 3] if kind == "matte" else 255 * (rgba[row, column, 3] >= 100)
                expected_mask[y + row, x + column] = set_to
    assert np.abs(out - expected).max() <= 0.5 + 1e-4
    assert (mask == expected_mask).all()


@pytest.mark.parametrize("corner", [(0, 0), (31, 0), (0, 31), (31, 31)])
def test_one_pixel_at_every_corner(corner):
    cutout = make_cutout(np.full((1, 1, 4), 255, np.uint8), (1, 1))
    canvas = Canvas.of(np.zeros((32, 32, 3), np.float32))
    out, mask = blend(canvas, cutout, (*corner, 1, 1)), make_mask(cutout, (*corner, 1, 1), 32, "binary", 128)
    assert out.sum() == 3 * 255 and out[corner[1], corner[0]].tolist() == [255, 255, 255]
    assert tight_box(mask > 0) == (*corner, 1, 1)


def test_blending_rounds():
    # 100 * 0.5 + 101 * 0.5 = 100.5 and 10.6: truncation would give 100 and 10.
    canvas = Canvas.of(np.full((4, 4, 3), 10.6, np.float32))
    assert canvas.rounded[0, 0].tolist() == [11, 11, 11]
    clear = make_cutout(np.zeros((2, 2, 4), np.uint8), (2, 2))
    assert blend(canvas, clear, (0, 0, 2, 2))[0, 0].tolist() == [11, 11, 11]


@given(visible=arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_tight_box(visible):
    x, y, width, height = tight_box(visible)
    if not visible.any():
        assert (x, y, width, height) == (0, 0, 0, 0)
        return
    inside = visible[y : y + height, x : x + width]
    assert inside.sum() == visible.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), box=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_contained_size(width, height, box):
    w, h = contained_size(width, height, *box)
    assert 1 <= w <= box[0] and 1 <= h <= box[1]
    assert w == box[0] or h == box[1]
    # The other side is the exact one, rounded.
    exact = min(box[0] / width, box[1] / height)
    assert abs(w - max(1, width * exact)) <= 0.5 + 1e-9 and abs(h - max(1, height * exact)) <= 0.5 + 1e-9


def test_resize_keeps_means_and_flat_pictures():
    ramp = np.linspace(0, 255, 96, dtype=np.float32)[None, :].repeat(64, 0)
    small = resize_planes(ramp, (12, 8))
    assert small.shape == (8, 12)
    assert abs(small.mean() - ramp.mean()) < 0.2
    flat = np.full((50, 70, 3), 77, np.float32)
    assert (resize_planes(flat, (23, 31)) == 77).all()


def test_background_fits():
    rgb = np.zeros((40, 80, 3), np.uint8)
    rgb[:, :20], rgb[:, 20:60], rgb[:, 60:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    crop = fit_background(rgb, 40, "crop")
    assert np.abs(crop - [0, 255, 0]).max() == 0
    pad = fit_background(rgb, 40, "pad")
    assert (pad[:10] == 0).all() and (pad[30:] == 0).all()
    assert pad[20, 2].tolist() == [255, 0, 0] and pad[20, -3].tolist() == [0, 0, 255]
    stretch = fit_background(rgb, 40, "stretch")
    assert stretch[20, 2].tolist() == [255, 0, 0] and stretch[0, 20].tolist() == [0, 255, 0]


def test_mirrored_cutout_is_the_exact_mirror():
    rgba = np.random.default_rng(0).integers(0, 256, (31, 17, 4), dtype=np.uint8)
    cutout = make_cutout(rgba, (9, 20))
    mirrored = cutout.mirrored()
    assert (mirrored.alpha == cutout.alpha[:, ::-1]).all() and (mirrored.colour == cutout.colour[:, ::-1]).all()
    assert mirrored.size == (9, 20)
