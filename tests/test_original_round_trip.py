"""A set that is exported and imported again: the same rows, byte for byte where that is promised."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from original_sets import SAME, exported, imported, is_good, pixels, rows_by_key
from real_runs import call, refused, tree
from small_sets import small_set

SETS = ("plain", "relative8")
# JPEG of quality 95: a level of a depth map may move by the sum of all half steps of its table, 22.2, and by rounding.
DEPTH_LEVELS = 23


@pytest.fixture(scope="module", params=SETS)
def round_trip(request, tmp_path_factory):
    """(name, set, tree, imported set, what the import said)."""
    home = tmp_path_factory.mktemp(request.param)
    said = exported(small_set(request.param), home / "tree")
    assert said["rows"] == len(rows_by_key(small_set(request.param)))
    return request.param, small_set(request.param), home / "tree", home / "back", imported(home / "tree", home / "back")


def test_rows_come_back_with_ids_flips_placements_boxes_and_splits(round_trip):
    _, source, _, back, said = round_trip
    before, after = rows_by_key(source), rows_by_key(back)
    assert said["unmatched"] == [] and said["annotated"] == said["rows"] == len(before)
    assert before.keys() == after.keys()
    for key, row in before.items():
        assert {name: after[key][name] for name in SAME} == {name: row[name] for name in SAME}
        assert after[key]["image"] == row["image"]
        assert np.array_equal(pixels(after[key]["mask"]), pixels(row["mask"]))
        if "depth" in row:
            assert np.abs(pixels(after[key]["depth"]).astype(int) - pixels(row["depth"])).max() <= DEPTH_LEVELS
            assert (after[key]["depth_min_m"], after[key]["depth_max_m"]) == (None, None)
    assert is_good(back)


def test_source_pictures_keep_licence_group_and_split(round_trip):
    _, source, _, back, _ = round_trip
    names = ["id", "width", "height", "split", "group", "licence", "author", "source", "url"]
    for config in ("backgrounds", "foregrounds"):
        tables = [pq.read_table(folder / config, columns=[*names, "image"]).sort_by("id") for folder in (source, back)]
        assert tables[0].equals(tables[1])


def test_the_tree_has_the_names_of_2020(round_trip):
    name, source, tree_folder, _, _ = round_trip
    found = {path.relative_to(tree_folder).as_posix() for path in tree_folder.rglob("*") if path.is_file()}
    folders = ["fg_bg", "fg_bg_masks", *(["depth_maps"] if name == "relative8" else [])]
    expected = {"annotations.txt", "export.json"}
    for row in rows_by_key(source).values():
        stem = f"{row['background']}__{'flip_' if row['flipped'] else ''}{row['foreground']}_{row['placement']}.jpg"
        expected |= {f"{folder}/{row['background']}/{stem}" for folder in folders}
    assert {path for path in found if not path.startswith("inp_")} == expected
    for path in found - {"annotations.txt", "export.json"}:
        start = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG", "csv": b"file,"}[path.rpartition(".")[2]]
        assert (tree_folder / path).read_bytes().startswith(start)
    assert {path.split("/")[0] for path in found if path.startswith("inp_")} == {"inp_bg", "inp_fg", "inp_fg_masks"}


def test_zips_and_files_give_the_same_set(round_trip, tmp_path):
    _, source, _, back, _ = round_trip
    said = exported(source, tmp_path / "zips", "--zip")
    assert len(list((tmp_path / "zips").glob("*.zip"))) == said["zips"] == said["written"]
    imported(tmp_path / "zips", tmp_path / "back")
    assert tree(tmp_path / "back") == tree(back)


def test_without_loss_every_picture_keeps_its_bytes(tmp_path):
    exported(small_set("relative8"), tmp_path / "tree", "--lossless", "--zip")
    imported(tmp_path / "tree", tmp_path / "back")
    before, after = rows_by_key(small_set("relative8")), rows_by_key(tmp_path / "back")
    for key, row in before.items():
        assert all(after[key][name] == row[name] for name in ("image", "mask", "depth"))


def test_16_bit_depth_goes_out_with_8_bits_over_its_own_range(tmp_path):
    exported(small_set("metric16"), tmp_path / "tree")
    imported(tmp_path / "tree", tmp_path / "back")
    lines = {text.split("\t")[0]: text.split("\t") for text in (tmp_path / "tree" / "annotations.txt").read_text().splitlines()}
    before, after = rows_by_key(small_set("metric16")), rows_by_key(tmp_path / "back")
    for key, row in before.items():
        metres = pixels(row["depth"]).astype(float)
        levels = (metres - metres.min()) / (metres.max() - metres.min()) * 255
        assert np.abs(pixels(after[key]["depth"]) - levels).max() <= DEPTH_LEVELS + 1
        stem = f"{row['background']}__{'flip_' if row['flipped'] else ''}{row['foreground']}_{row['placement']}.jpg"
        assert lines[stem][-2:] == [str(np.float32(metres.min() / 1000)), str(np.float32(metres.max() / 1000))]
    assert is_good(tmp_path / "back")


def test_a_cutout_called_flip_something_comes_back_by_its_line(tmp_path):
    """The set is a copy whose tables were renamed; only its metadata, data and asset tables count for an export."""
    source = shutil.copytree(small_set("plain"), tmp_path / "set")
    _rename(source, "mh_03_walk", "flip_walk")
    exported(source, tmp_path / "tree")
    names = {path.stem for path in (tmp_path / "tree" / "inp_fg").glob("*.png")}
    assert "flip-walk" in names and "flip_walk" not in names
    imported(tmp_path / "tree", tmp_path / "back")
    assert rows_by_key(tmp_path / "back").keys() == {k.replace("mh_03_walk", "flip_walk") for k in rows_by_key(small_set("plain"))}
    assert is_good(tmp_path / "back")


def _rename(folder, old, new):
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in [n for n in manifest["files"] if n.endswith(".parquet")]:
        table = pq.ParquetFile(folder / name).read()
        for column in {"foreground", "id"} & set(table.column_names):
            values = [new if value == old else value for value in table.column(column).to_pylist()]
            table = table.set_column(table.column_names.index(column), table.schema.field(column), [values])
        pq.write_table(table, folder / name)
        manifest["files"][name]["bytes"] = (folder / name).stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))


# --- going on, and refusals of an export ---


def test_paths_may_be_relative(tmp_path, monkeypatch):
    shutil.copytree(small_set("plain"), tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    exported(Path("set"), Path("tree"), "--zip")
    imported(Path("tree"), Path("back"))
    assert is_good(Path("back"))


def test_an_export_goes_on_where_it_was(round_trip, tmp_path):
    _, source, whole, _, _ = round_trip
    copy = shutil.copytree(whole, tmp_path / "tree")
    gone = sorted((copy / "fg_bg").rglob("*.jpg"))[::3]
    for path in (*gone, copy / "annotations.txt"):
        path.unlink()
    sorted((copy / "fg_bg").rglob("*.jpg"))[0].write_bytes(b"")  # as a power failure may leave it
    assert exported(source, copy)["written"] == len(gone) + 1
    assert tree(copy) == tree(whole)
    assert exported(source, copy)["written"] == 0


def test_zips_go_on_and_are_the_same(tmp_path):
    exported(small_set("plain"), tmp_path / "zips", "--zip")
    before = tree(tmp_path / "zips")
    sorted((tmp_path / "zips").glob("*.zip"))[1].unlink()
    assert exported(small_set("plain"), tmp_path / "zips", "--zip")["written"] == 1
    assert tree(tmp_path / "zips") == before
    with zipfile.ZipFile(sorted((tmp_path / "zips").glob("*.zip"))[1]) as archive:
        names = archive.namelist()
    assert names == sorted(names) and all("/" in name and ".." not in name for name in names)


def test_other_folders_are_refused(round_trip, tmp_path):
    _, source, whole, _, _ = round_trip
    refused(("export-original", source, whole, "--quiet", "--zip"), whole, "was written with other flags", "Nothing was changed")
    other = small_set("one_split")
    refused(("export-original", other, whole, "--quiet"), whole, "the tree of another set")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused(("export-original", source, tmp_path / "full"), tmp_path / "full", "isn't empty", "thesis.txt")
    refused(("export-original", source, source / "tree"), source, "lie in each other", code=2)
    refused(("export-original", whole, tmp_path / "out"), whole, "manifest.json is missing")
    assert call("export-original", tmp_path / "none", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()
