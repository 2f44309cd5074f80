"""Statistics: exact sums of whole numbers that merge in any order, equal to plain numpy on what `load_dataset` gives."""

import json
import math
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from real_runs import make_pictures
from small_sets import recipe, small_set

from fgbg_depth.codec import depth_to_metres, level_to_millimetres
from fgbg_depth.config import Recipe
from fgbg_depth.finish import split_tallies
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options
from fgbg_depth.stats import AREA_BINS, CONSOLIDATE_AT, HEATMAP_CELLS, QUANTILES, Sparse, Tally, moments, stats_json
from fgbg_depth.verify.tables import MAX_ENTRY_BYTES, MAX_GROUP_BYTES, footer_bytes

TIGHT = 1e-12  # relative: what is left of float64 after sums over all pixels
HALF_BIN_M = 0.0005  # metres are counted in bins of 1 mm


# --- stats.json against plain numpy on the rows of load_dataset -----------------------------------------------


@pytest.fixture(scope="module")
def matte(tmp_path_factory):
    """A set with soft masks, an own threshold, and a side that the heat map's 28 cells don't divide."""
    home = tmp_path_factory.mktemp("matte")
    pictures = make_pictures(home, range(4), range(2))
    made = Recipe(
        image_size=50, foreground_size=(30, 24), placements=3, overhang=0.6, mask="matte", mask_threshold=90, image_format="png",
        depth_model="none", rows_per_shard=9, first_shard_rows=4, rows_per_group=4, splits=(0.5, 0.25, 0.25),
    )  # fmt: skip
    generate(home / "set", made, Options(pictures.backgrounds, pictures.foregrounds, num_workers=1))
    return home / "set", made


@pytest.fixture(scope="module", params=["plain", "one_split", "relative8", "metric16", "unscaled", "matte"])
def case(request, tmp_path_factory):
    """(stats.json, {split: arrays of all rows as load_dataset decodes them}, recipe)."""
    name = request.param
    folder, made = request.getfixturevalue("matte") if name == "matte" else (small_set(name), recipe(name))
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path_factory.mktemp("cache")))
    arrays = {split: arrays_of(rows, made.has_depth) for split, rows in loaded.items()}
    together = {column: np.concatenate([arrays[s][column] for s in arrays]) for column in next(iter(arrays.values()))}
    return json.loads((folder / "stats.json").read_text()), {**arrays, "all": together}, made


def arrays_of(rows, has_depth):
    """{column: all values of a split}; pictures as (N, S, S[, 3])."""
    columns = ["image", "mask", *(["depth", "depth_min_m", "depth_max_m"] if has_depth else [])]
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in columns}


def agree(stated, values, count=None):
    """Compare mean, std, count, range and quantiles with two passes over the values."""
    values = np.ravel(values)
    assert stated["count"] == values.size
    if values.size == 0:
        assert stated == {"mean": None, "std": None, "count": 0, "min": None, "max": None, "quantiles": None}
        return
    mean = values.mean(dtype=np.float64)
    assert stated["mean"] == pytest.approx(mean, rel=TIGHT)
    assert stated["std"] == pytest.approx(np.sqrt(np.mean((values - mean) ** 2)), rel=1e-9, abs=1e-12)
    assert (stated["min"], stated["max"]) == (pytest.approx(values.min(), rel=TIGHT), pytest.approx(values.max(), rel=TIGHT))
    assert list(stated["quantiles"]) == [str(q) for q in QUANTILES]
    for q, value in stated["quantiles"].items():
        assert value == pytest.approx(np.quantile(values, float(q), method="inverted_cdf"), rel=TIGHT)


def channel_of(stated, channel):
    """The statistics of one channel, in the form of those of a gray column."""
    one = {name: stated[name][channel] for name in ("mean", "std", "min", "max")}
    quantiles = {q: values[channel] for q, values in stated["quantiles"].items()}
    return {**one, "count": stated["count"], "quantiles": quantiles if None not in quantiles.values() else None}


def test_splits_are_those_of_the_data_and_all(case):
    stats, arrays, _ = case
    assert list(stats) == list(arrays) and list(stats)[-1] == "all"
    for split in stats:
        metric = "depth" in arrays[split] and arrays[split]["depth_min_m"].dtype != object  # None where there are no metres
        assert list(stats[split]) == ["image", "mask"] + ["depth"] * ("depth" in arrays[split]) + ["depth_m"] * metric


def test_image(case):
    stats, arrays, made = case
    for split, rows in arrays.items():
        values, inside, stated = rows["image"] / 255.0, rows["mask"] >= made.mask_threshold, stats[split]["image"]
        for channel in range(3):
            agree(channel_of(stated, channel), values[..., channel])
            agree(channel_of(stated["inside"], channel), values[..., channel][inside])
            agree(channel_of(stated["outside"], channel), values[..., channel][~inside])
            assert stated["histogram"][channel] == np.bincount(rows["image"][..., channel].ravel(), minlength=256).tolist()


def test_mask_area_and_heat_map(case):
    stats, arrays, made = case
    for split, rows in arrays.items():
        mask, stated = rows["mask"], stats[split]["mask"]
        inside, side = mask >= made.mask_threshold, mask.shape[1]
        agree(stated, mask / 255.0)
        assert stated["histogram"] == np.bincount(mask.ravel(), minlength=256).tolist()
        area = inside.reshape(len(mask), -1).mean(axis=1)
        agree(stated["area"], area)
        counts = inside.reshape(len(mask), -1).sum(axis=1)
        expected = np.zeros(AREA_BINS, int)
        for pixels in counts.tolist():
            expected[min(pixels * 100 // side**2, 99)] += 1
        assert stated["area"]["histogram"] == expected.tolist()
        for row in range(HEATMAP_CELLS):
            for column in range(HEATMAP_CELLS):
                ys, xs = ([p for p in range(side) if p * HEATMAP_CELLS // side == cell] for cell in (row, column))
                part = inside[:, ys][:, :, xs].mean()
                assert stated["placement_heatmap"][row][column] == pytest.approx(part, rel=TIGHT)


def test_depth_levels(case):
    stats, arrays, made = case
    for split, rows in arrays.items():
        assert ("depth" in stats[split]) == made.has_depth
        if not made.has_depth:
            continue
        full_scale = 65535 if made.depth_encoding == "metric16" else 255
        values, inside, stated = rows["depth"] / float(full_scale), rows["mask"] >= made.mask_threshold, stats[split]["depth"]
        assert rows["depth"].dtype == (np.uint16 if full_scale == 65535 else np.uint8)
        agree(stated, values)
        agree(stated["inside"], values[inside])
        agree(stated["outside"], values[~inside])
        if full_scale == 255:
            assert stated["histogram"] == np.bincount(rows["depth"].ravel(), minlength=256).tolist()


def test_metres(case):
    stats, arrays, _ = case
    for split, rows in arrays.items():
        metric = "depth" in rows and rows["depth_min_m"].dtype != object
        assert ("depth_m" in stats[split]) == metric
        if not metric:
            continue
        low, high = (rows[name].astype(np.float64)[:, None, None] for name in ("depth_min_m", "depth_max_m"))
        exact = low + rows["depth"] * ((high - low) / np.iinfo(rows["depth"].dtype).max)
        binned, inside, stated = np.rint(exact * 1000) / 1000, rows["mask"] == 255, stats[split]["depth_m"]
        agree(stated, binned)
        agree(stated["inside"], binned[inside])
        agree(stated["outside"], binned[~inside])
        assert abs(stated["mean"] - exact.mean()) <= HALF_BIN_M
        public = depth_to_metres(rows["depth"], low, high)
        assert abs(stated["quantiles"]["0.5"] - np.quantile(public, 0.5, method="inverted_cdf")) <= HALF_BIN_M + 1e-6
        assert sum(stated["histogram"]) == stated["count"] and stated["histogram_bin_m"] == 0.05


def test_binary_masks_have_the_deviation_of_a_coin(case):
    stats, _, made = case
    if made.mask == "binary":
        mean = stats["all"]["mask"]["mean"]
        assert stats["all"]["mask"]["std"] == pytest.approx(np.sqrt(mean * (1 - mean)), rel=1e-12)


# --- properties of a Tally ------------------------------------------------------------------------------------


@st.composite
def rows_of_a_set(draw, most=6):
    """Some rows of one kind of set: list of Tally.add's arguments."""
    side, depth = draw(st.integers(4, 40)), draw(st.sampled_from(["none", "relative", "metric8", "metric16"]))
    rng, rows = np.random.default_rng(draw(st.integers(0, 2**32))), []
    for _ in range(draw(st.integers(0, most))):
        mask = np.where(rng.random((side, side)) < draw(st.sampled_from([0.0, 0.3, 1.0])), 255, 0).astype(np.uint8)
        image = rng.integers(0, draw(st.integers(1, 256)), (side, side, 3), dtype=np.uint8)
        levels = millimetres = None
        if depth != "none":
            dtype = np.uint16 if depth == "metric16" else np.uint8
            levels = rng.integers(0, np.iinfo(dtype).max, (side, side), dtype, endpoint=True)
        if depth == "metric8":
            millimetres = level_to_millimetres(rng.uniform(0, 3), rng.uniform(3, 80))
        elif depth == "metric16":
            millimetres = np.arange(65536)
        rows.append((image, mask, mask, levels, millimetres))
    return rows


def tally_of(rows):
    tally = Tally()
    for row in rows:
        tally.add(*row)
    return tally


@settings(max_examples=40, deadline=None)
@given(rows_of_a_set(), st.data())
def test_merged_parts_are_the_whole(rows, data):
    parts = [data.draw(st.integers(0, 2)) for _ in rows]
    whole = tally_of(rows)
    tallies = [tally_of([row for row, p in zip(rows, parts, strict=True) if p == part]) for part in range(3)]
    order = data.draw(st.permutations(range(3)))
    merged = Tally()
    for part in order:
        merged.merge(Tally.from_text(tallies[part].to_text()))
    assert merged == whole and merged.to_text() == whole.to_text()
    assert stats_json({"train": merged}) == stats_json({"train": whole})


@settings(max_examples=40, deadline=None)
@given(rows_of_a_set())
def test_text_round_trip(rows):
    tally = tally_of(rows)
    text = tally.to_text()
    assert text.isascii() and Tally.from_text(text) == tally and Tally.from_text(text).to_text() == text
    assert tally_of(rows[::-1]).to_text() == text  # the order of rows doesn't count


@settings(max_examples=30, deadline=None)
@given(rows_of_a_set(most=3).filter(bool))
def test_counts_are_those_of_numpy(rows):
    tally = tally_of(rows)
    tally.to_text()
    images, masks = np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
    for channel in range(3):
        assert tally.image[channel].tolist() == np.bincount(images[..., channel].ravel(), minlength=256).tolist()
        assert tally.image_inside[channel].tolist() == np.bincount(images[masks > 0][:, channel], minlength=256).tolist()
    assert tally.mask.tolist() == np.bincount(masks.ravel(), minlength=256).tolist()
    assert tally.rows == len(rows) and tally.heat.sum() == (masks > 0).sum()
    assert sum((bins * counts).sum() for bins, counts in [tally.area.items()]) == (masks > 0).sum()
    if rows[0][3] is not None:
        levels = np.stack([row[3] for row in rows])
        for sparse, values in ((tally.depth, levels), (tally.depth_inside, levels[masks > 0])):
            assert [a.tolist() for a in sparse.items()] == [a.tolist() for a in np.unique(values, return_counts=True)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 10**12)), max_size=30, unique_by=lambda pair: pair[0]))
def test_moments_are_exact(pairs):
    pairs = sorted(pairs)
    stated = moments([b for b, _ in pairs], [c for _, c in pairs], Fraction(1, 1000))
    values = [(Fraction(b, 1000), c) for b, c in pairs if c]
    total = sum(c for _, c in values)
    assert stated["count"] == total
    if not total:
        assert stated["mean"] is stated["std"] is stated["min"] is stated["quantiles"] is None
        return
    mean = sum(v * c for v, c in values) / total
    variance = sum((v - mean) ** 2 * c for v, c in values) / total  # the second pass, with nothing rounded
    assert stated["mean"] == float(mean) and stated["std"] == math.sqrt(variance)
    for q, value in stated["quantiles"].items():
        below = sum(c for v, c in values if float(v) < value)
        up_to = sum(c for v, c in values if float(v) <= value)
        assert below < Fraction(q) * total <= up_to


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5)), max_size=50))
def test_sparse_counts_add_up(pairs):
    sparse, expected = Sparse(), {}
    for bin_, count in pairs:
        sparse.add(np.array([bin_]), np.array([count]))
        expected[bin_] = expected.get(bin_, 0) + count
    bins, counts = sparse.items()
    assert dict(zip(bins.tolist(), counts.tolist(), strict=True)) == {b: c for b, c in expected.items() if c}
    assert bins.tolist() == sorted(bins.tolist())


def test_sparse_counts_stay_small():
    sparse = Sparse()
    for _ in range(5):
        sparse.add(np.arange(CONSOLIDATE_AT), np.ones(CONSOLIDATE_AT, np.int64))
    assert sum(part.size for part in sparse._bins) <= 2 * CONSOLIDATE_AT
    assert (sparse.items()[1] == 5).all()


def test_big_numbers_lose_nothing():
    """400,000 rows of 16-bit maps: the sum of squares passes 64 bits."""
    pixels = 400_000 * 224 * 224
    stated = moments([65_534, 65_535], [pixels, pixels], Fraction(1, 1000))
    assert stated["mean"] == 65.5345 and stated["std"] == 0.0005 and 65_535**2 * pixels > 2**63


@pytest.mark.parametrize("damage", [lambda t: t[:-5], lambda t: "é" + t, lambda t: t[:20] + chr(ord(t[20]) ^ 1) + t[21:], lambda t: ""])
def test_damaged_text_is_refused(damage):
    tally = Tally()
    tally.add(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 255, np.uint8), np.full((8, 8), 255, np.uint8))
    with pytest.raises(ValueError, match="the statistics in a footer"):
        Tally.from_text(damage(tally.to_text()))


def test_tallies_of_unlike_sets_are_refused():
    small, large, deep = Tally(), Tally(), Tally()
    small.add(np.zeros((8, 8, 3), np.uint8), *[np.zeros((8, 8), np.uint8)] * 2)
    large.add(np.zeros((9, 9, 3), np.uint8), *[np.zeros((9, 9), np.uint8)] * 2)
    deep.add(np.zeros((8, 8, 3), np.uint8), *[np.zeros((8, 8), np.uint8)] * 2, np.zeros((8, 8), np.uint16), np.arange(65536))
    for other in (large, deep):
        with pytest.raises(ValueError, match="unlike sets"):
            small.merge(other)
    with pytest.raises(ValueError, match="8 and of 16 bits"):
        deep.add(np.zeros((8, 8, 3), np.uint8), *[np.zeros((8, 8), np.uint8)] * 2, np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match="9 px and of 8 px"):
        small.add(np.zeros((9, 9, 3), np.uint8), *[np.zeros((9, 9), np.uint8)] * 2)


def test_footers_give_stats_json_without_a_picture(monkeypatch):
    """The shards' partial statistics are enough: no picture is decoded for the merge."""
    monkeypatch.setattr("fgbg_depth.codec._decode", lambda *_: pytest.fail("a picture was decoded"))
    for name in ("plain", "relative8"):
        assert stats_json(split_tallies(small_set(name))) == (small_set(name) / "stats.json").read_text()


def test_footers_stay_small():
    rng, tally = np.random.default_rng(0), Tally()
    for _ in range(20):
        mask = np.where(rng.random((224, 224)) < 0.1, 255, 0).astype(np.uint8)
        levels = rng.integers(0, 256, (224, 224)).astype(np.uint8)
        tally.add(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8), mask, mask, levels)
    bins = np.arange(100, 10_001)  # every millimetre that DenseDepth can give, as uneven as 2,000 maps of 256 levels make it
    tally.metres.add(bins, rng.normal(10_000, 2500, bins.size).astype(np.int64).clip(1))
    tally.metres_inside.add(bins, rng.normal(600, 250, bins.size).astype(np.int64).clip(1))
    assert 30_000 < len(tally.to_text()) < MAX_ENTRY_BYTES - 4096  # beside the schema
    for name in ("plain", "relative8", "metric16"):
        for path in small_set(name).rglob("*.parquet"):
            assert footer_bytes(path) <= MAX_ENTRY_BYTES + MAX_GROUP_BYTES * pq.ParquetFile(path).num_row_groups
