"""What was taken out of a set: its list, and the plan of what stays, which is the plan of before without those rows."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg_depth.config import Recipe
from fgbg_depth.dropped import Dropped, drop, dropped_text, in_order, parse_dropped, read_dropped, table_digest, with_tables, write_dropped
from fgbg_depth.errors import DataError
from fgbg_depth.plan import PlanAsset, assign_splits, make_plan
from fgbg_depth.stats import Tally

SMALL = Recipe(image_size=32, foreground_size=(10, 8), placements=3, rows_per_shard=20, first_shard_rows=7, rows_per_group=7)
KINDS = ("background", "foreground")


def pictures(kind, names, batch=0, groups=None):
    """PlanAssets without splits; `groups` binds them by number."""
    group_of = dict(zip(names, (f"g{group}" for group in groups), strict=True)) if groups else {name: f"id:{name}" for name in names}
    return [PlanAsset(name, hashlib.sha256(f"{kind}{name}".encode()).hexdigest(), group_of[name], 20, 30, batch) for name in names]


def dealt(recipe, new, old):
    """{kind: old and new with their splits}."""
    splits = assign_splits(recipe, new["background"], new["foreground"], old["background"], old["foreground"])
    return {k: old[k] + [dataclasses.replace(a, split=of[a.id]) for a in new[k]] for k, of in zip(KINDS, splits, strict=True)}


def rows_of(plan):
    """{(batch, split): [(key, box)]} in the order on disk, and {data file: those of its rows}."""
    listed = {
        where: [(plan.key(rows, i), tuple(rows.box[i].tolist())) for i in range(len(rows))] for where, rows in plan.rows.items()
    }
    return listed, {shard.name: listed[shard.batch, shard.split][shard.start : shard.stop] for shard in plan.shards()}


def without(rows, gone):
    """Rows none of whose pictures is gone; gone: {kind: ids}."""
    return [row for row in rows if row[0].split("__")[0] not in gone["background"] and row[0].split("__")[1] not in gone["foreground"]]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), hold_out=st.sampled_from(["background", "both"]), seed=st.integers(0, 3))
def test_what_stays_is_planned_as_before(data, hold_out, seed):
    """Any pictures leave, in any steps, before and after an append: order, files and boxes of all other rows are those of before."""
    recipe = SMALL.replace(hold_out=hold_out, seed=seed, flips=False)
    letters = data.draw(st.permutations("abcdefghijklmnopqrs"))
    first = {"background": pictures("background", sorted(letters[:8])), "foreground": pictures("foreground", sorted(letters[:6]))}
    assets = dealt(recipe, first, {k: [] for k in KINDS})
    gone, dropped, left = {k: set() for k in KINDS}, Dropped(), {k: list(assets[k]) for k in KINDS}

    def leave(until):
        nonlocal dropped
        for kind in KINDS:
            ids = {a.id for a in left[kind]}
            leaving = data.draw(st.sets(st.sampled_from(sorted(ids)), max_size=3)) if len(ids) > 4 else set()
            dropped = drop(dropped, kind, left[kind], leaving, until)
            gone[kind] |= leaving
            left[kind] = [a for a in left[kind] if a.id not in leaving]

    leave(0)
    leave(0)
    second = {"background": pictures("background", letters[10:13], 1), "foreground": pictures("foreground", letters[9:11], 1)}
    everything = dealt(recipe, second, left)  # the newcomers are dealt among those that are there
    after_append = {k: assets[k] + [a for a in everything[k] if a.batch == 1] for k in KINDS}
    left = {k: list(everything[k]) for k in KINDS}
    gone_before, dropped_before = {k: set(gone[k]) for k in KINDS}, dropped
    leave(1)

    whole = rows_of(make_plan(recipe, *after_append.values()))
    plan = make_plan(recipe, *left.values(), dropped=dropped)
    listed, files = rows_of(plan)
    for (batch, split), rows in whole[0].items():
        if batch == 0:
            assert listed.get((batch, split), []) == without(rows, gone)
    first_files = {shard.name: shard for shard in make_plan(recipe, *assets.values()).shards()}
    for name, shard in first_files.items():
        expected = without(whole[1][name], gone)
        assert files.get(name, []) == expected
        mine = next((s for s in plan.shards() if s.name == name), None)
        assert (mine is None) == (not expected)
        if mine:
            assert mine.footer_range == (shard.start, shard.stop) and (mine.dropped or 0) == len(shard) - len(expected)
        else:
            assert name in {s.name for s in plan.emptied_shards()}
    # The second batch was planned without those that had left before.
    known = rows_of(make_plan(recipe, *everything.values(), dropped=dropped_before))
    for (batch, split), rows in known[0].items():
        assert without(rows, gone_before) == rows
        assert listed.get((batch, split), []) == without(rows, gone)
    assert plan.num_rows == sum(len(without(rows, gone)) for rows in known[0].values())


@given(order=st.permutations("bcdf"), names=st.permutations("abcdefg"))
def test_the_order_of_dropping_doesnt_matter(order, names):
    assets = [dataclasses.replace(a, split="train") for a in pictures("background", names, groups=[ord(n) % 3 for n in names])]
    one_by_one = Dropped()
    for name in order:
        staying = [a for a in assets if a.sha256 not in one_by_one.hashes("background")]
        one_by_one = drop(one_by_one, "background", staying, {name}, 0)
    at_once = drop(Dropped(), "background", assets, set(order), 0)
    assert one_by_one == at_once
    left = [a for a in assets if a.id not in order]
    assert [getattr(a, "id", "-") for a in in_order(left, at_once.tombstones)] == ["a", "-", "-", "-", "e", "-", "g"]


def test_nothing_of_a_name_is_kept():
    """Neither ids nor groups; a scene that is still in the set keeps its name, so that the splits can be dealt again."""
    assets = [dataclasses.replace(a, split="train") for a in pictures("background", ["anna", "berta", "carla"], groups=[1, 1, 2])]
    one = drop(Dropped(), "background", assets, {"anna", "carla"}, 0)
    groups = {t.sha256: t.group for t in one.tombstones}
    assert groups[assets[0].sha256] == "g1" and groups[assets[2].sha256] == f"dropped:{assets[2].sha256[:16]}"
    both = drop(one, "background", assets[1:2], {"berta"}, 0)
    text = dropped_text(both)
    assert not any(word in text for word in ("anna", "berta", "carla", "g1", "g2"))
    smallest = min(a.sha256 for a in assets[:2])
    assert [t.group for t in both.tombstones if t.sha256 in (assets[0].sha256, assets[1].sha256)] == [f"dropped:{smallest[:16]}"] * 2


def test_the_file_is_read_back_and_damage_is_found(tmp_path):
    assert read_dropped(tmp_path) == Dropped()
    assets = {k: [dataclasses.replace(a, split="train") for a in pictures(k, "abc")] for k in KINDS}
    dropped = drop(Dropped(), "background", assets["background"], {"b"}, 0)
    left = {**assets, "background": [a for a in assets["background"] if a.id != "b"]}
    dropped = with_tables(dropped, left)
    assert dropped.tables == {0: {kind: table_digest(side) for kind, side in left.items()}}
    assert (dropped.count("background", 0), dropped.count("foreground", 0), dropped.count("background", 1)) == (1, None, None)
    write_dropped(tmp_path, dropped)
    assert read_dropped(tmp_path) == dropped
    text = (tmp_path / "dropped.json").read_text()
    for old, new in (('"batch": 0', '"batch": 1'), (assets["background"][1].sha256, "0" * 64), ('"format": 1', '"format": 2'), ("{", "[")):
        assert old in text
        with pytest.raises(DataError, match="was changed or is damaged"):
            parse_dropped(text.replace(old, new, 1).encode())
    (tmp_path / "dropped.json").write_text(json.dumps(["nothing"]))
    with pytest.raises(DataError, match="Restore it from a copy"):
        read_dropped(tmp_path)


# --- statistics of what stays ---


def counted(rng, number):
    tally = Tally()
    for _ in range(number):
        image, mask = rng.integers(0, 256, (8, 8, 3), np.uint8), np.where(rng.random((8, 8)) < 0.3, 255, 0).astype(np.uint8)
        depth = rng.integers(0, 256, (8, 8), np.uint8)
        mask[0, 0] = 255
        tally.add(image, mask, mask, depth, np.arange(256) * 7)
    return tally


@pytest.mark.parametrize("sizes", [(3, 1), (1, 4), (2, 0)])
def test_a_tally_is_taken_out_again(sizes):
    rng = np.random.default_rng(1)
    stay, leave = (counted(rng, size) for size in sizes)
    text = stay.to_text()
    whole = Tally.from_text(text).merge(leave)
    assert whole.take(leave).to_text() == text


def test_a_tally_that_isnt_a_part_is_refused():
    rng = np.random.default_rng(2)
    whole, other = counted(rng, 2), counted(rng, 1)
    with pytest.raises(ValueError, match="the whole"):
        whole.take(other)
