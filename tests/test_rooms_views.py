"""Shapes of rendered rooms, views of them, and their depth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rooms import camera, develop, surfaces
from rooms.boxes import Box, cube_around

from fgbg_depth.errors import DataError

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


@pytest.mark.parametrize(("depth_m", "whole"), [(0.1, True), (0.099, False), (30.0, True), (30.1, False), (np.inf, False), (np.nan, False)])
def test_one_pixel_decides_whether_a_view_is_whole(depth_m, whole):
    room = np.full((224, 224), 2.0)
    room[3, 200] = depth_m
    assert camera.is_whole(room) is whole


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
