"""Names of rows, lines of annotations.txt, and masks that come back from JPEG."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees_2020 import jpeg

from fgbg_depth.assets.ids import safe_id
from fgbg_depth.original import annotations
from fgbg_depth.original.encoding import MASK_QUALITY, encode_for_tree
from fgbg_depth.original.masks import clean_mask
from fgbg_depth.original.names import RowName, parse_stem, written_names
from fgbg_depth.original.reading import _LUMINANCE, _gray, jpeg_quality

IDS = st.text(st.sampled_from("ab1_-"), min_size=1, max_size=8).map(safe_id)


@given(IDS, IDS, st.booleans(), st.integers(0, 999_999), st.integers(1, 6))
def test_names_of_ids_tell_what_was_put_in(background, foreground, flipped, k, digits):
    name = RowName(background, foreground, flipped, k, digits)
    read = parse_stem(name.stem)
    assert (read.background, read.foreground, read.flipped, read.placement) == (background, foreground, flipped, k)
    assert read.stem == name.stem


@pytest.mark.parametrize(
    ("stem", "folders", "expected"),
    [
        ("bg_1__fg_12_3", (), ("bg_1", "fg_12", False, 3)),
        ("bg_1__flip_fg_12_03", (), ("bg_1", "fg_12", True, 3)),
        ("a__b__c_1", (), ("a", "b__c", False, 1)),
        ("a__b__c_1", ("top", "a__b"), ("a__b", "c", False, 1)),
        ("a__flip__1", (), ("a", "flip_", False, 1)),  # nothing is left to be mirrored
        ("a__flip_b_1", ("elsewhere",), ("a", "b", True, 1)),
    ],
)
def test_names_of_others(stem, folders, expected):
    name = parse_stem(stem, folders)
    assert (name.background, name.foreground, name.flipped, name.placement) == expected
    assert name.stem == stem


@pytest.mark.parametrize("stem", ["", "a", "a_1", "__b_1", "a__b", "a__b_", "a__b_x", "a___1", "a__b_1234567"])
def test_other_names_are_none(stem):
    assert parse_stem(stem) is None


@given(st.sets(st.sampled_from(["x", "flip_x", "flip-x", "flip-x-2", "flip_flip_x", "flip"])))
def test_written_names_are_never_read_as_mirrored_and_never_meet(ids):
    names = written_names(ids)
    assert len(set(names.values())) == len(ids)
    for asset_id, name in names.items():
        assert parse_stem(RowName("b", name, False, 0).stem).flipped is False
        assert name == asset_id or asset_id.startswith("flip_")


def test_a_line_tells_all_of_a_row():
    row = {"background": "b", "foreground": "flip_x", "flipped": True, "placement": 4, "split": "test"}
    row |= {"bbox": [1, 2, 3, 4], "placement_box": [-5, 6, 7, 8], "depth_min_m": 0.1, "depth_max_m": None}
    text = annotations.line_of("b__flip_flip-x_4.jpg", row)
    assert text.split("\t")[-2:] == ["0.1", ""]
    ((number, line),) = annotations.read_lines([annotations.HEADER + "\r\n", text + "\r\n"])
    assert (number, line.background, line.foreground, line.split, line.box) == (2, "b", "flip_x", "test", (-5, 6, 7, 8))
    assert (line.name.flipped, line.name.placement, line.name.foreground) == (True, 4, "flip-x")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\ttest\t", "\tdev\t", "no split"),
        ("\t1\t4\t", "\t0\t4\t", "says otherwise"),
        ("\t1\t4\t", "\t1\t5\t", "says otherwise"),
        ("-5\t6", "-5\tx", "four whole numbers"),
        ("-5\t6", "99999999999\t6", "four whole numbers"),
        ("7\t8", "0\t8", "without an area"),
        ("b__", "b", "no name"),
        ("\ttest", "", "cells"),
    ],
)
def test_lines_that_cannot_be_used_say_why(old, new, words):
    row = {"background": "b", "foreground": "x", "flipped": True, "placement": 4, "split": "test"}
    row |= {"bbox": [1, 2, 3, 4], "placement_box": [-5, 6, 7, 8]}
    text = annotations.line_of("b__flip_x_4.jpg", row)
    assert old in text
    ((_, problem),) = annotations.read_lines([annotations.HEADER, text.replace(old, new, 1)])
    assert words in problem


# --- masks ---


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 90, 100])
def test_the_quality_of_a_jpeg_is_told(quality):
    assert jpeg_quality(jpeg(np.full((16, 16, 3), 90), quality)) == quality


def test_no_rounding_of_frequencies_can_move_an_exported_mask_over_the_threshold():
    """The largest error of a pixel is the sum of all half steps of the table, weighted by the cosine basis of ITU T.81 (A.3.3)."""
    scale = 200 - 2 * MASK_QUALITY
    steps = np.array([max(1, (v * scale + 50) // 100) for v in _LUMINANCE]).reshape(8, 8)
    at, frequency = np.arange(8)[:, None], np.arange(8)[None, :]
    basis = np.abs(np.cos((2 * at + 1) * frequency * np.pi / 16) * np.where(frequency == 0, np.sqrt(1 / 8), 1 / 2))
    worst = np.einsum("xu,yv,uv->xy", basis, basis, steps / 2).max()
    assert worst < 24 < 127


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.3, 0.5]))
def test_binary_masks_come_back_from_an_export_exactly(seed, part):
    mask = np.where(np.random.default_rng(seed).random((24, 24)) < part, 255, 0).astype(np.uint8)
    from fgbg_depth.codec import encode_mask

    levels = _gray(encode_for_tree("mask", encode_mask(mask), lossless=False))
    assert np.array_equal(clean_mask(levels), mask)


def test_ripples_beside_an_edge_go_and_all_else_stays():
    levels = np.zeros((64, 64), np.uint8)
    levels[20:40, 20:40] = 255
    expected = np.where(levels, 255, 0).astype(np.uint8)
    levels[24, 30], levels[18, 25:27] = 120, 135  # a hole and a speck of JPEG
    assert np.array_equal(clean_mask(levels), expected)
    strong, far, large = levels.copy(), levels.copy(), levels.copy()
    strong[16, 30], far[60, 60], large[10:13, 30:34] = 250, 135, 135
    for drawn in (strong, far, large):
        kept = clean_mask(drawn)
        changed = (drawn != levels) & (drawn >= 128)
        assert changed.any() and (kept[changed] == 255).all()
        assert np.array_equal(kept[~changed], expected[~changed])


def test_a_mask_of_nothing_but_a_speck_stays():
    levels = np.zeros((32, 32), np.uint8)
    levels[5, 5] = 130
    assert np.count_nonzero(clean_mask(levels)) == 1
    assert not clean_mask(np.zeros((8, 8), np.uint8)).any() and clean_mask(np.full((8, 8), 255, np.uint8)).all()
