"""drop-asset: what goes, what stays as it is, and that nothing comes back."""

import dataclasses
import json
import shutil

import pyarrow.parquet as pq
import pytest
from real_runs import (
    PLAIN,
    RECIPE,
    Pictures,
    add_background,
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
from fgbg_depth.config import Recipe
from fgbg_depth.drop import drop_assets, plan_drop
from fgbg_depth.dropped import DROPPED_NAME
from fgbg_depth.finish import read_tally
from fgbg_depth.rewrite import RewriteTask, find_uses
from fgbg_depth.schema import data_columns
from fgbg_depth.shards import left_out_entry, read_footer, write_table
from fgbg_depth.verify import verify_set

GONE, OTHER, OF_BATCH_1 = "room_03", "room_00", "room_08"  # backgrounds of the split train
ALL = 10_000  # rows to make anew: all of them


@pytest.fixture(scope="module")
def base(plain_set, more_pictures, tmp_path_factory):
    """A finished set of two batches; nobody may change it."""
    folder = tmp_path_factory.mktemp("base") / "set"
    shutil.copytree(plain_set, folder)
    call_good(*generate(more_pictures, folder), "--append")
    return folder


@pytest.fixture(scope="module")
def dropped(base, tmp_path_factory):
    """The same without GONE; nobody may change it."""
    folder = shutil.copytree(base, tmp_path_factory.mktemp("dropped") / "set")
    drop_assets(folder, [GONE], num_workers=1)
    return folder


@pytest.fixture
def copy(base, tmp_path):
    return shutil.copytree(base, tmp_path / "set")


@pytest.fixture
def copy_of_dropped(dropped, tmp_path):
    return shutil.copytree(dropped, tmp_path / "set")


def is_good(folder, rebuild=0):
    report = verify_set(folder, rebuild=rebuild, num_workers=1)
    assert report.findings == ()
    return report


def full_rows(folder):
    """{data file: its rows as dicts, pictures and all}."""
    return {name: pq.ParquetFile(folder / name).read().to_pylist() for name in data_files(folder)}


def assets_of(folder, kind):
    return {row["id"] for row in read_rows(folder, f"{kind}s/*.parquet")}


# --- what goes and what stays ---


def test_its_rows_go_and_all_others_stay_in_their_files_and_order(base, dropped):
    old, new = full_rows(base), full_rows(dropped)
    kept = {name: [row for row in rows if row["background"] != GONE] for name, rows in old.items()}
    assert new == {name: rows for name, rows in kept.items() if rows}
    assert sum(map(len, new.values())) == sum(map(len, old.values())) - 4 * 2 * 4  # 4 foregrounds, mirrored too, 4 placements
    report = is_good(dropped, rebuild=ALL)
    assert report.rebuilt == report.rows == len(read_rows(dropped))


def test_files_without_its_rows_stay_byte_for_byte(base, copy):
    before, ids = tree(copy), identities(copy)
    done = drop_assets(copy, [GONE], num_workers=1)
    touched = {name for name, rows in full_rows(base).items() if any(row["background"] == GONE for row in rows)}
    assert set(done.rewritten) | set(done.deleted) == touched and 0 < len(touched) < len(full_rows(base))
    after = tree(copy)
    changed = {name for name in before if name.endswith(".parquet") and after.get(name) != before[name]}
    splits = {(name.split("/")[1], name.split("/")[2][:4]) for name in touched}
    assert changed == touched | {"backgrounds/b000.parquet"} | {f"metadata/{split}/{batch}.parquet" for split, batch in splits}
    same = {name for name, place in identities(copy).items() if ids.get(name) == place}
    assert same == set(ids) - changed  # not even written again


def test_nothing_of_it_is_left_in_the_folder(dropped):
    """Neither id nor file name: not in a table, not in a footer, not in a text. Its sha256 is in one place."""
    for path in dropped.rglob("*"):
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            names = [column for column in file.schema_arrow.names if column not in ("image", "mask", "depth")]
            words = f"{file.read(columns=names).to_pylist()}{read_footer(path).to_json()}"
        elif path.is_file() and path.suffix != ".png":
            words = path.read_text()
        assert path.is_dir() or path.suffix == ".png" or GONE not in words, path
    listed = json.loads((dropped / DROPPED_NAME).read_text())["dropped"]
    assert [(entry["kind"], entry["split"], entry["batch"], entry["until"]) for entry in listed] == [("background", "train", 0, 1)]


def test_load_dataset_reads_what_is_left(dropped, caches):
    from datasets import load_dataset

    rows = load_dataset(str(dropped), cache_dir=str(caches))
    assert GONE not in set(rows["train"]["background"]) and rows["train"].num_rows == len(read_rows(dropped, "metadata/train/*.parquet"))
    backgrounds = load_dataset(str(dropped), "backgrounds", split="train", cache_dir=str(caches))
    assert GONE not in backgrounds["id"] and backgrounds[0]["image"].size == (80, 60)
    metadata = load_dataset(str(dropped), "metadata", split="train", cache_dir=str(caches))
    assert metadata["key"][:] == rows["train"]["key"][:]


def test_the_order_of_dropping_doesnt_matter(dropped, base, tmp_path):
    one, two = shutil.copytree(dropped, tmp_path / "one"), shutil.copytree(base, tmp_path / "two")
    drop_assets(one, ["blob_01", OF_BATCH_1], num_workers=1)
    drop_assets(two, [OF_BATCH_1, "blob_01"], num_workers=1)
    drop_assets(two, [GONE], num_workers=1)
    assert tree(one) == tree(two)
    is_good(one, rebuild=ALL)
    assert assets_of(one, "foreground") == {"blob_00", "blob_02", "blob_03"}


def test_all_that_a_batch_brought_can_go(copy, more_pictures, tmp_path, caches):
    """Its files of rows are deleted; its empty table of pictures stays, and goes on to load."""
    from datasets import load_dataset

    brought = sorted(row["id"] for row in read_rows(copy, "*grounds/b001.parquet"))
    before = set(data_files(copy))
    done = drop_assets(copy, brought, num_workers=1)
    assert {"data/train/b001-00000.parquet"} <= set(done.deleted) and set(done.deleted) == {name for name in before if "/b001-" in name}
    assert not list(copy.glob("*/*/b001*")) and len(list(copy.glob("*/b001*"))) == 2
    is_good(copy, rebuild=ALL)
    assert set(load_dataset(str(copy), "backgrounds", split="train", cache_dir=str(caches))["id"]) == assets_of(copy, "background")
    # A third batch goes on behind it; files that were dropped are left out, by name.
    pictures = more_pictures.copy(tmp_path / "pictures")
    add_background(pictures.backgrounds, 11)
    ended = call_good(*generate(pictures, copy), "--append")
    assert "2 backgrounds are left out (room_07.png, room_08.png)" in ended.err and "1 foreground is left out (blob_03.png)" in ended.err
    assert read_state(copy).last_batch == 2 and {row["background"] for row in read_rows(copy) if "/b002" in row["file"]} == {"room_11"}
    is_good(copy, rebuild=ALL)


# --- going on afterwards ---


def test_a_later_run_leaves_it_out_and_says_so(copy_of_dropped, more_pictures, tmp_path):
    before = tree(copy_of_dropped)
    ended = call_good(*generate(more_pictures, copy_of_dropped))
    assert f"1 background is left out ({GONE}.png): taken out of this set by drop-asset" in ended.err
    assert tree(copy_of_dropped) == before
    clean = more_pictures.copy(tmp_path / "clean")
    (clean.backgrounds / f"{GONE}.png").unlink()
    assert "left out" not in call_good(*generate(clean, copy_of_dropped)).err
    assert tree(copy_of_dropped) == before


def test_a_further_batch_has_no_rows_of_it(copy_of_dropped, more_pictures, tmp_path):
    """Nor does the same file under another name; an old asset keeps its split, and rows of old batches stay."""
    pictures, before = more_pictures.copy(tmp_path / "pictures"), tree(copy_of_dropped)
    add_background(pictures.backgrounds, 10)
    (pictures.backgrounds / f"{GONE}.png").rename(pictures.backgrounds / "sea.png")
    ended = call_good(*generate(pictures, copy_of_dropped), "--append")
    assert "1 background is left out (sea.png)" in ended.err
    assert assets_of(copy_of_dropped, "background") == {f"room_{i:02d}" for i in (0, 1, 2, 4, 5, 6, 7, 8, 10)}
    after = tree(copy_of_dropped)
    assert all(after[name] == before[name] for name in before if name.endswith(".parquet"))
    is_good(copy_of_dropped, rebuild=ALL)
    drop_assets(copy_of_dropped, ["room_10", "blob_00"], num_workers=1)
    is_good(copy_of_dropped, rebuild=ALL)


def test_a_lost_file_is_made_anew_as_it_was(few_pictures, tiny_model, tmp_path):
    """With depth: the rows of a rewritten file go through the network in other batches, and come out the same."""
    folder, recipe = tmp_path / "set", (*RECIPE, "--depth-model", tiny_model, "--depth-batch", 3)
    call_good(*generate(few_pictures, folder, recipe))
    done = drop_assets(folder, ["blob_01"], num_workers=1)
    is_good(folder)
    before = tree(folder)
    for name in (*done.rewritten, "stats.json", "manifest.json", "croissant.json", "README.md"):
        (folder / name).unlink()
    call_good(*generate(few_pictures, folder, recipe))
    after = tree(folder)
    assert {name for name in before if after[name] != before[name]} <= {"manifest.json"}  # it tells what runs the model now
    is_good(folder)


def test_another_depth_model_on_what_is_left(copy_of_dropped, tiny_model, tmp_path):
    call_good("annotate", copy_of_dropped, "--depth-model", tiny_model, "--out", tmp_path / "new", "--quiet", "--workers", 1)
    assert tree(tmp_path / "new")[DROPPED_NAME] == tree(copy_of_dropped)[DROPPED_NAME]
    assert [row["key"] for row in read_rows(tmp_path / "new")] == [row["key"] for row in read_rows(copy_of_dropped)]
    is_good(tmp_path / "new")
    ended = call_good(*("annotate", copy_of_dropped, "--depth-model", tiny_model, "--out", tmp_path / "new", "--quiet", "--workers", 1))
    assert "nothing had to be made" in ended.out or "(0 made now)" in ended.out


# --- refusals ---


def test_what_can_not_be_dropped(copy, tmp_path):
    words = ("drop-asset", copy, "--quiet", "--workers", 1)
    refused((*words, "room_33"), copy, "no background or foreground with the id 'room_33'", "like it are room_0", code=2)
    refused((*words, "--kind", "foreground", GONE), copy, f"no foreground with the id '{GONE}'", code=2)
    refused((*words, *(f"blob_{i:02d}" for i in range(4))), copy, "all there are of the foregrounds", "generate --append", code=2)
    of_test = sorted({row["background"] for row in read_rows(copy, "metadata/test/*.parquet")})
    refused((*words, *of_test), copy, "the split 'test' would have no rows", code=2)
    refused(("drop-asset", copy, GONE, "--workers", 0), copy, "--workers is 0", code=2)
    refused(("drop-asset", tmp_path / "none", GONE), copy, "is no folder", code=2)
    (tmp_path / "empty").mkdir()
    refused(("drop-asset", tmp_path / "empty", GONE), copy, "holds no set", code=2)


def test_damage_is_not_blessed(copy):
    """A file that isn't as the manifest lists it gets no fresh hash; nothing is begun."""
    for name in ("data/train/b000-00001.parquet", "backgrounds/b000.parquet"):
        good = (copy / name).read_bytes()
        middle = len(good) // 2
        (copy / name).write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        refused(("drop-asset", copy, GONE, "--quiet", "--workers", 1), copy, name, "verify")
        (copy / name).write_bytes(good)


def test_an_unfinished_set_is_refused(copy):
    (copy / data_files(copy)[0]).unlink()
    refused(("drop-asset", copy, GONE, "--quiet"), copy, "is missing, and manifest.json lists it")


def test_an_id_of_both_kinds(tmp_path):
    pictures = make_pictures(tmp_path, range(3), range(2))
    both = Pictures(tmp_path / "backgrounds", tmp_path / "foregrounds")
    (pictures.backgrounds / "room_01.png").rename(pictures.backgrounds / "twin.png")
    (pictures.foregrounds / "blob_01.png").rename(pictures.foregrounds / "twin.png")
    folder = tmp_path / "set"
    call_good(*generate(both, folder, (*PLAIN, "--hold-out", "none")))
    refused(("drop-asset", folder, "twin", "--quiet"), folder, "a background and a foreground", "--kind", code=2)
    call_good("drop-asset", folder, "twin", "--kind", "foreground", "--quiet", "--workers", 1)
    assert assets_of(folder, "foreground") == {"blob_00"} and "twin" in assets_of(folder, "background")
    is_good(folder)


def test_a_lost_or_damaged_list_is_found(copy_of_dropped, more_pictures):
    """Without it the picture could come back unnoticed."""
    path = copy_of_dropped / DROPPED_NAME
    text = path.read_text()
    path.unlink()
    refused(generate(more_pictures, copy_of_dropped), copy_of_dropped, "were taken out of the set", "Restore it from a copy")
    findings = verify_set(copy_of_dropped, num_workers=1).findings
    assert any(f.file == DROPPED_NAME and "which lost 1" in f.problem for f in findings)
    path.write_text(text.replace("train", "test"))
    refused(generate(more_pictures, copy_of_dropped), copy_of_dropped, "was changed or is damaged")
    assert {f.file for f in verify_set(copy_of_dropped, num_workers=1).findings} >= {DROPPED_NAME}
    path.write_text(text)
    is_good(copy_of_dropped)


# --- rows that were left out for their depth ---


def test_names_of_rows_left_out_go_too(copy):
    """A footer names planned rows that the file never held; those of a dropped picture go, the others stay, and all are counted."""
    path = copy / "data/train/b000-00001.parquet"
    keys = [f"{GONE}__blob_00__plain__07", f"{OTHER}__blob_00__plain__07"]
    uses = find_uses(copy, path, {"background": {GONE}})
    assert uses.names == 0 and uses.rows and uses.left
    footer, table = read_footer(path), pq.read_table(path, partitioning=None)
    told = dataclasses.replace(footer, stop=footer.stop + 2, extra=left_out_entry(keys))
    columns = data_columns(False)
    rows = {name: [v["bytes"] if name in ("image", "mask") else v for v in table.column(name).to_pylist()] for name in columns}
    write_table(path, columns, [rows], lambda: told)
    uses = find_uses(copy, path, {"background": {GONE}})
    assert uses.names == 1 and uses.left
    recipe = Recipe().replace(**read_state(copy).recipe_fields)
    RewriteTask(copy, recipe, False, {"background": {GONE}}).open()(uses, lambda count: None)
    new = read_footer(path)
    assert new.left_out == (keys[1],) and new.dropped == uses.rows + 1
    kept = [row for row in table.to_pylist() if row["background"] != GONE]
    assert pq.read_table(path, partitioning=None).to_pylist() == kept and read_tally(new, path).rows == len(kept)


# --- the command ---


def test_the_plan_writes_nothing(copy):
    before, ids = tree(copy), identities(copy)
    ended = call_good("drop-asset", copy, GONE, "--plan")
    assert f"background {GONE} would go, with 32 rows" in ended.out and "rewrite backgrounds/b000.parquet" in ended.out
    assert "the next version is a major one" in ended.out and "nothing was written now" in ended.out
    assert tree(copy) == before and identities(copy) == ids
    planned = plan_drop(copy, [GONE])
    told = json.loads(call_good("drop-asset", copy, GONE, "--plan", "--json").out)
    done = json.loads(call_good("drop-asset", copy, GONE, "--json", "--quiet").out)
    for name in ("pictures", "rows", "rows_left", "rewritten", "deleted", "untouched", "tables", "bytes", "change"):
        assert told[name] == done[name], name
    assert (told["done"], done["done"], done["finished_earlier_run"]) == (False, True, False)
    assert told["rows"] == planned.rows and told["change"] == "major" and told["next_version"] is None
    assert told["pictures"] == [{"kind": "background", "id": GONE}]
