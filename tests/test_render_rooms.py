"""The furniture file, the files that are written, and the command that renders rooms.

mitsuba and pyoidn are large, so they are not in the test extra: a tracer in numpy stands in for them, see `room_scenes`.
"""

import json
import math
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_scenes import NumpyTracer, render_rooms
from rooms import catalogue, files, furnish, scene, surfaces, work
from rooms.boxes import Box
from rooms.scene import draw_scene, stream

from fgbg_depth.depth.training import rooms as training_rooms
from fgbg_depth.errors import DataError, StorageError, UsageError

# The furniture file


@pytest.fixture
def furniture_file(tmp_path):
    """A furniture file with two models: a turned pyramid with a picture, and a box that the catalogue names but the file lacks."""
    path = tmp_path / "small.sh3f"
    good, png = cv2.imencode(".png", np.full((4, 4, 3), (10, 20, 200), np.uint8))
    assert good
    listed = (
        "name=x\nmodel#1=/m/table/table.obj\nwidth#1=124\ndepth#1=62\nheight#1=74.1\nelevation#1=30\n"
        "model#2=/m/lost/lost.obj\nwidth#2=10\ndepth#2=10\nheight#2=10\n"
        "icon#3=/m/none.png\nwidth#3=10\n"
    )
    obj = (
        "mtllib table.mtl\nv 0 0 0\nv 2 0 0\nv 2 0 1\nv 0 0 1\nv 1 1 0.5\nvt 0 0\nvt 1 0\nvt 1 1\nvn 0 1 0\n"
        "usemtl top wood\nf 1/1/1 2/2/1 3/3/1 4/1/1\nusemtl other\nf -5 -4 -1\n"
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(catalogue.PROPERTIES, listed)
        file.writestr("m/table/table.obj", obj)
        file.writestr("m/table/table.mtl", "newmtl top wood\nKd 0.1 0.2 1.5\nNs 50\nmap_Kd Wood.PNG\nnewmtl other\nmap_Kd C:/lost/x.jpg\n")
        file.writestr("m/table/wood.png", png.tobytes())
    return path


def test_catalogue_gives_metres_meshes_and_pictures(furniture_file):
    file = catalogue.Catalogue(furniture_file)
    assert file.sizes == {"table": catalogue.Size(1.24, 0.741, 0.62, 0.3)}
    top, other = file.parts("table")
    assert len(top.faces) == 2 and len(other.faces) == 1
    assert np.allclose(top.vertices[top.faces].reshape(-1, 3).max(0), (2, 0, 1))
    assert np.allclose(other.vertices[other.faces[0]], [(0, 0, 0), (2, 0, 0), (1, 1, 0.5)])
    assert top.color == (0.1, 0.2, 1.0)
    assert top.gloss == 50
    assert np.allclose(top.normals, (0, 1, 0)) and other.normals is None
    assert (file.texture("table", top.texture) == (200, 20, 10)).all()
    assert file.texture("table", other.texture) is None


def test_missing_or_damaged_furniture_says_where_to_get_it(tmp_path):
    with pytest.raises(UsageError, match="sweethome3d-furniture"):
        catalogue.Catalogue(tmp_path / "none.sh3f")
    bad = tmp_path / "bad.sh3f"
    bad.write_text("no zip")
    with pytest.raises(DataError, match="is no furniture library"):
        catalogue.Catalogue(bad)
    with zipfile.ZipFile(bad, "w") as file:
        file.writestr("something", "else")
    with pytest.raises(DataError, match=catalogue.PROPERTIES):
        catalogue.Catalogue(bad)


# Files


def views_of(number, many=2, side=training_rooms.SIDE_PX):
    r = np.random.default_rng(number)
    images = [np.full((side, side, 3), r.integers(0, 256, 3), np.uint8) for _ in range(many)]
    return images, [r.integers(500, 9000, (side, side)).astype(np.uint16) for _ in range(many)]


def test_training_reads_what_is_written(tmp_path):
    number = next(n for n in range(10_000, 10_100) if training_rooms.split_of_room(f"{n:05d}") == "train")
    images, depths = views_of(number)
    files.write_room(tmp_path, number, images, depths)
    read = training_rooms.load_rooms(tmp_path, "train")
    assert read.names == [f"{number}_0", f"{number}_1"]
    assert np.array_equal(read.depth_mm, depths)
    assert np.abs(read.images.astype(int) - images).max() <= 3
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(files.room_files(number, 2))


def test_a_room_that_was_cut_off_is_made_again(tmp_path, monkeypatch):
    moves, move = [], Path.replace

    def failing(self, target):
        if len(moves) == 3:
            raise OSError(28, "No space left on device")
        moves.append(target.name)
        return move(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(StorageError, match="disk is full"):
        files.write_room(tmp_path, 10_001, *views_of(1))
    monkeypatch.undo()
    assert moves == ["10001_0.png", "10001_1.png", "10001_0.jpg"], "a picture never comes before its depth"
    assert files.missing_rooms(tmp_path, 10_000, 3, 2) == [10_000, 10_001, 10_002]
    assert training_rooms.list_views(tmp_path) == ["10001_0"]
    files.write_room(tmp_path, 10_001, *views_of(1))
    assert files.missing_rooms(tmp_path, 10_000, 3, 2) == [10_000, 10_002]
    assert files.missing_rooms(tmp_path, 10_001, 1, 3) == [10_001], "more views are wanted now"


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path):
    left, kept = tmp_path / f"{files.TEMP_PREFIX}10000", tmp_path / "10000_0.jpg"
    left.mkdir()
    (left / "10000_0.png").write_bytes(b"half")
    kept.write_bytes(b"a picture")
    files.clean(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize(("first", "rooms", "views"), [(-1, 5, 4), (99_999, 2, 4), (0, 0, 4), (0, 1, 0), (0, 1, 11)])
def test_numbers_that_names_cannot_hold_are_refused(first, rooms, views):
    with pytest.raises(UsageError, match="expected"):
        files.check_range(first, rooms, views)


# The command


@pytest.fixture
def command(tmp_path, furniture_file, monkeypatch):
    """Runs the command with the stand-in tracer; returns its exit code."""
    monkeypatch.setattr(work, "Tracer", NumpyTracer)
    monkeypatch.setattr(furnish, "_how_many", lambda r, room: 3)

    def run(*more):
        words = ["--out", tmp_path / "out", "--rooms", 3, "--views", 2, "--size", 24, "--furniture", furniture_file, *more]
        return render_rooms.main([str(word) for word in words])

    return run


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_command_makes_resumes_and_repeats(tmp_path, command, capsys):
    assert command() == 0
    out = tmp_path / "out"
    whole = content(out)
    assert sorted(whole) == sorted(name for n in (10_000, 10_001, 10_002) for name in files.room_files(n, 2))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("0 of 3 rooms are there, 3 to make")
    assert lines[3].startswith("3/3 room 10002 (")
    (out / "10001_1.jpg").unlink()
    stamp = (out / "10002_0.jpg").stat().st_mtime_ns
    assert command() == 0
    assert content(out) == whole
    assert (out / "10002_0.jpg").stat().st_mtime_ns == stamp
    assert "2 of 3 rooms are there, 1 to make" in capsys.readouterr().err
    assert command() == 0
    assert capsys.readouterr().err.count("\n") == 1


def test_rooms_do_not_depend_on_their_neighbours(tmp_path, command):
    assert command() == 0
    assert command("--out", tmp_path / "alone", "--first", 10_002, "--rooms", 1) == 0
    together = content(tmp_path / "out")
    assert content(tmp_path / "alone") == {name: together[name] for name in files.room_files(10_002, 2)}
    assert command("--out", tmp_path / "other", "--seed", 1) == 0
    assert content(tmp_path / "other") != together


def test_stored_depth_is_that_of_the_shell(tmp_path, command):
    assert command() == 0
    for path in (tmp_path / "out").glob("*.png"):
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and depth.shape == (24, 24)
        assert 100 < depth.min() < depth.max() < 30_000


def test_a_room_without_good_views_is_an_error_that_says_so(command, capsys, monkeypatch):
    monkeypatch.setattr(NumpyTracer, "probe", lambda self, shell, view: np.full((28, 28), 0.2))
    monkeypatch.setattr(work, "ATTEMPTS", 2)
    assert command() == 1
    assert "room 10000: no good views in 2 attempts" in capsys.readouterr().err


class SeamTracer(NumpyTracer):
    """One pixel of each view looks out of the room, in the first drawing of room 10001; the coarse probe doesn't show it."""

    def __init__(self, *words):
        super().__init__(*words)
        self.drawings, self.pictured = 0, set()

    def load(self, drawn, r):
        self.drawings += 1
        return super().load(drawn, r)

    def probe(self, shell, view):
        return super().depth(shell, view)

    def depth(self, shell, view):
        depth_m = super().depth(shell, view)
        if self.drawings == 2:  # the second drawing of a run that begins with room 10000
            depth_m[5, 7] = np.inf
        return depth_m

    def picture(self, shell, view, seed):
        self.pictured.add(self.drawings)
        return super().picture(shell, view, seed)


def test_a_room_with_a_view_through_a_seam_is_drawn_again(tmp_path, command, capsys, monkeypatch):
    """The room is the one that the next attempt draws, whoever finds the seam; the others stay as they are."""
    made = []

    def tracer(*words):
        made.append(SeamTracer(*words))
        return made[-1]

    assert command("--out", tmp_path / "whole") == 0
    whole = content(tmp_path / "whole")
    monkeypatch.setattr(work, "Tracer", tracer)
    capsys.readouterr()
    assert command() == 0
    lines = capsys.readouterr().err.splitlines()[1:]
    assert [("attempt 2" in line, "attempt" in line) for line in lines] == [(False, False), (True, True), (False, False)]
    assert made[0].drawings == 4 and made[0].pictured == {1, 3, 4}, "no picture is made of a drawing that isn't whole"
    again = content(tmp_path / "out")
    assert {name for name in whole if again[name] != whole[name]} == set(files.room_files(10_001, 2))
    monkeypatch.setattr(work, "Tracer", NumpyTracer)
    monkeypatch.setattr(work, "draw_scene", lambda *words: draw_scene(*words[:-1], words[-1] + 1))
    monkeypatch.setattr(work, "stream", lambda seed, room, part, *attempt: stream(seed, room, part, *(a + 1 for a in attempt)))
    assert command("--out", tmp_path / "next", "--first", 10_001, "--rooms", 1) == 0
    assert content(tmp_path / "next") == {name: again[name] for name in files.room_files(10_001, 2)}


def test_seams_in_every_drawing_are_an_error_that_says_so(tmp_path, command, capsys, monkeypatch):
    monkeypatch.setattr(work, "is_whole", lambda depth_m: False)
    monkeypatch.setattr(work, "ATTEMPTS", 2)
    assert command() == 1
    assert "room 10000: no good views in 2 attempts" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_mitsuba_the_command_says_what_to_install(tmp_path, furniture_file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    assert render_rooms.main(["--out", str(tmp_path / "out"), "--rooms", "1", "--furniture", str(furniture_file)]) == 2
    assert "fgbg-depth[rooms]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_worker_that_cannot_begin_ends_the_run(tmp_path, command, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    assert command("--jobs", 2, "--panoramas", broken) == 1
    assert f"{broken}: can't be read as a picture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--furniture", "none.sh3f"], "no such furniture file"),
        (["--panoramas", "nowhere"], "--panoramas nowhere"),
        (["--jobs", "0"], "--jobs 0"),
        (["--views", "11"], "--views 11"),
        (["--first", "99999"], "numbered 0 to 99999"),
    ],
)
def test_wrong_use_is_refused_before_anything_begins(tmp_path, command, capsys, more, words):
    assert command(*more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_panoramas_are_found_in_folders_and_read_small(tmp_path):
    for name, side in (("b.png", 900), ("a.jpg", 30), ("notes.txt", 0)):
        path = tmp_path / name
        if side:
            cv2.imwrite(str(path), np.full((side, 2 * side, 3), (0, 0, 250), np.uint8))
        else:
            path.write_text(json.dumps("none"))
    found = work.list_panoramas([tmp_path])
    assert [Path(p).name for p in found] == ["a.jpg", "b.png"]
    assert work.read_panorama(found[1]).shape == (work.PANORAMA_PX // 2, work.PANORAMA_PX, 3)
    assert (work.read_panorama(found[1])[0, 0] == (250, 0, 0)).all()
    with pytest.raises(DataError, match="can't be read"):
        work.read_panorama(str(tmp_path / "notes.txt"))


def test_every_made_piece_fits_its_size():
    for name, spans in furnish.MADE.items():
        for number in range(6):
            r = np.random.default_rng(number)
            size = [r.uniform(*span) for span in spans]
            shapes = scene.made.make(r, name, size)
            low, high = np.min([surfaces.bounds(s)[0] for s in shapes], 0), np.max([surfaces.bounds(s)[1] for s in shapes], 0)
            assert (low >= np.array([-size[0] / 2, 0, -size[2] / 2]) - 1e-9).all(), name
            assert (high <= np.array([size[0] / 2, size[1], size[2] / 2]) + 1e-9).all(), name


@settings(max_examples=40)
@given(st.floats(0, 360), st.floats(-5, 5), st.floats(-5, 5))
def test_a_moved_piece_stays_in_its_box(degrees, x, z):
    piece = furnish.place("made_table", (1.4, 0.7, 0.6), x, 0.0, z, degrees)
    box = surfaces.cuboid(Box(-0.7, 0.7, 0, 0.7, -0.3, 0.3), surfaces.Material())
    low, high = surfaces.bounds(scene.made.moved(box, piece))
    assert piece.box.contains(Box(low[0], high[0], low[1], high[1], low[2], high[2]))
    turned = scene.made.moved(replace(box, vertices=np.array([[0.0, 0, 1]] * len(box.vertices))), piece).vertices[0]
    assert np.allclose(turned, (x + math.sin(math.radians(degrees)), 0, z + math.cos(math.radians(degrees))))
