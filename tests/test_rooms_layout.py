"""Rooms that are rendered for training: where walls, furniture and cameras are, and what chance decides."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_scenes import EVERY_KIND, SIZES, apart, cast, corners, furnished, heights_meet, outline
from rooms import building, camera, floor_plan, furnish, scene, surfaces
from rooms.boxes import Box, cube_around, footprint

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
