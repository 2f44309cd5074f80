"""The plan: splits, cells, placements, order, shards."""

import dataclasses
import hashlib
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg_depth.config import Recipe
from fgbg_depth.errors import PlanError
from fgbg_depth.placements import legal_offsets, placed_size
from fgbg_depth.plan import PlanAsset, assign_splits, cut_shards, deal_splits, make_plan

SMALL = Recipe(image_size=32, foreground_size=(10, 8), placements=4, rows_per_shard=50, first_shard_rows=10, rows_per_group=10)


def assets(prefix, count, group_of=lambda i: i, batch=0, size=(20, 30)):
    return [
        PlanAsset(f"{prefix}{i:03d}", hashlib.sha256(f"{prefix}{i}".encode()).hexdigest(), f"{prefix}g{group_of(i)}", *size, batch)
        for i in range(count)
    ]


def with_splits(recipe, backgrounds, foregrounds, old_b=(), old_f=()):
    of_b, of_f = assign_splits(recipe, backgrounds, foregrounds, old_b, old_f)
    return (
        [dataclasses.replace(a, split=of_b[a.id]) for a in backgrounds],
        [dataclasses.replace(a, split=of_f[a.id]) for a in foregrounds],
    )


def planned(recipe=SMALL, b=12, f=5, **options):
    return make_plan(recipe, *with_splits(recipe, assets("b", b), assets("f", f)), **options)


def all_rows(plan):
    """{key: (split, batch, box)} of every row."""
    return {
        plan.key(rows, i): (rows.split, rows.batch, tuple(rows.box[i].tolist())) for rows in plan.rows.values() for i in range(len(rows))
    }


# --- splits ---


@given(
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=40),
    seed=st.integers(0, 5),
    parts=st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.9, 0.0, 0.1), (1.0, 0.0, 0.0)]),
)
def test_splits_keep_groups_whole_and_quotas_near(sizes, seed, parts):
    owners = [g for g, size in enumerate(sizes) for _ in range(size)]
    pictures = assets("a", len(owners), lambda i: owners[i])
    dealt = deal_splits(pictures, [], parts, seed, "background")
    by_group = {}
    for picture in pictures:
        by_group.setdefault(picture.group, set()).add(dealt[picture.id])
    assert all(len(splits) == 1 for splits in by_group.values())
    counts = Counter(dealt.values())
    wanted = [name for name, part in zip(("train", "validation", "test"), parts, strict=True) if part]
    assert set(counts) == set(wanted)
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        # Never off by more than one group, but for the one that an empty split must get.
        assert abs(counts[name] - part * len(owners)) <= max(sizes) + len(wanted) * max(sizes) * (len(sizes) < 12)


def test_splits_of_single_assets_are_exact():
    dealt = deal_splits(assets("a", 100), [], (0.8, 0.1, 0.1), 0, "background")
    assert Counter(dealt.values()) == {"train": 80, "validation": 10, "test": 10}


def test_splits_depend_on_seed_and_content_but_not_on_order_or_ids():
    pictures = assets("a", 30)
    dealt = deal_splits(pictures, [], (0.8, 0.1, 0.1), 0, "background")
    assert deal_splits(pictures[::-1], [], (0.8, 0.1, 0.1), 0, "background") == dealt
    assert deal_splits(pictures, [], (0.8, 0.1, 0.1), 1, "background") != dealt
    renamed = [dataclasses.replace(a, id="x" + a.id, group="x" + a.group) for a in pictures]
    assert deal_splits(renamed, [], (0.8, 0.1, 0.1), 0, "background") == {"x" + k: v for k, v in dealt.items()}


def test_too_few_groups():
    with pytest.raises(PlanError, match="2 groups of backgrounds can't fill 3 splits"):
        planned(b=2)
    planned(SMALL.replace(hold_out="none"), b=2)
    planned(SMALL.replace(splits=(1.0, 0.0, 0.0)), b=2)


def test_newcomers_join_their_scene_and_old_assets_keep_their_split():
    old_b, old_f = with_splits(SMALL, assets("b", 12), assets("f", 5))
    scene = old_b[3]
    newcomers = [dataclasses.replace(a, group=scene.group, batch=1) for a in assets("n", 4)]
    new_b, _ = with_splits(SMALL, newcomers, [], old_b, old_f)
    assert {a.split for a in new_b} == {scene.split}
    one = with_splits(SMALL, [dataclasses.replace(assets("m", 1)[0], batch=1)], [], old_b, old_f)[0]
    assert one[0].split == "train"  # one newcomer can't fill three splits; the largest lacks most


# --- cells ---


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("hold_out", ["background", "both", "none"])
def test_each_cell_once(flips, hold_out):
    recipe = SMALL.replace(flips=flips, hold_out=hold_out)
    backgrounds, foregrounds = with_splits(recipe, assets("b", 12), assets("f", 10))
    plan = make_plan(recipe, backgrounds, foregrounds)
    rows = all_rows(plan)
    split_of = {a.id: a.split for a in backgrounds + foregrounds}
    expected = {}
    for b in backgrounds:
        for f in foregrounds:
            if hold_out == "both" and b.split != f.split:
                continue
            for flip in ("plain", "flip") if flips else ("plain",):
                for k in range(recipe.placements):
                    expected[f"{b.id}__{f.id}__{flip}__{k:02d}"] = split_of[b.id]
    assert {key: split for key, (split, _, _) in rows.items()} == expected
    assert plan.num_rows == len(expected)
    left_out = sum(b.split != f.split for b in backgrounds for f in foregrounds) * (2 if flips else 1)
    assert plan.left_out == {0: left_out if hold_out == "both" else 0}


def test_batches_are_the_cells_with_a_new_asset():
    old_b, old_f = with_splits(SMALL, assets("b", 12), assets("f", 5))
    before = all_rows(make_plan(SMALL, old_b, old_f))
    new_b = [dataclasses.replace(a, batch=1) for a in assets("n", 3)]
    new_f = [dataclasses.replace(a, batch=1) for a in assets("m", 2)]
    new_b, new_f = with_splits(SMALL, new_b, new_f, old_b, old_f)
    plan = make_plan(SMALL, old_b + new_b, old_f + new_f)
    after = all_rows(plan)
    assert {key: row for key, row in after.items() if row[1] == 0} == before
    assert sum(batch == 1 for _, batch, _ in after.values()) == (15 * 7 - 12 * 5) * 2 * SMALL.placements
    alone = make_plan(SMALL, old_b + new_b, old_f + new_f, batches={1})
    assert all_rows(alone) == {key: row for key, row in after.items() if row[1] == 1}
    for (batch, split), rows in plan.rows.items():
        if batch == 1:
            assert [alone.key(alone.rows[1, split], i) for i in range(len(rows))] == [plan.key(rows, i) for i in range(len(rows))]


def test_order_on_disk_is_mixed_and_repeatable():
    plan, again = planned(), planned()
    rows = plan.rows[0, "train"]
    assert [plan.key(rows, i) for i in range(len(rows))] == [again.key(again.rows[0, "train"], i) for i in range(len(rows))]
    # Neighbours share a background as often as chance has it: 1 in 10 or 11 of the train backgrounds.
    shared = np.mean(rows.background[1:] == rows.background[:-1])
    assert shared < 0.2
    assert planned(SMALL.replace(seed=1)).key(planned(SMALL.replace(seed=1)).rows[0, "train"], 0) != plan.key(rows, 0)


def test_a_row_can_be_known_alone():
    # The placements of one cell don't depend on which other assets are there.
    recipe = SMALL.replace(hold_out="none")
    whole = all_rows(planned(recipe))
    part = make_plan(recipe, *with_splits(recipe, assets("b", 12)[4:5], assets("f", 5)[2:3]))
    for key, (_, _, box) in all_rows(part).items():
        assert whole[key][2] == box


# --- placements ---


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    size=st.integers(16, 48),
    overhang=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)
def test_legal_offsets_against_counting(width, height, size, overhang):
    expected = []
    for y in range(1 - height, size):
        for x in range(1 - width, size):
            inside = (min(x + width, size) - max(x, 0)) * (min(y + height, size) - max(y, 0))
            outside = (width * height - inside) / (width * height)
            if outside <= overhang + 1e-9:
                expected.append([x, y])
    assert legal_offsets(width, height, size, overhang).tolist() == expected


def test_placements_are_distinct_inside_and_reach_all_borders():
    plan = planned(SMALL.replace(placements=150, hold_out="none"))
    width, height = placed_size(SMALL, assets("f", 1)[0])
    by_cell = {}
    for key, (_, _, box) in all_rows(plan).items():
        by_cell.setdefault(key.rpartition("__")[0], []).append(box)
    positions = np.array([box[:2] for boxes in by_cell.values() for box in boxes])
    assert all(len(set(boxes)) == 150 for boxes in by_cell.values())
    assert all(box[2:] == (width, height) for boxes in by_cell.values() for box in boxes)
    assert positions.min(axis=0).tolist() == [0, 0]
    assert positions.max(axis=0).tolist() == [32 - width, 32 - height]


def test_placements_are_uniform_over_the_offsets():
    # 12 x 5 x 2 cells of 4: too few; many placements of few offsets instead. 400 cells x 10 of 25 offsets: 160 each.
    recipe = Recipe(image_size=16, foreground_size=(12, 12), foreground_fit="stretch", placements=10, hold_out="none", depth_model="none")
    plan = make_plan(recipe, *with_splits(recipe, assets("b", 20), assets("f", 10)))
    boxes = plan.rows[0, "train"].box
    counts = np.bincount(boxes[:, 0] * 5 + boxes[:, 1], minlength=25)
    assert counts.sum() == 4000
    # Drawn without repeats within a cell: the variance is that of 160 x (1 - 10/25).
    assert ((counts - 160) ** 2 / (160 * 0.6)).sum() < 24 + 5 * 7
    first = boxes[plan.rows[0, "train"].placement == 0]
    counts = np.bincount(first[:, 0] * 5 + first[:, 1], minlength=25)
    assert ((counts - 16) ** 2 / 16).sum() < 24 + 5 * 7


def test_every_offset_once_when_all_are_asked_for():
    recipe = Recipe(image_size=16, foreground_size=(12, 12), foreground_fit="stretch", placements=25, hold_out="none", depth_model="none")
    plan = make_plan(recipe, *with_splits(recipe, assets("b", 3), assets("f", 2)))
    for boxes in np.split(plan.rows[0, "train"].box[np.lexsort(_cell_order(plan))], 12):
        assert len({tuple(box) for box in boxes.tolist()}) == 25
    with pytest.raises(PlanError, match=r"has 25 legal, visible offsets.*placements = 26"):
        planned(recipe.replace(placements=26))


def _cell_order(plan):
    rows = plan.rows[0, "train"]
    return rows.placement, rows.flipped, rows.foreground, rows.background


def _corner_alpha(position, size):
    """A cut-out whose only visible pixel is its lower right corner."""
    alpha = np.zeros(size[::-1], np.uint8)
    alpha[-1, -1] = 255
    return alpha


@pytest.mark.parametrize("flips", [True, False])
def test_overhang_never_leaves_an_empty_mask(flips):
    recipe = SMALL.replace(overhang=0.5, placements=30, flips=flips, hold_out="none")
    plan = planned(recipe, placed_alpha=_corner_alpha)
    rows = plan.rows[0, "train"]
    x, y, width, height = rows.box.T
    corner_x = np.where(rows.flipped, x, x + width - 1)
    assert (corner_x >= 0).all() and (corner_x < 32).all()
    assert (y + height - 1 < 32).all() and (y + height - 1 >= 0).all()
    assert (x < 0).any() and (y < 0).any()


def test_scale_draws_sizes_and_distinct_positions():
    recipe = SMALL.replace(scale=(0.2, 0.5), placements=12, hold_out="none")
    plan = planned(recipe, placed_alpha=lambda position, size: np.full(size[::-1], 255, np.uint8))
    box = plan.rows[0, "train"].box
    longer = box[:, 2:].max(axis=1)
    assert longer.min() >= 6 and longer.max() <= 16 and len(set(longer.tolist())) > 8
    assert ((box[:, :2] >= 0) & (box[:, :2] + box[:, 2:] <= 32)).all()
    by_cell = {}
    for key, (_, _, placed) in all_rows(plan).items():
        by_cell.setdefault(key.rpartition("__")[0], set()).add(placed[:2])
    assert all(len(positions) == 12 for positions in by_cell.values())


def test_contained_sizes():
    box = SMALL.replace(foreground_size=(10, 8))
    assert placed_size(box, assets("f", 1, size=(20, 30))[0]) == (5, 8)
    assert placed_size(box, assets("f", 1, size=(300, 20))[0]) == (10, 1)
    assert placed_size(box.replace(foreground_fit="stretch"), assets("f", 1, size=(300, 20))[0]) == (10, 8)


# --- shards ---


@settings(max_examples=200)
@given(rows=st.integers(1, 5000), batch=st.integers(0, 2), first=st.integers(1, 50), size=st.integers(50, 900))
def test_shards_cover_all_rows(rows, batch, first, size):
    recipe = Recipe(rows_per_shard=size, first_shard_rows=first, rows_per_group=1, depth_model="none")
    shards = cut_shards(batch, "train", rows, recipe)
    assert [i for shard in shards for i in range(shard.start, shard.stop)] == list(range(rows))
    assert all(0 < len(shard) <= size for shard in shards)
    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert len(shards[0]) == min(rows, first if batch == 0 else size)
    assert shards[0].name == f"data/train/b{batch:03d}-00000.parquet"


def test_the_reference_set_is_small_in_memory():
    recipe = Recipe(depth_model="none")
    backgrounds, foregrounds = with_splits(recipe, assets("b", 100), assets("f", 100))
    tracemalloc.start()
    plan = make_plan(recipe, backgrounds, foregrounds)
    shards = plan.shards()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.num_rows == 400_000
    assert len(shards) == 203
    assert peak < 200e6
