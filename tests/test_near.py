"""Near-duplicates: the hash against plain arithmetic and real copies, pairs against a loop, leaks on screen and on the card."""

import io
import json
import re
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pytest
from card_texts import card_of, cells_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from real_runs import PLAIN, add_background, call_good, generate, make_pictures

from fgbg_depth import near_duplicates
from fgbg_depth.assets import near
from fgbg_depth.assets.near import BITS, MAX_DISTANCE, fingerprint, near_pairs
from fgbg_depth.card.merge import parts_of
from fgbg_depth.card.write import card_differences, write_card

# --- the hash ---


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_strips_are_exact(side, seed):
    plane = np.random.default_rng(seed).integers(0, 65_026, (side, 1))
    strips = near._cut(plane, side)
    for i in (0, 1, 31, 62, 63):
        low, high = Fraction(i * side, 64), Fraction((i + 1) * side, 64)
        parts = [max(Fraction(0), min(high, k + 1) - max(low, k)) * int(plane[k, 0]) for k in range(side)]
        assert strips[i, 0] == 64 * sum(parts)


def test_frequencies_are_those_of_opencv():
    gray = np.random.default_rng(0).integers(0, 256, (128, 192))
    cells = cv2.resize(gray.astype(np.float64), (64, 64), interpolation=cv2.INTER_AREA)
    assert np.allclose(near._frequencies(gray) * 64, cv2.dct(cells)[:16, :16], atol=1e-3)


def test_half_of_the_bits_are_set_and_mirroring_is_that_of_the_pixels():
    pixels = np.random.default_rng(1).integers(0, 256, (48, 70, 3), dtype=np.uint8)
    plain, mirrored = fingerprint(pixels)[:, 0]
    assert 120 <= plain.sum() <= 136
    assert np.array_equal(fingerprint(np.ascontiguousarray(pixels[:, ::-1]))[0, 0], mirrored)
    assert (plain != mirrored).sum() > 0


def test_a_flat_picture_has_no_hash_and_an_invisible_cutout_neither():
    assert fingerprint(np.full((40, 30, 3), 77, np.uint8)) is None
    assert fingerprint(np.zeros((40, 30, 4), np.uint8)) is None


def test_symmetry_gives_no_noise():
    y, x = np.mgrid[0:99, 0:99] - 49
    disc = np.repeat((np.hypot(x, y) < 30)[..., None] * np.uint8(200), 3, axis=2)
    plain, mirrored = fingerprint(disc)
    assert np.array_equal(plain, mirrored)  # frequencies that cancel out are exact zeros


def test_margins_and_hidden_colours_of_a_cutout_change_nothing():
    rng = np.random.default_rng(2)
    cutout = rng.integers(0, 256, (50, 40, 4), dtype=np.uint8)
    cutout[..., 3] = 255
    cutout[:10, :10, 3] = 0
    wide = np.zeros((120, 90, 4), np.uint8)
    wide[30:80, 20:60] = cutout
    wide[wide[..., 3] == 0] = (255, 0, 255, 0)
    assert np.array_equal(fingerprint(cutout), fingerprint(wide))


def test_the_alpha_tells_cutouts_apart():
    """One gray, two outlines: the alpha's hash differs though the colours alone would agree where both are seen."""
    y, x = np.mgrid[0:80, 0:60]
    disc, frame = np.full((80, 60, 4), 128, np.uint8), np.full((80, 60, 4), 128, np.uint8)
    disc[..., 3] = np.where(np.hypot((x - 30) / 30, (y - 40) / 40) < 1, 255, 0)
    frame[..., 3] = np.where((abs(x - 30) > 15) | (abs(y - 40) > 25), 255, 0)
    assert near_pairs([fingerprint(disc), fingerprint(frame)])[0] == []


def copies(pixels):
    """Copies as people make them."""
    height, width = pixels.shape[:2]
    bright = pixels.copy()
    bright[..., :3] = np.clip(pixels[..., :3] * 1.2, 0, 255)
    down, right = round(height * 0.01), round(width * 0.01)
    found = [
        np.asarray(Image.fromarray(pixels).resize((width // 2, height // 2), Image.Resampling.LANCZOS)),
        np.asarray(Image.fromarray(pixels).resize((width * 2, height * 2), Image.Resampling.BICUBIC)),
        bright,
        pixels[down : height - down, right : width - right],
        pixels[:, ::-1],
    ]
    if pixels.shape[2] == 3:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=30)
        found.append(np.asarray(Image.open(out)))
    return [np.ascontiguousarray(copy) for copy in found]


@pytest.mark.parametrize(("kind", "suffix", "mode"), [("bg", "jpg", "RGB"), ("fg", "png", "RGBA")])
def test_copies_are_found_and_nothing_else(shared, kind, suffix, mode):
    """On real pictures. The hard cut-outs were made from others by blurring, squeezing and the like: these pairs are true ones."""
    files = sorted((shared / "assets" / kind).glob(f"*.{suffix}"))
    prints = {path.stem: fingerprint(np.asarray(Image.open(path).convert(mode))) for path in files}
    names = list(prints)
    pairs, count, _ = near_pairs(list(prints.values()))
    found = {(names[pair.first], names[pair.second]) for pair in pairs}
    derived = {"big_margin": "mh_21_point", "binary_alpha": "mh_13_lean", "feathered": "photo_kal", "fence_holes": "mh_36_sit"}
    derived |= {"ghost50": "mh_10_armsup", "motionblur": "mh_09_run", "thin36x400": "mh_28_crossed"}
    assert found == ({(f"hard_{name}", of) for name, of in derived.items()} if kind == "fg" else set())
    assert count == len(found)
    for path in files[::9]:
        for copy in copies(np.asarray(Image.open(path).convert(mode))):
            (pair,), _, _ = near_pairs([prints[path.stem], fingerprint(copy)], max_distance=BITS)
            assert pair.distance <= MAX_DISTANCE, path


def test_the_measuring_script_runs(tmp_path, capsys):
    import runpy

    from conftest import ROOT

    pictures = make_pictures(tmp_path, range(3), range(1))
    main = runpy.run_path(str(ROOT / "scripts" / "measure_near.py"))["main"]
    assert main([str(pictures.backgrounds), str(pictures.foregrounds)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^mirrored +0 +0 +0 +3 of 3$", out, re.MULTILINE) and "room_00.png  room_01.png" in out
    assert "JPEG" not in out.split("blob")[0].split("foregrounds")[1]


# --- pairs ---


def test_pairs_are_those_of_a_loop(monkeypatch):
    monkeypatch.setattr(near, "BLOCK_ROWS", 7)
    rng = np.random.default_rng(3)
    base = rng.random((40, 2, 2, BITS)) < 0.5
    for i in range(10, 20):  # near copies of the first ten, some by their mirrored hash
        base[i, i % 2] = base[i - 10, 0] ^ (rng.random((2, BITS)) < 0.1)
    prints = [*base[:25], None, *base[25:]]
    expected = []
    for i, one in enumerate(prints):
        for j in range(i + 1, len(prints)):
            if one is None or prints[j] is None:
                continue
            plain, mirrored = (max((one[0, p] != prints[j][way, p]).sum() for p in range(2)) for way in (0, 1))
            if min(plain, mirrored) <= MAX_DISTANCE:
                expected.append((int(min(plain, mirrored)), i, j, bool(mirrored < plain)))
    pairs, count, special = near_pairs(prints, wanted=lambda first, second: (first + second) % 2 == 0)
    ordered = sorted(expected, key=lambda pair: ((pair[1] + pair[2]) % 2, *pair[:3]))
    assert [(p.distance, p.first, p.second, p.mirrored) for p in pairs] == ordered
    assert count == len(expected) >= 10
    assert special == sum((i + j) % 2 == 0 for _, i, j, _ in expected)


def test_all_pairs_are_counted_and_the_first_are_kept(monkeypatch):
    monkeypatch.setattr(near, "BLOCK_ROWS", 8)
    monkeypatch.setattr(near, "MAX_PAIRS", 12)
    same = np.ones((2, 1, BITS), bool)
    pairs, count, special = near_pairs([same] * 30, wanted=lambda first, second: second == 29)
    assert (count, special, len(pairs)) == (435, 29, 12)
    assert [(p.first, p.second) for p in pairs] == [(i, 29) for i in range(12)]


def test_few_pictures():
    assert near_pairs([]) == ([], 0, 0)
    assert near_pairs([None, np.ones((2, 1, BITS), bool), None]) == ([], 0, 0)


# --- a set with copies ---


@pytest.fixture(scope="module")
def copied_pictures(tmp_path_factory):
    """Seven backgrounds, of which two have a copy (one mirrored), and two cut-outs of which one has a copy; twenty rows a cell."""
    folder = tmp_path_factory.mktemp("copies")
    pictures = make_pictures(folder, range(7), range(2))
    Image.open(pictures.backgrounds / "room_00.png").resize((120, 90)).save(pictures.backgrounds / "zoom.png")
    flipped = np.asarray(Image.open(pictures.backgrounds / "room_01.png"))[:, ::-1]
    Image.fromarray(flipped).save(pictures.backgrounds / "flop.jpg", quality=80)
    Image.open(pictures.foregrounds / "blob_00.png").resize((60, 72)).save(pictures.foregrounds / "large.png")
    return pictures


@pytest.fixture(scope="module")
def copied_set(copied_pictures, tmp_path_factory):
    """(folder, stdout as JSON, stderr) of `generate`."""
    folder = tmp_path_factory.mktemp("set") / "set"
    ended = call_good(*generate(copied_pictures, folder), "--json")
    return folder, json.loads(ended.out), ended.err


def splits_of(pictures, folder):
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "backgrounds" / "b000.parquet", columns=["id", "split"])
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_generate_and_plan_say_the_same(copied_pictures, copied_set, tmp_path):
    folder, result, err = copied_set
    found, splits = result["near_duplicates"], splits_of(copied_pictures, folder)
    by_ids = {tuple(pair["ids"]): pair for pair in found["pairs"]}
    assert {("room_00", "zoom"), ("flop", "room_01")} <= set(by_ids)
    assert by_ids["flop", "room_01"]["mirrored"] and not by_ids["room_00", "zoom"]["mirrored"]
    assert any(pair["kind"] == "foreground" and pair["ids"] == ["blob_00", "large"] for pair in found["pairs"])
    for ids, pair in by_ids.items():
        if pair["kind"] == "background":
            assert pair["splits"] == [splits[i] for i in ids]
            assert pair["leak"] == (pair["splits"][0] != pair["splits"][1])
            if pair["leak"]:
                assert f"backgrounds {ids[0]} and {ids[1]}" in err
        else:
            assert not pair["leak"]  # all splits share the cut-outs
    assert found["leaks"] == sum(pair["leak"] for pair in found["pairs"]) > 0
    planned = call_good("plan", *copied_pictures.flags, "--out", tmp_path / "other", *PLAIN, "--quiet", "--json")
    assert json.loads(planned.out)["near_duplicates"] == found
    lines = [line for line in err.splitlines() if line.startswith("leak: ")]
    assert lines == [line for line in planned.err.splitlines() if line.startswith("leak: ")]
    assert all("bind them by `group` in SOURCES.csv" in line for line in lines) and len(lines) == found["leaks"]


def test_the_card_tells_leaks(copied_set, monkeypatch):
    folder, result, _ = copied_set
    part = parts_of(card_of(folder)[1])["splits"].split("### Near-duplicates")[1]
    rows = cells_of(part)
    found = result["near_duplicates"]
    assert [[row[1].strip("`"), row[2].strip("`")] for row in rows] == [pair["ids"] for pair in found["pairs"]]
    assert [int(row[3]) for row in rows] == [pair["distance"] for pair in found["pairs"]]
    assert [row[5].startswith("**") for row in rows] == [pair["leak"] for pair in found["pairs"]]
    assert "in one split and one in another**" in part
    before = (folder / "README.md").read_bytes()
    monkeypatch.setattr(near_duplicates, "_kept", type(near_duplicates._kept)())  # decoded again, from the set alone
    assert card_differences(folder) == []
    (folder / "README.md").unlink()
    write_card(folder)
    assert (folder / "README.md").read_bytes() == before


def test_a_group_binds_copies(copied_pictures, tmp_path):
    pictures = copied_pictures.copy(tmp_path)
    (pictures.backgrounds / "SOURCES.csv").write_text("file,group\nroom_00.png,a\nzoom.png,a\nroom_01.png,b\nflop.jpg,b\n")
    ended = call_good("plan", *pictures.flags, "--out", tmp_path / "set", *PLAIN, "--quiet", "--json")
    found = json.loads(ended.out)["near_duplicates"]
    bound = [pair for pair in found["pairs"] if pair["same_group"]]
    assert sorted(pair["ids"] for pair in bound) == [["flop", "room_01"], ["room_00", "zoom"]]
    assert found["leaks"] == 0 and "leak: " not in ended.err
    assert "lie in one split" in ended.err


def test_old_pictures_are_compared_with_appended_ones(tmp_path):
    pictures = make_pictures(tmp_path / "pictures", range(4), range(1))
    folder = tmp_path / "set"
    call_good(*generate(pictures, folder))
    shutil.rmtree(pictures.backgrounds)
    pictures.backgrounds.mkdir()
    add_background(pictures.backgrounds, 9)
    Image.open(add_background(tmp_path, 2)).resize((160, 120)).save(pictures.backgrounds / "again.png")
    ended = call_good("plan", *pictures.flags, "--out", folder, *PLAIN, "--append", "--quiet", "--json")
    assert [pair["ids"] for pair in json.loads(ended.out)["near_duplicates"]["pairs"]] == [["again", "room_02"]]


def test_without_copies_the_card_says_so(plain_set):
    text = parts_of(card_of(plain_set)[1])["splits"].split("### Near-duplicates")[1]
    found = near_duplicates.near_in_set(plain_set)
    assert [pair for pair in found.pairs if pair.kind == "background"] == []
    assert ("No two pictures are so much alike." in text) == (found.count == 0)
