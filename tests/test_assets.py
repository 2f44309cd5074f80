"""Scanning asset folders: what is said of good pictures, their ids and cut-outs, and that nothing else decides the result."""

import dataclasses
import hashlib
import random

import numpy as np
import pytest
from asset_folders import cut_out, photo, put
from conftest import SHARED
from picture_files import disc, encode, exif, smooth
from PIL import Image

from fgbg_depth.assets.pictures import decode_picture
from fgbg_depth.assets.scan import asset_bytes, read_asset, scan_assets
from fgbg_depth.errors import AssetError, UsageError
from fgbg_depth.samples import sample_folder

# --- good folders ---


def test_background_folder(tmp_path):
    turned = encode(smooth(20, 30), "JPEG", exif=exif(6))
    put(tmp_path, b_DOT_png=photo(1), **{"Sub Folder__A photo_DOT_jpg": turned})
    put(tmp_path, **{"_DOT_hidden": b"x", "README_DOT_md": b"words", "LICENSE": b"words", "notes_DOT_txt": b"words"})
    put(tmp_path, **{"Thumbs_DOT_db": b"x", "__MACOSX__x": b"x", "sub__LICENSES_DOT_txt": b"words"})
    (tmp_path / "SOURCES.csv").write_text(
        "file,licence,author,source,group\nSub Folder/A photo.jpg,CC0-1.0,Ann,https://x.org/1,room\nb.png,,,a shop\n"
    )
    scan = scan_assets(tmp_path, "background")
    assert scan.skipped == () and scan.notes == ()
    first, second = scan.assets
    assert dataclasses.asdict(first) == {
        "kind": "background",
        "id": "a-photo",
        "sha256": hashlib.sha256(turned).hexdigest(),
        "file": "Sub Folder/A photo.jpg",
        "path": tmp_path / "Sub Folder/A photo.jpg",
        "width": 20,
        "height": 30,
        "group": "room",
        "licence": "CC0-1.0",
        "author": "Ann",
        "source": "https://x.org/1",
        "url": "https://x.org/1",
    }
    assert (second.id, second.width, second.height) == ("b", 16, 12)
    assert (second.group, second.licence, second.source, second.url) == ("id:b", "", "a shop", "")
    np.testing.assert_array_equal(read_asset(first), decode_picture(turned, alpha=False))
    np.testing.assert_array_equal(decode_picture(asset_bytes(first), alpha=False), read_asset(first))
    assert asset_bytes(second) == photo(1)


def test_url_column_goes_before_the_source(tmp_path):
    put(tmp_path, a_DOT_png=photo())
    (tmp_path / "sources.CSV").write_text("file,source,url\na.png,https://x.org/1,https://y.org/2\n")
    assert scan_assets(tmp_path, "background").assets[0].url == "https://y.org/2"


def test_foreground_folder(tmp_path):
    put(tmp_path, man_DOT_png=cut_out(), ghost_DOT_webp=encode(disc(24, alpha=128), "WEBP", lossless=True))
    scan = scan_assets(tmp_path, "foreground")
    assert [asset.id for asset in scan.assets] == ["ghost", "man"]
    assert read_asset(scan.assets[1]).shape == (24, 24, 4)
    assert asset_bytes(scan.assets[1]) == cut_out()


def test_folder_given_as_text_and_by_a_symlink(tmp_path):
    put(tmp_path / "real", a_DOT_png=photo())
    (tmp_path / "link").symlink_to("real")
    assert scan_assets(str(tmp_path / "link"), "background").assets[0].id == "a"


def test_order_workers_and_place_change_nothing(tmp_path):
    names = [f"{sub}{stem}.png" for sub in ("", "b/", "a/", "B/") for stem in ("x", "X", "y y", "é")]
    bad = ["bad.png", "a/bad.png"]
    scans = []
    for turn in range(3):
        folder = tmp_path / str(turn)
        order = names + bad
        random.Random(turn).shuffle(order)
        for name in order:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"bad" if name in bad else photo(names.index(name)))
        scans.append(scan_assets(folder, "background", skip_bad=True, num_workers=turn + 1))
    assert scans[0] == scans[1] == scans[2]
    assert len({asset.id for asset in scans[0].assets}) == len(names) == len({asset.id.lower() for asset in scans[0].assets})
    assert [asset.id for asset in scans[0].assets] == sorted(asset.id for asset in scans[0].assets)
    assert [file for file, _ in scans[0].skipped] == ["a/bad.png", "bad.png"]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_progress_counts_every_file(tmp_path, num_workers):
    put(tmp_path, **{f"f{i}_DOT_png": photo(i) for i in range(5)}, bad_DOT_png=b"bad")
    seen = []
    scan_assets(tmp_path, "background", skip_bad=True, num_workers=num_workers, on_progress=lambda *step: seen.append(step))
    assert seen == [(i, 6) for i in range(1, 7)]


# --- ids ---


def test_odd_names(tmp_path):
    names = ["My Photo (1).png", "Ünïcødé.png", "写真.png", "con.png", "no suffix", "a.b.c.png"]
    for seed, name in enumerate(names):
        (tmp_path / name).write_bytes(photo(seed))
    found = {asset.file: asset.id for asset in scan_assets(tmp_path, "background").assets}
    assert found == dict(zip(names, ["my-photo-1", "unicode", "asset", "asset-con", "no-suffix", "a-b-c"], strict=True))


def test_appending_keeps_old_ids(tmp_path):
    put(tmp_path, cat_DOT_png=photo(1), dog_DOT_png=photo(2))
    old = {asset.id: asset.sha256 for asset in scan_assets(tmp_path, "background").assets}
    (tmp_path / "dog.png").unlink()
    put(tmp_path, a__cat_DOT_png=photo(3), dog_DOT_png=photo(4))
    (tmp_path / "cat.png").rename(tmp_path / "zebra.png")
    found = {asset.file: asset.id for asset in scan_assets(tmp_path, "background", taken=old).assets}
    sha3, sha4 = (hashlib.sha256(photo(seed)).hexdigest()[:8] for seed in (3, 4))
    assert found == {"zebra.png": "cat", "a/cat.png": f"cat-{sha3}", "dog.png": f"dog-{sha4}"}


def test_a_group_named_like_an_asset_binds_nothing_by_accident(tmp_path):
    put(tmp_path, room_DOT_png=photo(1), b_DOT_png=photo(2), c_DOT_png=photo(3))
    (tmp_path / "SOURCES.csv").write_text("file,group\nb.png,room\nc.png,room\n")
    scan = scan_assets(tmp_path, "background")
    assert {asset.id: asset.group for asset in scan.assets} == {"b": "room", "c": "room", "room": "id:room"}
    assert scan.notes == ("files without a row in SOURCES.csv: room.png",)


# --- reading later ---


@pytest.mark.parametrize("read", [read_asset, asset_bytes])
def test_files_that_change_after_the_scan(tmp_path, read):
    put(tmp_path, a_DOT_png=photo())
    asset = scan_assets(tmp_path, "background").assets[0]
    put(tmp_path, a_DOT_png=photo(1))
    with pytest.raises(AssetError, match=r"a.png changed since it was checked \(sha256 [0-9a-f]{12}\.\.\., expected"):
        read(asset)
    (tmp_path / "a.png").unlink()
    with pytest.raises(AssetError, match=r"a.png can't be read any more: No such file") as caught:
        read(asset)
    assert caught.value.problems == [("a.png", "can't be read any more: No such file or directory")]


# --- real pictures ---


@pytest.mark.parametrize(("kind", "folder"), [("background", "bg"), ("foreground", "fg")])
def test_sample_pictures(kind, folder):
    scan = scan_assets(sample_folder(kind), kind)
    assert len(scan.assets) == 12 and scan.skipped == () and scan.notes == ()
    assert all(asset.licence and asset.author and asset.source and asset.group for asset in scan.assets)
    assert sample_folder(kind).name == folder and (sample_folder(kind).parent / "LICENSES.txt").is_file()
    for asset in scan.assets:
        assert asset_bytes(asset) == asset.path.read_bytes() == (SHARED / "assets_mini" / folder / asset.file).read_bytes()
    with pytest.raises(UsageError):
        sample_folder("middle")


@pytest.mark.parametrize(("kind", "folder"), [("background", "bg"), ("foreground", "fg")])
def test_the_full_asset_folders_are_clean(kind, folder):
    scan = scan_assets(SHARED / "assets" / folder, kind, num_workers=2)
    assert len(scan.assets) == 100 and scan.skipped == () and scan.notes == ()
    assert scan == scan_assets(SHARED / "assets" / folder, kind)
    assert not [asset.id for asset in scan.assets if asset.group.startswith("id:")]
    channels = 4 if kind == "foreground" else 3
    for asset in scan.assets[::9]:
        assert read_asset(asset).shape == (asset.height, asset.width, channels)
        with Image.open(asset.path) as image:
            np.testing.assert_array_equal(read_asset(asset), np.asarray(image))
