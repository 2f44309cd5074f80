"""Scanning asset folders: bad files and folders are all named with their reasons; what makes a cut-out, with a key colour or without."""

import io
import os
import socket

import numpy as np
import pytest
from asset_folders import cut_out, photo, put, reasons
from picture_files import disc, encode, exif, png, smooth
from PIL import Image

from fgbg_depth.assets.pictures import decode_picture
from fgbg_depth.assets.scan import asset_bytes, read_asset, scan_assets
from fgbg_depth.errors import AssetError, UsageError

# --- bad files and folders ---


def test_bad_files_stop_the_scan_and_are_all_named(tmp_path):
    put(tmp_path, good_DOT_png=photo(), cut_DOT_png=photo(1)[:-5], words_DOT_doc=b"words", deep__er__x_DOT_jpg=b"")
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "background")
    assert list(reasons(caught)) == ["cut.png", "deep/er/x.jpg", "words.doc"]
    assert "the PNG is cut off" in reasons(caught)["cut.png"]
    assert "an empty file" in reasons(caught)["deep/er/x.jpg"]
    assert "of an unknown kind" in reasons(caught)["words.doc"]
    message = str(caught.value)
    assert message.startswith(f"3 bad files among the backgrounds in {tmp_path}:\n  cut.png: the PNG is cut off")
    assert message.endswith("or pass --skip-bad to go on with the other 1.")
    scan = scan_assets(tmp_path, "background", skip_bad=True)
    assert scan.skipped == tuple(caught.value.problems)
    assert [asset.id for asset in scan.assets] == ["good"]


def test_message_shows_twenty_bad_files(tmp_path):
    put(tmp_path, **{f"f{i:02d}_DOT_png": b"bad" for i in range(23)})
    with pytest.raises(AssetError, match=r"23 bad files[^$]*  f19.png: .*\n  \.\.\. and 3 more\nNo picture is left") as caught:
        scan_assets(tmp_path, "background")
    assert "f20.png" not in str(caught.value) and len(caught.value.problems) == 23
    with pytest.raises(AssetError, match="No picture is left"):
        scan_assets(tmp_path, "background", skip_bad=True)


def test_wrong_folders(tmp_path):
    put(tmp_path, a_DOT_png=photo())
    with pytest.raises(UsageError, match=r"the folder of backgrounds isn't there: .*nowhere"):
        scan_assets(tmp_path / "nowhere", "background")
    with pytest.raises(UsageError, match=r"a.png is a file; expected a folder of foregrounds"):
        scan_assets(tmp_path / "a.png", "foreground")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.hidden").touch()
    (tmp_path / "empty/README").touch()
    with pytest.raises(UsageError, match="empty holds no picture"):
        scan_assets(tmp_path / "empty", "background")
    with pytest.raises(UsageError, match="kind is 'bg'; expected 'background' or 'foreground'"):
        scan_assets(tmp_path, "bg")


def test_equal_bytes_are_refused_and_both_named(tmp_path):
    put(tmp_path, b_DOT_png=photo(), a__z_DOT_png=photo(), c_DOT_png=photo(), d_DOT_png=photo(1))
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "background")
    assert reasons(caught) == {
        "b.png": "has the same bytes as 'a/z.png'; remove one of them",
        "c.png": "has the same bytes as 'a/z.png'; remove one of them",
    }
    assert [asset.file for asset in scan_assets(tmp_path, "background", skip_bad=True).assets] == ["d.png", "a/z.png"]


def test_symlinks(tmp_path):
    put(tmp_path / "in", real_DOT_png=photo(1))
    put(tmp_path / "in" / "deep", x_DOT_png=photo(3))
    put(tmp_path, outside_DOT_png=photo(2))
    inside = tmp_path / "in"
    (inside / "out.png").symlink_to("../outside.png")
    (inside / "out").symlink_to("..")
    (inside / "gone.png").symlink_to("nowhere.png")
    (inside / "loop.png").symlink_to("loop.png")
    (inside / "folder").symlink_to("deep")
    (inside / "twice.png").symlink_to("real.png")
    (inside / ".hidden").symlink_to("/")
    with pytest.raises(AssetError) as caught:
        scan_assets(inside, "background")
    assert reasons(caught) == {
        "folder": "a symlink to a folder; its pictures are found where they are",
        "gone.png": "a symlink that leads nowhere",
        "loop.png": "a symlink that leads nowhere",
        "out": "a symlink that leads out of the folder; copy the picture",
        "out.png": "a symlink that leads out of the folder; copy the picture",
        "twice.png": "has the same bytes as 'real.png'; remove one of them",
    }


def test_things_that_are_no_files(tmp_path, monkeypatch):
    put(tmp_path, a_DOT_png=photo())
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        (tmp_path / os.fsdecode(b"bad\xff.png")).write_bytes(photo(1))
        with pytest.raises(AssetError) as caught:
            scan_assets(tmp_path, "background")
    assert reasons(caught) == {
        "bad\\udcff.png": "its name isn't valid UTF-8; rename it",
        "pipe.png": "neither a file nor a folder",
        "socket.png": "neither a file nor a folder",
    }
    str(caught.value).encode()


def test_unreadable_files_and_folders_are_named(tmp_path, monkeypatch):
    """By refusals of the system itself; file modes wouldn't stop a test that runs as root."""
    put(tmp_path, a_DOT_png=photo(), locked_DOT_png=photo(1), sub__b_DOT_png=photo(2))
    real_read, real_list = type(tmp_path).read_bytes, os.scandir

    def read(path):
        if path.name == "locked.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real_read(path)

    def list_folder(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real_list(path)

    monkeypatch.setattr(type(tmp_path), "read_bytes", read)
    monkeypatch.setattr(os, "scandir", list_folder)
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "background")
    assert reasons(caught) == {
        "locked.png": "can't be read: Permission denied",
        "sub/": "the folder can't be read: Permission denied",
    }


def test_bounds(tmp_path, monkeypatch):
    put(tmp_path, bomb_DOT_png=png(20_000, 20_000, 8, 2, [b""]), small_DOT_png=photo())
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "background")
    assert "20000 x 20000 pixels = 400.0 million" in reasons(caught)["bomb.png"]
    with pytest.raises(AssetError, match=r"more than the bound of 0.0 million"):
        scan_assets(tmp_path, "background", max_pixels=100)
    monkeypatch.setattr("fgbg_depth.assets.scan.MAX_FILE_BYTES", 200)
    with pytest.raises(AssetError, match=r"small.png: \d+ bytes, more than the bound of 200"):
        scan_assets(tmp_path, "background")


def test_wrong_sources_stop_before_the_pictures_are_read(tmp_path):
    put(tmp_path, a_DOT_png=photo())
    (tmp_path / "SOURCES.csv").write_text("file,licence\na.png,MIT\na.png,MIT\n")
    with pytest.raises(AssetError, match=r"SOURCES.csv can't be used:\n  line 3: 'a.png' was named before, in line 2"):
        scan_assets(tmp_path, "background", on_progress=lambda *step: pytest.fail("read"))


def test_odd_metadata_of_a_good_picture_are_silent(tmp_path):
    data = encode(smooth(9, 9), "JPEG", exif=exif(1).tobytes()[:50])
    with pytest.warns(UserWarning, match="Truncated File Read"):
        decode_picture(data, alpha=False)
    put(tmp_path, a_DOT_jpg=data)
    assert len(scan_assets(tmp_path, "background", num_workers=2).assets) == 1  # warnings are errors here


# --- cut-outs ---


def test_backgrounds_with_transparency_are_refused(tmp_path):
    put(tmp_path, man_DOT_png=cut_out())
    with pytest.raises(AssetError, match="of its 576 pixels are transparent"):
        scan_assets(tmp_path, "background")


def test_unfit_cut_outs(tmp_path):
    clear, opaque, faint, speck = disc(20), disc(20), disc(20, alpha=100), np.zeros((20, 20, 4), np.uint8)
    clear[..., 3], opaque[..., 3] = 0, 255
    speck[3:6, 3:8] = 255
    put(tmp_path, photo_DOT_png=photo(), jpeg_DOT_jpg=encode(smooth(9, 9), "JPEG"), speck_DOT_png=encode(speck, "PNG"))
    put(tmp_path, clear_DOT_png=encode(clear, "PNG"), opaque_DOT_png=encode(opaque, "PNG"), faint_DOT_png=encode(faint, "PNG"))
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "foreground")
    no_alpha = "no alpha channel; pass --key-color or use a cut-out (a PNG or WebP with transparency)"
    assert reasons(caught) == {
        "clear.png": "0 of its 400 pixels have alpha >= 128 (the largest is 0); at least 16 must",
        "faint.png": "0 of its 400 pixels have alpha >= 128 (the largest is 100); at least 16 must",
        "jpeg.jpg": no_alpha,
        "opaque.png": "its alpha is 255 everywhere: a rectangle, no cut-out; cut it out, or pass --key-color",
        "photo.png": no_alpha,
        "speck.png": "15 of its 400 pixels have alpha >= 128 (the largest is 255); at least 16 must",
    }
    scan = scan_assets(tmp_path, "foreground", skip_bad=True, mask_threshold=100, min_visible_px=15)
    assert [asset.id for asset in scan.assets] == ["faint", "speck"]


def green_screen(size=24):
    pixels = disc(size)
    pixels[pixels[..., 3] == 0] = (0, 255, 0, 255)
    return pixels[..., :3]


def test_key_color_cuts_out_what_has_no_alpha(tmp_path):
    opaque = np.dstack([green_screen(26), np.full((26, 26), 255, np.uint8)])
    put(tmp_path, a_DOT_png=encode(green_screen(), "PNG"), b_DOT_png=encode(opaque, "PNG"), c_DOT_png=cut_out())
    scan = scan_assets(tmp_path, "foreground", key_color="#00ff00", key_tolerance=30)
    keyed, opaque, plain = scan.assets
    for asset, size in ((keyed, 24), (opaque, 26)):
        pixels = read_asset(asset, key_color="#00ff00", key_tolerance=30)
        np.testing.assert_array_equal(pixels[..., 3], disc(size)[..., 3])
        stored = asset_bytes(asset, key_color="#00ff00", key_tolerance=30)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))), pixels)
    np.testing.assert_array_equal(read_asset(plain, key_color="#00ff00"), disc(24, colour=(0, 100, 200)))
    assert asset_bytes(plain, key_color="#00ff00") == cut_out()
    with pytest.raises(AssetError, match=r"a.png: no alpha channel"):
        read_asset(keyed)
    with pytest.raises(AssetError, match=r"a.png: no alpha channel"):
        asset_bytes(keyed)


def test_key_color_that_finds_nothing_or_takes_all(tmp_path):
    put(tmp_path, a_DOT_png=encode(green_screen(), "PNG"), b_DOT_png=encode(np.full((9, 9, 3), 7, np.uint8), "PNG"))
    with pytest.raises(AssetError) as caught:
        scan_assets(tmp_path, "foreground", key_color="#070707")
    assert reasons(caught) == {
        "a.png": "no pixel is within 40 levels of the key colour #070707",
        "b.png": "0 of its 81 pixels have alpha >= 128 (the largest is 0); at least 16 must",
    }


def test_wrong_keys(tmp_path):
    put(tmp_path, a_DOT_png=photo())
    with pytest.raises(UsageError, match="a key colour is for foregrounds"):
        scan_assets(tmp_path, "background", key_color="#00ff00")
    with pytest.raises(UsageError, match="isn't a colour"):
        scan_assets(tmp_path, "foreground", key_color="green")
    with pytest.raises(UsageError, match="key tolerance 500 isn't"):
        scan_assets(tmp_path, "foreground", key_color="#00ff00", key_tolerance=500)
