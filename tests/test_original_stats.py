"""The two ways of 2020 against exact statistics, and the comparison with the published ones."""

import numpy as np
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.original import annotations, exporting, published
from fgbg_depth.original.encoding import DEPTH_QUALITY, IMAGE_QUALITY, MASK_QUALITY
from fgbg_depth.original.methods import batch_averages, two_passes


def batches_of(seed, count, size):
    """Batches of one size whose brightness differs from batch to batch."""
    rng = np.random.default_rng(seed)
    return [np.clip(rng.normal(rng.uniform(0, 255), 40, (size, 4, 4, 3)), 0, 255).astype(np.uint8) for _ in range(count)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 4))
def test_both_ways_against_all_pixels_at_once(seed, count, size):
    batches = batches_of(seed, count, size)
    pixels = np.concatenate([b.reshape(-1, 3) for b in batches]) / 255
    mean, std = two_passes(lambda: iter(batches))
    np.testing.assert_allclose([mean, std], [pixels.mean(axis=0), pixels.std(axis=0)], rtol=1e-12)
    mean, std = batch_averages(batches)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    assert (std <= pixels.std(axis=0) + 1e-12).all()  # the mean of the batches hides how they differ


def test_the_first_way_misses_the_variance_between_batches():
    black, white = np.zeros((2, 4, 4, 1), np.uint8), np.full((2, 4, 4, 1), 255, np.uint8)
    assert batch_averages([black, white])[1] == 0
    assert two_passes(lambda: iter([black, white]))[1] == 0.5


def test_a_smaller_last_batch_counts_as_much():
    batches = [np.zeros((9, 1, 1), np.uint8), np.full((1, 1, 1), 255, np.uint8)]
    assert batch_averages(batches)[0] == 0.5
    assert two_passes(lambda: iter(batches))[0] == 0.1


def test_the_comparison_shows_published_and_counted_values():
    summary = {"image": {"mean": [0.6045, 0.6, 0.5], "std": [0.2815, 0.28, 0.3]}, "mask": {"mean": 0.06, "std": 0.23}}
    lines = published.table(published.compare(summary))
    assert len(lines) == 5  # no depth
    assert lines[1].split() == ["image", "R", "0.6045", "0.6045", "+0.0000", "0.2815", "0.2815", "+0.0000"]
    assert lines[4].split() == ["mask", "0.0563", "0.0600", "+0.0037", "0.2252", "0.2300", "+0.0048"]
    assert len(published.table(published.compare(summary | {"depth": {"mean": 0.4, "std": 0.2}}))) == 6


def test_the_set_of_2020_is_known_by_its_numbers():
    assert published.is_that_set(400_000, 100, 100, 224)
    assert not published.is_that_set(399_999, 100, 100, 224)
    assert not published.is_that_set(400_000, 100, 100, 160)


def test_the_page_tells_what_the_code_does():
    page = (ROOT / "docs" / "original_set.md").read_text(encoding="utf-8")
    assert all(f"{value:.4f}" in page for pair in published.PUBLISHED.values() for value in pair)
    named = [name for name in annotations.COLUMNS if name not in ("placement_y", "placement_width")]  # shown by three dots
    assert [name for name in (*named, annotations.ANNOTATIONS_NAME, exporting.MARK_NAME) if f"{name}" not in page] == []
    assert {DEPTH_QUALITY, IMAGE_QUALITY, MASK_QUALITY} == {95} and "JPEG of quality 95" in page
