"""Trees of others: soft masks, small depth maps, gaps, damage, zips, and files that mean harm."""

import io
import json
import shutil
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from original_sets import SMALL_FILES, imported, is_good, pixels, reasons, rows_by_key
from PIL import Image
from real_runs import call, call_good, read_rows, refused, tree
from trees_2020 import BACKGROUNDS, FOREGROUNDS, PLACEMENTS, SIDE_PX, jpeg, tree_files, write_files, write_zips
from verify_sets import flip_bit

from fgbg_depth import load_stats
from fgbg_depth.original import published

FILES, DRAWN = tree_files()
ROWS = len(BACKGROUNDS) * len(FOREGROUNDS) * 2 * PLACEMENTS
IDS = {"BG_1": "bg_1", "bg 2": "bg-2", "bg__3": "bg_3", "Ann": "ann", "bob_7": "bob_7"}
FIRST = "fg_bg/BG_1/BG_1__Ann_1.jpg"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(tree, set, what was said)."""
    home = tmp_path_factory.mktemp("whole")
    folder = write_files(home / "tree", FILES)
    return folder, home / "set", imported(folder, home / "set")


def key_of(drawn):
    return f"{IDS[drawn.background]}__{IDS[drawn.foreground]}__{'flip' if drawn.flipped else 'plain'}__{drawn.placement:02d}"


def test_a_tree_of_2020_becomes_a_set(whole):
    _, folder, said = whole
    rows = rows_by_key(folder)
    assert (said["rows"], said["annotated"], said["unmatched"], said["published"]) == (ROWS, 0, [], None)
    assert rows.keys() == {key_of(drawn) for drawn in DRAWN.values()}
    assert is_good(folder)
    for stem, drawn in DRAWN.items():
        row = rows[key_of(drawn)]
        assert row["image"] == FILES[f"fg_bg/{drawn.background}/{stem}.jpg"]
        assert (row["flipped"], row["placement"], row["placement_box"], row["depth_min_m"]) == (drawn.flipped, drawn.placement, None, None)
        mask = pixels(row["mask"])
        assert set(np.unique(mask)) == {0, 255}
        true = drawn.mask >= 128
        assert np.count_nonzero((mask > 0) & true) / np.count_nonzero((mask > 0) | true) > 0.93
        ys, xs = np.nonzero(mask)
        assert row["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
        assert row["mask_area"] == np.float32(np.count_nonzero(mask) / SIDE_PX**2)


def test_small_depth_maps_are_made_as_large_as_the_composites(whole):
    _, folder, _ = whole
    rows = rows_by_key(folder)
    for stem, drawn in DRAWN.items():
        small = Image.open(io.BytesIO(FILES[f"depth_maps/{drawn.background}/{stem}.jpg"]))
        depth = pixels(rows[key_of(drawn)]["depth"])
        assert depth.shape == (SIDE_PX, SIDE_PX)
        corners = np.asarray(small)[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
        assert np.abs(depth[[0, 0, -1, -1], [0, -1, 0, -1]] - corners).max() <= 12  # corners aligned; JPEG of quality 90 once more


def test_depth_maps_of_the_right_size_keep_their_bytes(tmp_path):
    files = {n: d for n, d in FILES.items() if "/BG_1/" in n or n.startswith("inp_")}
    same = {n: jpeg(pixels(d).repeat(2, 0).repeat(2, 1), 90) if n.startswith("depth_maps") else d for n, d in files.items()}
    imported(write_files(tmp_path / "tree", same), tmp_path / "set")
    rows = rows_by_key(tmp_path / "set")
    for stem, drawn in DRAWN.items():
        if drawn.background == "BG_1":
            assert rows[key_of(drawn)]["depth"] == same[f"depth_maps/BG_1/{stem}.jpg"]


def test_the_set_is_like_any_other(whole, tmp_path):
    from datasets import load_dataset

    _, folder, _ = whole
    data = load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert len(data) == ROWS and data[0]["placement_box"] is None and data[0]["image"].size == (SIDE_PX, SIDE_PX)
    call_good("stats", folder, "--recompute", "--quiet", "--workers", 1)
    card = (folder / "README.md").read_text()
    assert "This set was imported" in card and "which model made them isn't recorded" in card
    assert "null where it isn't known" in card
    ended = call_good("verify", folder, "--rebuild", 3, "--quiet", "--workers", 1)
    assert "this set was imported" in ended.err


def test_zips_are_read_in_place_and_give_the_same(whole, tmp_path):
    _, folder, _ = whole
    imported(write_zips(tmp_path / "zips", FILES), tmp_path / "set")
    assert tree(tmp_path / "set") == tree(folder)
    kept = ["inp_bg", "inp_fg", "inp_fg_masks", "part_0.zip", "part_1.zip", "part_2.zip"]
    assert sorted(p.name for p in (tmp_path / "zips").iterdir()) == kept


def test_one_zip_of_all_and_zips_of_folders_do_too(whole, tmp_path):
    _, folder, _ = whole
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(FILES, reverse=True):
            archive.writestr(f"some/where/{name}", FILES[name])
    imported(tmp_path / "all.zip", tmp_path / "one")
    assert tree(tmp_path / "one") == tree(folder)
    (tmp_path / "by_folder").mkdir()
    for top in ("fg_bg", "fg_bg_masks", "depth_maps", "inp_bg", "inp_fg"):
        with zipfile.ZipFile(tmp_path / "by_folder" / f"{top}.zip", "w") as archive:
            for name in (n for n in FILES if n.startswith(f"{top}/")):
                archive.writestr(name.partition("/")[2], FILES[name])
    imported(tmp_path / "by_folder", tmp_path / "several")
    assert tree(tmp_path / "several") == tree(folder)


def test_the_number_of_workers_changes_nothing_and_a_second_run_makes_nothing(whole, tmp_path):
    source, folder, _ = whole
    call_good("import-original", source, tmp_path / "set", "--quiet", "--workers", 2, *SMALL_FILES)
    assert tree(tmp_path / "set") == tree(folder)
    assert imported(source, tmp_path / "set")["rows_made"] == 0


def test_statistics_are_compared_with_the_published_ones(whole, tmp_path, monkeypatch):
    source, folder, _ = whole
    copy = shutil.copytree(folder, tmp_path / "set")
    counts = []
    monkeypatch.setattr(published, "is_that_set", lambda *numbers: counts.append(numbers) or True)
    ended = call_good("import-original", source, copy, "--quiet", *SMALL_FILES)
    assert counts == [(ROWS, len(BACKGROUNDS), len(FOREGROUNDS), SIDE_PX)]
    mean = load_stats(copy, "all")["image"]["mean"][0]
    (line,) = [line for line in ended.out.splitlines() if line.startswith("image R")]
    assert line.split()[2:5] == ["0.6045", f"{mean:.4f}", f"{mean - 0.6045:+.4f}"]
    told = json.loads(call_good("import-original", source, copy, "--quiet", "--json", *SMALL_FILES).out)["published"]
    assert [entry["column"] for entry in told] == list(published.PUBLISHED)
    assert told[0]["mean"] == mean


# --- gaps and damage ---


def test_gaps_are_listed_and_the_rest_is_read(tmp_path):
    files = {name: data for name, data in FILES.items() if not name.startswith("fg_bg_masks/bg 2/")}
    damaged = {
        "fg_bg/BG_1/BG_1__Ann_1.jpg": (None, "there is no composite of this name"),
        "fg_bg_masks/BG_1/BG_1__Ann_2.jpg": (None, "there is no mask of this name"),
        "depth_maps/BG_1/BG_1__Ann_3.jpg": (None, "there is no depth map of this name"),
        "fg_bg/BG_1/BG_1__bob_7_1.jpg": (b"", "is empty"),
        "fg_bg/BG_1/BG_1__bob_7_2.jpg": (FILES["fg_bg/BG_1/BG_1__bob_7_2.jpg"][:-100], "no end"),
        "fg_bg/BG_1/BG_1__bob_7_3.jpg": (jpeg(np.zeros((32, 32, 3)), 50), "has 32 x 32 pixels"),
        "fg_bg/bg__3/bg__3__Ann_1.jpg": (jpeg(np.zeros((SIDE_PX, SIDE_PX)), 50), "mode L"),
        "fg_bg_masks/bg__3/bg__3__Ann_2.jpg": (jpeg(np.zeros((SIDE_PX, SIDE_PX)), 30), "no pixel of it is inside"),
        "fg_bg_masks/bg__3/bg__3__Ann_3.jpg": (b"GIF89a nonsense", "no JPEG and no PNG"),
        "depth_maps/bg__3/bg__3__bob_7_1.jpg": (FILES["fg_bg/bg__3/bg__3__bob_7_1.jpg"], "in colour"),
    }
    for name, (data, _) in damaged.items():
        files[name] = data
        if data is None:
            del files[name]
    files |= {"fg_bg/BG_1/holiday.jpg": b"x", "elsewhere/a__b_1.jpg": b"x", "fg_bg/Thumbs.db": b"x", "notes.md": b"x"}
    said = imported(write_files(tmp_path / "tree", files), tmp_path / "set")
    told = reasons(said)
    assert told.pop("background bg 2, 12 composites") == "there is no mask for any of them"
    assert "not <background>__<cut-out>_<k>" in told.pop("fg_bg/BG_1/holiday.jpg")
    assert "none of the folders" in told.pop("elsewhere/a__b_1.jpg")
    assert told.pop("inp_bg/bg 2.jpg") == "no row uses it"
    for role in ("fg_bg_masks", "depth_maps"):
        assert told.pop(f"{role}/BG_1/BG_1__Ann_1.jpg") == "there is no composite of this name"
    del damaged["fg_bg/BG_1/BG_1__Ann_1.jpg"]
    for name in ("fg_bg_masks/BG_1/BG_1__Ann_2.jpg", "depth_maps/BG_1/BG_1__Ann_3.jpg"):
        reason = damaged.pop(name)[1]
        assert told.pop(name.replace("fg_bg_masks", "fg_bg").replace("depth_maps", "fg_bg")) == reason
    assert {n for n in told if not n.startswith("depth_maps/bg 2")} == set(damaged)
    assert [(name, told[name]) for name, (_, words) in damaged.items() if words not in told[name]] == []
    assert said["rows"] == ROWS - 12 - 10 == len(rows_by_key(tmp_path / "set"))
    assert is_good(tmp_path / "set")
    assert reasons(imported(tmp_path / "tree", tmp_path / "set")) == reasons(said)  # a finished set tells it again


def test_all_that_is_left_out_can_be_written_to_a_file(tmp_path):
    files = {name: data for name, data in FILES.items() if name != FIRST.replace("fg_bg/", "fg_bg_masks/")}
    imported(write_files(tmp_path / "tree", files), tmp_path / "set", "--unmatched", tmp_path / "left.tsv")
    assert (tmp_path / "left.tsv").read_text() == f"{FIRST}\tthere is no mask of this name\n"


def test_a_tree_without_depth_and_one_whose_depth_is_left_out(tmp_path):
    some = {name: data for name, data in FILES.items() if not name.startswith("depth_maps/BG_1/")}
    said = imported(write_files(tmp_path / "tree", some), tmp_path / "left", "--no-depth")
    assert (said["rows"], said["unmatched"]) == (ROWS, [])
    shutil.rmtree(tmp_path / "tree" / "depth_maps")
    imported(tmp_path / "tree", tmp_path / "none")
    assert tree(tmp_path / "left") == tree(tmp_path / "none")
    assert "depth" not in next(iter(rows_by_key(tmp_path / "none").values())) and is_good(tmp_path / "none")


def test_source_pictures_that_are_not_there_are_recovered(tmp_path):
    files = {name: data for name, data in FILES.items() if not name.startswith("inp_")}
    files["inp_bg/BG_1.jpg"] = b"no picture"
    files["inp_fg/Ann.png"] = jpeg(np.zeros((20, 20, 3)), 90)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = imported(write_files(tmp_path / "tree", files), tmp_path / "set")
    assert said["rows"] == ROWS and is_good(tmp_path / "set")
    assert all("recovered from the composites" in reason for reason in reasons(said).values()) and len(said["unmatched"]) == 2
    for config in ("background", "foreground"):
        rows = {row["id"]: row for row in read_rows(tmp_path / "set", f"{config}s/*.parquet")}
        assert all("recovered" in row["source"] for row in rows.values())
        for name, asset_id in IDS.items():
            if asset_id in rows:
                _compare_recovered(config, pixels(rows[asset_id]["image"]["bytes"]), name)


def _compare_recovered(config, found, name):
    if config == "background":
        drawn = pixels(FILES[f"inp_bg/{name}.jpg"]).astype(int)
        assert np.abs(found.astype(int) - drawn).mean() < 4  # JPEG of quality 50 and one pixel of soft edge
        return
    drawn = pixels(FILES[f"inp_fg/{name}.png"])
    ys, xs = np.nonzero(drawn[..., 3] >= 128)
    part = drawn[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    height, width = min(part.shape[0], found.shape[0]), min(part.shape[1], found.shape[1])
    assert abs(part.shape[0] - found.shape[0]) <= 2 and abs(part.shape[1] - found.shape[1]) <= 2
    inner = (part[:height, :width, 3] == 255) & (found[:height, :width, 3] == 255)
    difference = np.abs(part[:height, :width, :3].astype(int) - found[:height, :width, :3])[inner]
    mirrored = np.abs(part[:height, :width, :3].astype(int) - found[:height, :width, :3][:, ::-1])[inner & inner[:, ::-1]]
    assert difference.mean() < 15 and difference.mean() < mirrored.mean()  # it isn't the mirrored one


def test_a_cutout_that_is_called_flip_is_not_a_mirrored_one(tmp_path):
    renamed = {n.replace("Ann", "flip_Ann"): d for n, d in FILES.items() if "flip_Ann" not in n}
    imported(write_files(tmp_path / "tree", renamed), tmp_path / "set", "--no-depth")
    rows = [row for row in rows_by_key(tmp_path / "set").values() if row["foreground"] == "flip_ann"]
    assert len(rows) == len(BACKGROUNDS) * PLACEMENTS and not any(row["flipped"] for row in rows)


def test_rows_that_are_there_twice_are_read_once(whole, tmp_path):
    _, folder, _ = whole
    write_zips(tmp_path / "tree", FILES)
    write_files(tmp_path / "tree", {n: FILES[n] for n in FILES if "/BG_1/" in n and n.startswith("fg_bg/")})
    said = imported(tmp_path / "tree", tmp_path / "set")
    assert said["rows"] == ROWS and tree(tmp_path / "set") == tree(folder)
    assert set(reasons(said).values()) == {"is there twice; the first one is taken"} and len(said["unmatched"]) == 12


def test_equal_source_pictures_are_one_and_the_rows_of_the_second_are_left_out(tmp_path):
    files = FILES | {"inp_bg/bg 2.jpg": FILES["inp_bg/BG_1.jpg"]}
    said = imported(write_files(tmp_path / "tree", files), tmp_path / "set")
    assert "has the same bytes as" in reasons(said)["background BG_1"] and said["rows"] == ROWS * 2 // 3
    assert is_good(tmp_path / "set")


# --- zips that mean harm ---


def test_names_in_a_zip_cannot_leave_the_folder(tmp_path):
    evil = ("../../evil/fg_bg/x__y_1.jpg", "/fg_bg/x__y_1.jpg", "fg_bg\\..\\x__y_1.jpg", "C:/fg_bg/x__y_1.jpg", "fg_bg//x__y_1.jpg")
    with zipfile.ZipFile(tmp_path / "tree.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
        for name in evil:
            archive.writestr(name, FILES[FIRST])
        link = zipfile.ZipInfo("fg_bg/BG_1/BG_1__Ann_9.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    before = set(tmp_path.rglob("*"))
    said = imported(tmp_path / "tree.zip", tmp_path / "set")
    told = reasons(said)
    assert sum("leads out" in reason for reason in told.values()) == len(evil) and "symlink" in told["tree.zip:fg_bg/BG_1/BG_1__Ann_9.jpg"]
    assert said["rows"] == ROWS
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "set")}
    assert outside == before


def test_bombs_and_broken_zips_are_left_out(tmp_path):
    files = {name: data for name, data in FILES.items() if "/BG_1/" in name or name.startswith("inp_")}
    write_files(tmp_path / "tree", files)
    with zipfile.ZipFile(tmp_path / "tree" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fg_bg/a/a__b_1.jpg", bytes(65 << 20))
    _lying_zip(tmp_path / "tree" / "lies.zip")
    (tmp_path / "tree" / "cut.zip").write_bytes((tmp_path / "tree" / "bomb.zip").read_bytes()[:500])
    chunk = struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 12_000, 9_000) + b"\x08\x02\0\0\0"
    bomb = b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + b"\0\0\0\0IDAT"
    (tmp_path / "tree" / "fg_bg" / "BG_1" / "BG_1__Ann_2.jpg").write_bytes(bomb)
    told = reasons(imported(tmp_path / "tree", tmp_path / "set"))
    assert "more than the bound" in told["bomb.zip:fg_bg/a/a__b_1.jpg"]
    assert "not a zip" in told["cut.zip"]
    assert "than the 9 that it was found with" in told["lies.zip:fg_bg/BG_1/BG_1__Ann_77.jpg"]
    assert "12,000 x 9,000" in told["fg_bg/BG_1/BG_1__Ann_2.jpg"]
    assert is_good(tmp_path / "set")


def _lying_zip(path):
    """A row whose composite says that it has 9 bytes and unpacks to a megabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fg_bg/BG_1/BG_1__Ann_77.jpg", bytes(1 << 20))
        for role in ("fg_bg_masks", "depth_maps"):
            archive.writestr(f"{role}/BG_1/BG_1__Ann_77.jpg", FILES[FIRST.replace("fg_bg/", f"{role}/")])
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 9)))


def test_symlinks_that_lead_out_are_not_followed(tmp_path):
    files = {name: data for name, data in FILES.items() if "/BG_1/" in name or name.startswith("inp_")}
    write_files(tmp_path / "tree", files)
    write_files(tmp_path / "outside", {"secret.jpg": FILES[FIRST]})
    (tmp_path / "tree" / FIRST).unlink()
    (tmp_path / "tree" / FIRST).symlink_to(tmp_path / "outside" / "secret.jpg")
    (tmp_path / "tree" / "fg_bg" / "loop").symlink_to(tmp_path / "tree" / "fg_bg")
    told = reasons(imported(tmp_path / "tree", tmp_path / "set"))
    assert told[FIRST] == "a symlink that leads out of the tree" and "symlink to a folder" in told["fg_bg/loop"]


# --- refusals ---


def test_folders_that_hold_something_else_are_refused(whole, plain_copy, tmp_path):
    source, folder, _ = whole
    told = ("was made by another recipe", f"Use the same recipe, {plain_copy / 'recipe.toml'}", "Nothing was changed")
    refused(("import-original", source, plain_copy, "--quiet"), plain_copy, *told)
    other = write_files(tmp_path / "other", FILES | {FIRST: FILES[FIRST] + b"\xff\xd9"})
    refused(("import-original", other, folder, "--quiet", *SMALL_FILES), folder, "another recipe", "imported")
    write_files(tmp_path / "full", {"thesis.txt": b"mine"})
    refused(("import-original", source, tmp_path / "full", "--quiet"), tmp_path / "full", "isn't empty")
    refused(("import-original", source, source / "set"), source, "lie in each other", code=2)
    generate = ("generate", "--backgrounds", source / "inp_bg", "--foregrounds", source / "inp_fg", "--quiet")
    refused((*generate, "--out", folder, "--depth-model", "none"), folder, "another recipe")
    refused((*generate, "--out", tmp_path / "new", "--recipe", folder / "recipe.toml"), tmp_path / "new", "imported set", code=2)


def test_urls_are_refused(whole, tmp_path):
    for words in (("s3://bucket/tree", tmp_path / "set"), (whole[0], "s3://bucket/set")):
        ended = call("import-original", *words, "--quiet")
        assert ended.code == 2 and "Copy it to this machine" in ended.err
    assert call("export-original", whole[1], "s3://bucket/tree", "--quiet").code == 2


def test_trees_of_which_nothing_matches_are_an_error(tmp_path):
    assert call("import-original", tmp_path / "none", tmp_path / "set").code == 2
    write_files(tmp_path / "tree", {n: d for n, d in FILES.items() if not n.startswith("fg_bg_masks")})
    ended = call("import-original", tmp_path / "tree", tmp_path / "set", "--quiet")
    assert ended.code == 1 and "not one composite could be matched" in ended.err and "there is no mask" in ended.err
    write_files(tmp_path / "wide", {"fg_bg/a/a__b_1.jpg": jpeg(np.zeros((32, 64, 3)), 50), "fg_bg_masks/a/a__b_1.jpg": b"x"})
    ended = call("import-original", tmp_path / "wide", tmp_path / "set", "--quiet")
    assert ended.code == 1 and "64 x 32" in ended.err and "square" in ended.err
    assert not (tmp_path / "set").exists()


def test_pictures_that_were_dropped_are_not_brought_back(whole, tmp_path):
    source, folder, _ = whole
    copy = shutil.copytree(folder, tmp_path / "set")
    call_good("drop-asset", copy, "bg_1", "--quiet", "--workers", 1)
    assert is_good(copy) and not any("bg_1" in key for key in rows_by_key(copy))
    refused(("import-original", source, copy, "--quiet", *SMALL_FILES), copy, "would bring them back")


# --- verify ---


def test_damage_to_an_imported_set_is_found(whole, tmp_path):
    _, folder, _ = whole
    for name, words in (("data/train/b000-00000.parquet", "have changed"), ("metadata/train/b000.parquet", "have changed")):
        copy = shutil.copytree(folder, tmp_path / name.partition("/")[0])
        flip_bit(copy / name, (copy / name).stat().st_size // 3)
        ended = call("verify", copy, "--quiet", "--workers", 1)
        assert ended.code == 1 and name in ended.out and words in ended.out, ended.out
        assert "fgbg-depth import-original TREE" in ended.out and "generate --backgrounds" not in ended.out
