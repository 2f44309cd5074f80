"""Batches: what an append adds, what it leaves as it is, and which folders are refused."""

import collections
import itertools
import shutil

import pytest
from real_runs import (
    NUM_BACKGROUNDS,
    NUM_FOREGROUNDS,
    PLAIN,
    add_background,
    add_foreground,
    call,
    call_good,
    data_files,
    generate,
    identities,
    make_pictures,
    read_rows,
    refused,
    tree,
)

from fgbg_depth.batches import read_state
from fgbg_depth.shards import read_footer

PLACEMENTS = 4
NEW_BACKGROUNDS, NEW_FOREGROUNDS = (NUM_BACKGROUNDS, NUM_BACKGROUNDS + 1), (NUM_FOREGROUNDS,)


@pytest.fixture(scope="module")
def appended(plain_set, more_pictures, tmp_path_factory):
    """A finished set of two batches."""
    folder = tmp_path_factory.mktemp("appended") / "set"
    shutil.copytree(plain_set, folder)
    call_good(*generate(more_pictures, folder), "--append")
    return folder


@pytest.fixture
def copy_of_plain_set(plain_set, tmp_path):
    return shutil.copytree(plain_set, tmp_path / "set")


@pytest.fixture
def copy_of_appended(appended, tmp_path):
    return shutil.copytree(appended, tmp_path / "set")


def assets(folder, kind):
    """{id: row of its table} without pictures."""
    rows = {}
    for row in read_rows(folder, f"{kind}s/*.parquet"):
        assert row["id"] not in rows
        rows[row["id"]] = {name: value for name, value in row.items() if name not in ("image", "mask")}
    return rows


def cells(rows):
    return {(row["background"], row["foreground"], row["flipped"]) for row in rows}


# --- what an append adds ---


def test_an_append_leaves_every_old_file_as_it_is(plain_set, appended):
    old, new = tree(plain_set), tree(appended)
    tables = [name for name in old if name.endswith(".parquet")]
    assert tables and all(new[name] == old[name] for name in tables)
    added = {name for name in new if name.endswith(".parquet")} - set(tables)
    assert added and all("/b001" in name for name in added)


def test_an_append_makes_the_cells_that_have_a_new_asset(plain_set, appended):
    old_b, old_f = set(assets(plain_set, "background")), set(assets(plain_set, "foreground"))
    all_b, all_f = set(assets(appended, "background")), set(assets(appended, "foreground"))
    assert (len(all_b), len(all_f)) == (NUM_BACKGROUNDS + 2, NUM_FOREGROUNDS + 1)
    rows = [row for row in read_rows(appended) if "/b001" in row["file"]]
    everything, before = (set(itertools.product(*sides, (False, True))) for sides in ((all_b, all_f), (old_b, old_f)))
    assert cells(rows) == everything - before
    assert len(rows) == len(everything - before) * PLACEMENTS
    counts = collections.Counter(row["key"] for row in read_rows(appended))
    assert set(counts.values()) == {1} and len(counts) == len(everything) * PLACEMENTS


def test_old_assets_keep_id_split_and_batch(plain_set, appended):
    for kind in ("background", "foreground"):
        old, new = assets(plain_set, kind), assets(appended, kind)
        assert {asset_id: new[asset_id] for asset_id in old} == old
        assert {new[asset_id]["batch"] for asset_id in set(new) - set(old)} == {1}


def test_rows_are_in_the_split_of_their_background(appended):
    split_of = {asset_id: row["split"] for asset_id, row in assets(appended, "background").items()}
    for row in read_rows(appended):
        assert row["file"].split("/")[1] == split_of[row["background"]]
    assert {row["split"] for row in assets(appended, "foreground").values()} == {"all"}


def test_a_folder_of_newcomers_alone_gives_the_same_bytes(copy_of_plain_set, appended, tmp_path):
    newcomers = make_pictures(tmp_path / "new", NEW_BACKGROUNDS, NEW_FOREGROUNDS)
    call_good(*generate(newcomers, copy_of_plain_set), "--append")
    assert tree(copy_of_plain_set) == tree(appended)
    # and the same command again finds nothing to do
    call_good(*generate(newcomers, copy_of_plain_set), "--append")
    assert tree(copy_of_plain_set) == tree(appended)


def test_batches_can_follow_each_other(copy_of_appended, more_pictures, tmp_path):
    grown = more_pictures.copy(tmp_path / "grown")
    add_foreground(grown.foregrounds, 90)
    before = tree(copy_of_appended)
    call_good(*generate(grown, copy_of_appended), "--append")
    add_background(grown.backgrounds, 91)
    call_good(*generate(grown, copy_of_appended), "--append")
    after = tree(copy_of_appended)
    assert all(after[name] == sha256 for name, sha256 in before.items() if name.endswith(".parquet"))
    # an append of one kind has a table of that kind only
    tables = {name for name in set(after) - set(before) if "grounds/" in name}
    assert tables == {"backgrounds/b003.parquet", "foregrounds/b002.parquet"}
    num_b, num_f = NUM_BACKGROUNDS + 3, NUM_FOREGROUNDS + 2
    rows = read_rows(copy_of_appended)
    assert len(rows) == len({row["key"] for row in rows}) == num_b * num_f * 2 * PLACEMENTS
    new_rows = [row for row in rows if "/b002" in row["file"]]
    assert {row["foreground"] for row in new_rows} == {"blob_90"} and len(new_rows) == (num_b - 1) * 2 * PLACEMENTS
    new_rows = [row for row in rows if "/b003" in row["file"]]
    assert {row["background"] for row in new_rows} == {"room_91"} and len(new_rows) == num_f * 2 * PLACEMENTS


def test_an_append_with_nothing_new_changes_nothing(copy_of_plain_set, plain_set, pictures):
    ended = call_good(*generate(pictures, copy_of_plain_set), "--append")
    assert "nothing had to be made" in ended.out
    assert tree(copy_of_plain_set) == tree(plain_set)


def test_an_append_to_nothing_is_wrong_use(pictures, tmp_path):
    ended = call(*generate(pictures, tmp_path / "none"), "--append")
    assert ended.code == 2 and "run without --append first" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_old_assets_keep_their_ids_when_stems_clash(copy_of_plain_set, plain_set, pictures, tmp_path):
    clash = pictures.copy(tmp_path / "clash")
    (clash.backgrounds / "a").mkdir()
    add_background(clash.backgrounds / "a", 60, "room_00.png")  # sorts before the old room_00.png
    add_foreground(clash.foregrounds, 61, "BLOB_01.png")
    call_good(*generate(clash, copy_of_plain_set), "--append")
    for kind, stem in (("background", "room_00"), ("foreground", "blob_01")):
        old, new = assets(plain_set, kind), assets(copy_of_plain_set, kind)
        assert {asset_id: new[asset_id] for asset_id in old} == old
        (added,) = set(new) - set(old)
        assert added == f"{stem}-{new[added]['sha256'][:8]}"


def test_a_newcomer_of_a_known_scene_joins_its_split(pictures, tmp_path):
    grouped = pictures.copy(tmp_path / "grouped")
    groups = [f"room_{i:02d}.png,hall_{i}" for i in range(NUM_BACKGROUNDS)]
    (grouped.backgrounds / "SOURCES.csv").write_text("file,group\n" + "\n".join(groups) + "\n")
    call_good(*generate(grouped, tmp_path / "set"))
    held_out = {row["group"]: row["split"] for row in assets(tmp_path / "set", "background").values()}
    for i in range(NUM_BACKGROUNDS):
        add_background(grouped.backgrounds, 40 + i)
        groups.append(f"room_{40 + i:02d}.png,hall_{i}")
    (grouped.backgrounds / "SOURCES.csv").write_text("file,group\n" + "\n".join(groups) + "\n")
    call_good(*generate(grouped, tmp_path / "set"), "--append")
    found = assets(tmp_path / "set", "background").values()
    assert len(found) == 2 * NUM_BACKGROUNDS and set(held_out.values()) == {"train", "validation", "test"}
    assert all(row["split"] == held_out[row["group"]] for row in found)


def test_held_out_foregrounds_meet_backgrounds_of_their_split_only(pictures, more_pictures, tmp_path):
    recipe, folder = (*PLAIN, "--hold-out", "both"), tmp_path / "set"
    first = call_good(*generate(pictures, folder, recipe))
    old = tree(folder)
    second = call_good(*generate(more_pictures, folder, recipe), "--append")
    new = tree(folder)
    assert all(new[name] == sha256 for name, sha256 in old.items() if name.endswith(".parquet"))
    of_b, of_f = assets(folder, "background"), assets(folder, "foreground")
    expected = {(b, f, flip) for b in of_b for f in of_f for flip in (False, True) if of_b[b]["split"] == of_f[f]["split"]}
    rows = read_rows(folder)
    assert cells(rows) == expected and len(rows) == len(expected) * PLACEMENTS
    every = (NUM_BACKGROUNDS + 2) * (NUM_FOREGROUNDS + 1) * 2
    assert f"{every - len(expected)} cells were left out" in second.out
    assert "cells were left out" in first.out


# --- interrupted between the two tables of a batch ---


@pytest.mark.parametrize("flags", [(), ("--append",)])
@pytest.mark.parametrize("kind", ["background", "foreground"])
def test_a_batch_with_one_of_its_tables_goes_on(kind, flags, copy_of_plain_set, appended, more_pictures):
    shutil.copy(appended / f"{kind}s" / "b001.parquet", copy_of_plain_set / f"{kind}s")
    call_good(*generate(more_pictures, copy_of_plain_set), *flags)
    assert tree(copy_of_plain_set) == tree(appended)


def test_a_batch_that_was_begun_with_other_pictures_is_refused(copy_of_plain_set, appended, more_pictures, pictures, tmp_path):
    shutil.copy(appended / "backgrounds" / "b001.parquet", copy_of_plain_set / "backgrounds")
    words = ("batch 1 was begun with other pictures", "delete backgrounds/b001.parquet and foregrounds/b001.parquet")
    grown = more_pictures.copy(tmp_path / "grown")
    add_foreground(grown.foregrounds, 90)
    refused((*generate(grown, copy_of_plain_set), "--append"), copy_of_plain_set, *words)
    refused((*generate(pictures, copy_of_plain_set), "--append"), copy_of_plain_set, *words)


def test_the_first_batch_goes_on_with_one_of_its_tables(plain_set, pictures, more_pictures, tmp_path):
    (tmp_path / "set" / "backgrounds").mkdir(parents=True)
    shutil.copy(plain_set / "backgrounds" / "b000.parquet", tmp_path / "set" / "backgrounds")
    refused(generate(more_pictures, tmp_path / "set"), tmp_path / "set", "batch 0 was begun with other pictures")
    call_good(*generate(pictures, tmp_path / "set"))
    assert tree(tmp_path / "set") == tree(plain_set)


# --- pictures that changed ---


def test_new_pictures_without_append_are_refused(copy_of_plain_set, more_pictures):
    words = ("2 new or changed backgrounds (room_07.png, room_08.png)", "1 new or changed foregrounds (blob_03.png)", "--append")
    refused(generate(more_pictures, copy_of_plain_set), copy_of_plain_set, *words)


def test_a_missing_picture_is_refused(copy_of_plain_set, pictures, tmp_path):
    fewer = pictures.copy(tmp_path / "fewer")
    (fewer.backgrounds / "room_03.png").unlink()
    refused(generate(fewer, copy_of_plain_set), copy_of_plain_set, "1 missing backgrounds (room_03.png)", "Restore")


def test_a_changed_picture_is_refused(copy_of_plain_set, pictures, tmp_path):
    changed = pictures.copy(tmp_path / "changed")
    add_foreground(changed.foregrounds, 77, "blob_01.png")
    words = ("1 new or changed foregrounds (blob_01.png)", "1 missing foregrounds (blob_01.png)")
    refused(generate(changed, copy_of_plain_set), copy_of_plain_set, *words)


def test_a_renamed_picture_is_the_same_picture(copy_of_plain_set, plain_set, pictures, tmp_path):
    renamed = pictures.copy(tmp_path / "renamed")
    (renamed.backgrounds / "room_03.png").rename(renamed.backgrounds / "another.png")
    call_good(*generate(renamed, copy_of_plain_set))
    assert tree(copy_of_plain_set) == tree(plain_set)


def test_new_words_about_old_pictures_are_noted(copy_of_plain_set, plain_set, pictures, tmp_path):
    told = pictures.copy(tmp_path / "told")
    (told.foregrounds / "SOURCES.csv").write_text("file,licence\nblob_01.png,CC0-1.0\n")
    ended = call_good(*generate(told, copy_of_plain_set))
    assert "SOURCES.csv has changed for 1 foregrounds (blob_01.png)" in ended.err
    assert tree(copy_of_plain_set) == tree(plain_set)


# --- files that are gone, damaged or strange ---


def test_a_deleted_table_is_made_again_with_the_same_bytes(copy_of_plain_set, plain_set, pictures):
    for name in ("data/train/b000-00001.parquet", "metadata/test/b000.parquet", "foregrounds/b000.parquet"):
        others = {path: identity for path, identity in identities(copy_of_plain_set).items() if path != name}
        (copy_of_plain_set / name).unlink()
        call_good(*generate(pictures, copy_of_plain_set))
        assert tree(copy_of_plain_set) == tree(plain_set)
        assert others.items() <= identities(copy_of_plain_set).items()


def test_only_rows_of_missing_shards_are_made(copy_of_plain_set, plain_set, pictures):
    name = data_files(plain_set)[0]
    footer = read_footer(plain_set / name)
    (copy_of_plain_set / name).unlink()
    ended = call_good(*generate(pictures, copy_of_plain_set))
    assert f"({footer.stop - footer.start:,} made now)" in ended.out


@pytest.mark.parametrize("name", ["data/train/b000-00001.parquet", "metadata/train/b000.parquet"])
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_damaged_table_is_named_and_can_be_made_again(name, damage, copy_of_plain_set, plain_set, pictures):
    path = copy_of_plain_set / name
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"words" * 100}[damage])
    refused(generate(pictures, copy_of_plain_set), copy_of_plain_set, path, "Delete this file and run the same command again")
    path.unlink()
    call_good(*generate(pictures, copy_of_plain_set))
    assert tree(copy_of_plain_set) == tree(plain_set)


def test_the_tables_that_later_batches_stand_on_must_be_there(copy_of_appended, appended, more_pictures):
    path = copy_of_appended / "backgrounds" / "b000.parquet"
    path.unlink()
    refused(generate(more_pictures, copy_of_appended), copy_of_appended, path, "Restore it")
    refused((*generate(more_pictures, copy_of_appended), "--append"), copy_of_appended, path, "Restore it")
    # that of the newest batch can be made again
    shutil.copy(appended / "backgrounds" / "b000.parquet", path)
    (copy_of_appended / "foregrounds" / "b001.parquet").unlink()
    call_good(*generate(more_pictures, copy_of_appended))
    assert tree(copy_of_appended) == tree(appended)


def test_a_damaged_asset_table_is_named(copy_of_plain_set, pictures):
    path = copy_of_plain_set / "foregrounds" / "b000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    refused(generate(pictures, copy_of_plain_set), copy_of_plain_set, path)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("data/train/b000-00001.parquet", "data/train/b000-00099.parquet", "tables that this set doesn't have"),
        ("data/train/b000-00001.parquet", "data/extra/b000-00000.parquet", "tables that this set doesn't have"),
        ("metadata/train/b000.parquet", "metadata/train/b001.parquet", "tables that this set doesn't have"),
        ("backgrounds/b000.parquet", "backgrounds/b000 (copy).parquet", "not its place"),
        ("data/train/b000-00001.parquet", "data/train/b000-00000.parquet", "belongs to another recipe or asset list"),
    ],
)
def test_a_table_that_is_not_of_this_set_is_refused(source, target, words, copy_of_plain_set, pictures):
    (copy_of_plain_set / target).parent.mkdir(exist_ok=True)
    shutil.copy(copy_of_plain_set / source, copy_of_plain_set / target)
    refused(generate(pictures, copy_of_plain_set), copy_of_plain_set, copy_of_plain_set / target, words)


def test_asset_tables_of_two_sets_never_mix(copy_of_plain_set, more_pictures, tmp_path):
    call_good(*generate(more_pictures, tmp_path / "other", (*PLAIN, "--seed", "1")))
    shutil.copy(tmp_path / "other" / "foregrounds" / "b000.parquet", copy_of_plain_set / "foregrounds")
    refused(generate(more_pictures, copy_of_plain_set), copy_of_plain_set, "of different lists")


def test_the_state_is_what_the_tables_say(plain_set, appended):
    state = read_state(appended)
    assert state.last_batch == 1 and sorted(state.lists) == [0, 1]
    assert state.is_whole(0) and state.is_whole(1)
    assert state.lists[0] == read_state(plain_set).lists[0]
    assert {entry.plan.batch for entry in state.entries["background"]} == {0, 1}
    for name in data_files(appended):
        footer = read_footer(appended / name)
        assert (footer.recipe, footer.assets) == (state.recipe_digest, state.lists[footer.batch])


def test_a_folder_that_is_missing_has_no_state(tmp_path):
    state = read_state(tmp_path / "none")
    assert state.last_batch is None and state.lists == {} and state.recipe_digest == ""
