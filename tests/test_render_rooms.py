"""Rooms that are rendered for training: layout, views, depth, files.

mitsuba and pyoidn are large, so they are not in the test extra: `scripts/rooms/trace.py`, which is all that needs them, is stood
in for by a tracer that casts rays in numpy. It sees the shell of a room only, with the depth that the shell has.
"""

import json
import math
import sys
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg_depth.depth.training import rooms as training_rooms
from fgbg_depth.errors import DataError, StorageError, UsageError

sys.path[:0] = [str(ROOT / "scripts")]

import render_rooms  # noqa: E402
from rooms import building, camera, catalogue, develop, files, floor_plan, furnish, scene, surfaces, work  # noqa: E402
from rooms.boxes import Box, cube_around, footprint  # noqa: E402

EVERY_KIND = [(kind, number) for kind in floor_plan.KINDS for number in range(4)]


def every_size():
    """A size for each name that a room may ask for: anything from a cup to a wardrobe."""
    names = {name for table in (furnish.BY_WALL, furnish.FREE) for line in table.values() for name in line.split()}
    names |= {name for line in furnish.HANGING.values() for name in line} | set(furnish.SMALL.split()) | set(furnish.CHAIRS)
    r = np.random.default_rng(0)
    return {n: catalogue.Size(*(float(v) for v in r.uniform(0.15, 1.8, 3)), 1.4) for n in sorted(names) if n not in furnish.MADE}


SIZES = every_size()


def furnished(kind, number):
    """A plan of one kind with its furniture."""
    plan = floor_plan.draw_plan(scene.stream(1, number, "plan"), kind)
    return plan, furnish.furnish(scene.stream(1, number, "furniture"), plan, SIZES)


def corners(piece):
    """The four corners of a turned piece in plan, (4, 2) as x, z; worked out anew."""
    a = math.radians(piece.degrees)
    front, side = np.array([math.sin(a), math.cos(a)]), np.array([math.cos(a), -math.sin(a)])
    half_w, half_d = piece.size[0] / 2, piece.size[2] / 2
    return np.array([piece.x, piece.z]) + [i * half_w * side + j * half_d * front for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


def apart(a, b):
    """Is there a line between two convex outlines? Checked along the normals of all their edges."""
    for shape in (a, b):
        for edge in np.roll(shape, -1, axis=0) - shape:
            normal = np.array([-edge[1], edge[0]])
            pa, pb = a @ normal, b @ normal
            if pa.max() <= pb.min() + 1e-9 or pb.max() <= pa.min() + 1e-9:
                return True
    return False


def outline(box):
    return np.array([(box.x0, box.z0), (box.x1, box.z0), (box.x1, box.z1), (box.x0, box.z1)])


def heights_meet(a, b):
    return a[0] < b[1] - 1e-9 and b[0] < a[1] - 1e-9


def cast(shapes, eye, rays):
    """Distances along rays to the nearest triangle, inf where none is hit (Möller and Trumbore 1997).

    Args:
        shapes: list of Surface.
        eye: (3,) [m].
        rays: (N, 3), of any length; distances are in units of it.

    Returns:
        (N,) float64.
    """
    a, b, c = (np.concatenate([s.vertices[s.faces[:, i]] for s in shapes]) for i in range(3))
    e1, e2, to = b - a, c - a, np.asarray(eye) - a
    p = np.cross(rays[:, None], e2[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / (p * e1).sum(-1)
        u = (p * to).sum(-1) * inverse
        q = np.cross(to, e1)
        v = (rays @ q.T) * inverse
        t = (e2 * q).sum(-1) * inverse
        hit = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (t > 1e-6)
    return np.where(hit, t, np.inf).min(1)


class NumpyTracer:
    """Stands in for trace.Tracer: the same methods on the shell of a scene alone."""

    def __init__(self, furniture, size_px, samples):
        self._size_px = size_px

    def load(self, drawn, r):
        return building.build(np.random.default_rng(0), drawn.plan, drawn.mood, [])

    def depth(self, shell, view):
        n, half = self._size_px, math.tan(math.radians(view.fov) / 2)
        x = half * (2 * (np.arange(n) + 0.5) / n - 1)
        forward, up = np.array(view.forward), np.array(view.up)
        rays = forward + x[None, :, None] * np.cross(forward, up) - x[:, None, None] * up
        return cast(shell, view.eye, rays.reshape(-1, 3)).reshape(n, n)

    probe = depth

    def picture(self, shell, view, seed):
        return np.random.default_rng(seed).uniform(0.1, 1.0, (self._size_px, self._size_px, 3)).astype(np.float32)


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


# Layout


@pytest.mark.parametrize(("kind", "number"), EVERY_KIND)
def test_furniture_is_in_the_room_and_in_nobodys_way(kind, number):
    plan, pieces = furnished(kind, number)
    assert pieces
    for piece in pieces:
        inside = [
            room
            for room in plan.rooms
            if (corners(piece) >= [room.x0, room.z0]).all()
            and (corners(piece) <= [room.x1, room.z1]).all()
            and 0 <= piece.y <= piece.y + piece.size[1] <= room.height
        ]
        assert len(inside) == 1, piece
        solid = [*plan.blocks, *(o.zone(0.5) for o in plan.openings if o.kind != "window")]
        for box in solid:
            assert apart(corners(piece), outline(box)) or not heights_meet((piece.y, piece.y + piece.size[1]), (box.y0, box.y1)), piece
    for a, b in combinations(pieces, 2):
        if heights_meet((a.y, a.y + a.size[1]), (b.y, b.y + b.size[1])):
            assert apart(corners(a), corners(b)), (a, b)


def test_small_things_stand_on_tops():
    above = [(p, pieces) for kind, number in EVERY_KIND for pieces in [furnished(kind, number)[1]] for p in pieces if p.y > 0]
    above = [(p, pieces) for p, pieces in above if p.name in furnish.SMALL.split()]
    assert above
    for piece, pieces in above:
        under = [q for q in pieces if q.name in furnish.TOPS and 0 <= piece.y - q.size[1] < 0.01]
        assert any(q.box.x0 <= piece.x <= q.box.x1 and q.box.z0 <= piece.z <= q.box.z1 for q in under), piece


@pytest.mark.parametrize(("kind", "number"), EVERY_KIND)
def test_camera_is_in_a_room_and_in_nothing(kind, number):
    plan, pieces = furnished(kind, number)
    r, views = scene.stream(1, number, "views"), 0
    for k in range(8):
        view = camera.draw_view(r, plan, [p.box for p in pieces], along=k == 0)
        if view is None:
            continue
        views += 1
        x, y, z = view.eye
        assert any(room.x0 + 0.15 < x < room.x1 - 0.15 and room.z0 + 0.15 < z < room.z1 - 0.15 for room in plan.rooms)
        assert 0.5 <= y <= 2.2
        assert 45 <= view.fov <= 90
        dot = np.array([[x - 0.1, z - 0.1], [x + 0.1, z - 0.1], [x + 0.1, z + 0.1], [x - 0.1, z + 0.1]])
        for piece in pieces:
            assert apart(corners(piece), dot) or not piece.y - 0.1 < y < piece.y + piece.size[1] + 0.1
        assert all(apart(outline(block), dot) for block in plan.blocks)
    assert views >= 3


def test_plans_vary_as_wanted():
    plans = [floor_plan.draw_plan(scene.stream(0, n, "plan")) for n in range(300)]
    assert {plan.kind for plan in plans} == set(floor_plan.KINDS)
    lengths = [plan.rooms[0].z1 for plan in plans]
    assert min(lengths) < 4 and max(lengths) > 13
    assert max(plan.rooms[0].height for plan in plans) > 3.7
    assert 60 < sum(len(plan.rooms) == 2 for plan in plans) < 200
    assert {o.kind for plan in plans for o in plan.openings} == {"window", "door", "doorway", "passage"}


@pytest.mark.parametrize(("kind", "number"), EVERY_KIND)
def test_rooms_are_closed(kind, number):
    """From anywhere in any direction something is hit: a hole would have no depth."""
    plan, _ = furnished(kind, number)
    mood = scene.lights.draw_mood(scene.stream(1, number, "mood"))
    shell, r = building.build(scene.stream(1, number, "building"), plan, mood, []), np.random.default_rng(number)
    for room in plan.rooms:
        eyes = r.uniform((room.x0 + 0.3, 0.5, room.z0 + 0.3), (room.x1 - 0.3, 2.0, room.z1 - 0.3), (50, 3))
        eye = next(e for e in eyes if camera.is_clear(e, plan, []))
        rays = r.normal(size=(300, 3))
        distance = cast(shell, eye, rays / np.linalg.norm(rays, axis=1, keepdims=True))
        assert distance.max() < camera.FARTHEST_M


def test_doorway_shows_the_other_room():
    plan = next(p for p in (floor_plan.draw_plan(scene.stream(2, n, "plan"), "room") for n in range(50)) if len(p.rooms) == 2)
    door = next(o for o in plan.openings if o.kind == "doorway")
    far = next(o for o in plan.openings if o.kind == "passage")
    s, y = (door.s0 + door.s1) / 2, (door.y0 + door.y1) / 2
    gap = door.wall.point(s, y, -door.depth) - far.wall.point((far.s0 + far.s1) / 2, y)
    assert np.allclose(gap, 0)
    shell = building.build(scene.stream(2, 0, "b"), plan, scene.lights.draw_mood(scene.stream(2, 0, "m")), [])
    outward = -np.array([[door.wall.inward[0], 0.0, door.wall.inward[1]]])
    second = plan.rooms[1]
    deep = second.x1 - second.x0 if door.wall.side in ("east", "west") else second.z1 - second.z0
    reached = cast(shell, door.wall.point(s, y, 0.2), outward)[0]
    assert 0.2 + door.depth + deep - 0.1 <= reached <= 0.2 + door.depth + deep + 0.31  # the far wall, or a door or window in it


@given(st.lists(st.tuples(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0, 1), st.floats(0.1, 1)), max_size=4), st.floats(2.2, 4))
def test_wall_is_covered_but_for_its_holes(gaps, height):
    s, holes, wall = 0.0, [], floor_plan.Wall(0, "north", (0, 0), (1, 0), (0, 1), 8.5, height)
    for gap, width, sill, tall in gaps:
        holes.append(floor_plan.Opening(wall, "window", s + gap, s + gap + width, sill, sill + tall, 0.1))
        s += gap + width
    parts = building.wall_surfaces(wall, holes[::-1], surfaces.Material())
    area = sum(np.prod(np.ptp(part.vertices[:, :2], axis=0)) for part in parts)
    assert area == pytest.approx(8.5 * height - sum((o.s1 - o.s0) * (o.y1 - o.y0) for o in holes))
    for o in holes:
        middle = np.array([(o.s0 + o.s1) / 2, (o.y0 + o.y1) / 2])
        assert not any((p.vertices[:, :2].min(0) < middle).all() and (middle < p.vertices[:, :2].max(0)).all() for p in parts)


def test_boxes_know_who_is_in_the_way():
    a = Box(0, 1, 0, 1, 0, 1)
    assert a.overlaps(Box(0.9, 2, 0, 1, 0.5, 2))
    assert not a.overlaps(Box(1.01, 2, 0, 1, 0, 1))
    assert a.overlaps(Box(1.01, 2, 0, 1, 0, 1), gap_m=0.05)
    assert not a.overlaps(Box(0, 1, 1, 2, 0, 1), gap_m=0.05), "one stands on the other"
    assert a.contains(cube_around((0.5, 0.5, 0.5), 0.4)) and not a.contains(cube_around((0.5, 0.5, 0.5), 0.6))
    assert footprint(2, 1, 90) == pytest.approx((1, 2))
    assert footprint(1, 1, 45) == pytest.approx((math.sqrt(2), math.sqrt(2)))


# Chance


def same(a, b):
    return (
        a.plan == b.plan
        and a.mood == b.mood
        and a.pieces == b.pieces
        and a.candidates == b.candidates
        and len(a.surfaces) == len(b.surfaces)
        and all(
            np.array_equal(s.vertices, t.vertices) and np.array_equal(s.material.texture, t.material.texture)
            for s, t in zip(a.surfaces, b.surfaces, strict=True)
        )
    )


def test_a_room_depends_on_seed_and_number_alone():
    first = scene.draw_scene(3, 17, 4, SIZES)
    scene.draw_scene(3, 18, 4, SIZES)
    assert same(first, scene.draw_scene(3, 17, 4, SIZES))
    assert not same(first, scene.draw_scene(3, 18, 4, SIZES))
    assert not same(first, scene.draw_scene(4, 17, 4, SIZES))
    assert not same(first, scene.draw_scene(3, 17, 4, SIZES, attempt=1))


def test_parts_of_a_room_do_not_disturb_each_other():
    one, other = scene.draw_scene(3, 17, 4, SIZES), scene.draw_scene(3, 17, 4, {}, [np.zeros((20, 30, 3), np.uint8)])
    assert one.plan == other.plan
    assert one.mood == other.mood
    assert {p.name for p in other.pieces} <= set(furnish.MADE)


# Shapes


@pytest.mark.parametrize(
    "shape",
    [
        surfaces.cuboid(Box(1, 2, 0, 3, -1, 4), surfaces.Material(), bottom=True),
        surfaces.cylinder(1, 2, 0.5, 1.5, 0.3, surfaces.Material(), top_radius_m=0.1),
        surfaces.globe((1, 2, 3), 0.5, surfaces.Material()),
    ],
    ids=["cuboid", "cone", "globe"],
)
def test_closed_shapes_face_outwards(shape):
    a, b, c = (shape.vertices[shape.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    real = np.linalg.norm(normal, axis=1) > 1e-9  # the poles of a globe have triangles without area
    middle = (shape.vertices.min(0) + shape.vertices.max(0)) / 2
    assert ((normal * ((a + b + c) / 3 - middle)).sum(1)[real] > 0).all()
    if shape.normals is not None:
        assert ((normal * shape.normals[shape.faces].mean(1)).sum(1)[real] > 0).all()
        assert np.allclose(np.linalg.norm(shape.normals, axis=1), 1)


def test_sheet_faces_the_viewer():
    x, y = np.meshgrid(np.linspace(0, 1, 9), [2.0, 0.0])
    curtain = surfaces.sheet(np.stack([x, y, 0.1 * np.sin(x)], -1), surfaces.Material())
    a, b, c = (curtain.vertices[curtain.faces[:, i]] for i in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    assert (curtain.normals[:, 2] > 0).all()


def test_merging_keeps_every_triangle():
    red, blue = surfaces.Material((1, 0, 0)), surfaces.Material((0, 0, 1))
    shapes = [surfaces.cuboid(cube_around((i, 0, 0), 0.3), red if i % 2 else blue) for i in range(5)]
    shapes.append(surfaces.globe((9, 9, 9), 1.0, red))
    merged = surfaces.merge(shapes)
    assert len(merged) == 3
    triangles = [np.sort(np.concatenate([s.vertices[s.faces].reshape(-1, 9) for s in group]), axis=0) for group in (shapes, merged)]
    assert np.array_equal(*triangles)


# Views and depth


def test_planar_depth_of_a_wall_as_mitsuba_sees_it():
    """Golden: distances that mitsuba 3.9.1 gave for a wall 5 m away, counted from its near plane at 0.02 m."""
    distance = np.array(
        [
            [6.866683, 6.2265353, 5.9979887, 6.2265344, 6.8666825],
            [6.2265353, 5.5125437, 5.253025, 5.5125437, 6.2265344],
            [5.9979887, 5.253025, 4.98, 5.253024, 5.9979877],
            [6.2265344, 5.5125437, 5.253024, 5.5125437, 6.2265344],
            [6.8666825, 6.2265344, 5.9979877, 6.2265344, 6.8666825],
        ]
    )
    assert np.allclose(camera.planar_depth(distance, 80) + 0.02, 5.0, atol=2e-6)


@given(st.integers(1, 32), st.floats(20, 120))
def test_rays_are_longest_in_the_corners(size, fov):
    lengths = camera.ray_lengths(size, fov)
    assert lengths.shape == (size, size)
    assert lengths.min() >= 1
    assert lengths[0, 0] == pytest.approx(lengths.max())
    assert np.allclose(lengths, lengths.T) and np.allclose(lengths, lengths[::-1, ::-1])
    assert lengths[0, 0] < math.sqrt(1 + 2 * math.tan(math.radians(fov) / 2) ** 2) + 1e-9, "the corner of the picture is still farther"


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-30, 30))
def test_axes_of_a_view(yaw, pitch, roll):
    view = camera.view_from((1, 2, 3), yaw, pitch, roll, 60)
    forward, up = np.array(view.forward), np.array(view.up)
    assert np.allclose([forward @ forward, up @ up, forward @ up], [1, 1, 0])
    assert forward[1] == pytest.approx(math.sin(math.radians(pitch)))
    assert up[1] == pytest.approx(math.cos(math.radians(pitch)) * math.cos(math.radians(roll)))


def test_directions_of_a_view():
    assert np.allclose(camera.view_from((0, 0, 0), 0, 0, 0, 60).forward, (0, 0, 1))
    assert np.allclose(camera.view_from((0, 0, 0), 90, 0, 0, 60).forward, (1, 0, 0))
    assert camera.view_from((0, 0, 0), 0, 30, 0, 60).forward[1] > 0


def test_views_of_bare_walls_or_of_something_too_near_are_not_worth_it():
    wall, room = np.full((28, 28), 2.0), np.tile(np.linspace(1.0, 6.0, 28), (28, 1))
    too_near, hole = room.copy(), room.copy()
    too_near[:10], hole[0, 0] = 0.2, np.inf
    assert camera.interest(wall) < camera.BARE < camera.interest(room)
    assert camera.interest(too_near) == camera.interest(hole) == 0


def test_best_views_are_among_the_chosen():
    scores = [0.0, 0.3, 0.9, 0.05, 0.4, 0.8, 0.5]
    for number in range(30):
        chosen = camera.choose(scores, 4, np.random.default_rng(number))
        assert {2, 5} <= set(chosen)
        assert len(set(chosen)) == 4
        assert 0 not in chosen
    assert camera.choose([0.0, 0.3, 0.4], 3, np.random.default_rng(0)) is None


@given(st.floats(0.001, 65.535))
def test_millimetres_are_within_half_of_one(depth):
    stored = develop.depth_to_mm(np.full((2, 2), depth))
    assert stored.dtype == np.uint16
    assert abs(stored[0, 0] / 1000 - depth) <= 0.0005 + 1e-9


@pytest.mark.parametrize("bad", [0.0, -1.0, 0.0004, 65.6, np.nan, np.inf])
def test_depth_that_cannot_be_stored_is_refused(bad):
    with pytest.raises(DataError, match=r"expected 0\.001 to 65\.535 m"):
        develop.depth_to_mm(np.array([[1.0, bad]]))


def test_exposure_is_automatic():
    light = np.random.default_rng(0).uniform(0.2, 1.0, (16, 16, 3))
    usual = develop.develop(light, 1.0)
    assert usual.dtype == np.uint8
    assert np.array_equal(usual, develop.develop(light * 50, 1.0))
    assert 90 < usual.mean() < 190
    assert develop.develop(light, 0.4).mean() < usual.mean() - 20
    assert develop.develop(np.zeros((4, 4, 3)), 1.0).max() == 0
    # The curve at 0.25, worked out by hand: 0.25 * 0.6575 / (0.25 * 1.1975 + 0.14) = 0.374064; to the power of 1 / 2.2 and times 255.
    assert (develop.develop(np.full((4, 4, 3), 7.0), 1.0) == round(255 * 0.374064 ** (1 / 2.2))).all()


# The furniture file


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
