"""Views: where the camera may stand, how it looks, which views are worth a picture, planar depth.

The camera is a pinhole with a square picture. Depth is planar: the distance along the optical axis, not along the ray.
"""

from dataclasses import dataclass

import numpy as np

from .boxes import cube_around

CLEAR_M = 0.18  # free around the camera: nothing fills the picture
WALL_M = 0.25  # from walls
NEAREST_M, FARTHEST_M = 0.1, 30.0  # any depth of a picture lies between; 16 bits of millimetres reach 65 m
PITCH_RANGE = (-38.0, 18.0)  # degrees; heads look down more often than up
ROLL_LIMIT = 8.0  # degrees
BARE, BARE_SHARE = 0.15, 0.12  # `interest` below which a view shows hardly more than a wall, and the share of rooms that may have one


@dataclass(frozen=True)
class View:
    """A camera.

    Attributes:
        eye: (3,) place [m].
        forward, up: (3,) unit vectors, at right angles.
        fov: horizontal field of view [degrees].
    """

    eye: tuple
    forward: tuple
    up: tuple
    fov: float


def view_from(eye, yaw, pitch, roll, fov):
    """A View from angles [degrees]: yaw turns +z to +x, pitch looks up, roll leans to the right."""
    y, p, a = np.radians([yaw, pitch, roll])
    forward = np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])
    up0 = np.array([-np.sin(y) * np.sin(p), np.cos(p), -np.cos(y) * np.sin(p)])
    right = np.cross(forward, up0)
    up = np.cos(a) * up0 + np.sin(a) * right
    return View(tuple(float(v) for v in eye), tuple(forward), tuple(up), float(fov))


def draw_view(r, plan, boxes, along=False):
    """A view that isn't inside anything, or None if no place was found.

    Args:
        r: numpy Generator.
        plan: floor_plan.Plan.
        boxes: list of Box of all things in the rooms.
        along: look down the length of the first room from near its end.
    """
    for _ in range(40):
        room = plan.rooms[0 if along or len(plan.rooms) == 1 or r.random() < 0.75 else 1]
        height = float(np.clip(r.choice([r.normal(1.5, 0.15), r.uniform(0.5, 2.2)]), 0.5, min(2.2, room.height - 0.2)))
        x, z = r.uniform(room.x0 + WALL_M, room.x1 - WALL_M), r.uniform(room.z0 + WALL_M, room.z1 - WALL_M)
        pitch, yaw = r.normal(-7, 9), r.uniform(0, 360)
        if along:
            z = room.z1 - r.uniform(WALL_M, 0.7) if r.random() < 0.5 else room.z0 + r.uniform(WALL_M, 0.7)
            yaw, pitch = (180.0 if z > (room.z0 + room.z1) / 2 else 0.0) + r.normal(0, 12), r.normal(-5, 5)
        roll = 0.0 if r.random() < 0.4 else float(np.clip(r.normal(0, 2.5), -ROLL_LIMIT, ROLL_LIMIT))
        fov = float(r.uniform(45, 90))
        eye = (float(x), height, float(z))
        if is_clear(eye, plan, boxes):
            return view_from(eye, float(yaw), float(np.clip(pitch, *PITCH_RANGE)), roll, fov)
    return None


def is_clear(eye, plan, boxes):
    """Is the space around a camera free, and in a room?"""
    cube = cube_around(eye, CLEAR_M)
    if not any(room.box.contains(cube) for room in plan.rooms):
        return False
    return not any(cube.overlaps(box) for box in (*plan.blocks, *boxes))


def planar_depth(distance_m, fov):
    """Depth along the optical axis from distance along the rays through the middles of the pixels.

    Args:
        distance_m: (N, N) [m].
        fov: horizontal field of view [degrees]; the picture is square.

    Returns:
        (N, N) float64 [m].
    """
    distance_m = np.asarray(distance_m, np.float64)
    return distance_m / ray_lengths(distance_m.shape[0], fov)


def ray_lengths(size_px, fov):
    """How long the ray through the middle of each pixel is where the depth is 1: (N, N) float64, at least 1."""
    half = np.tan(np.radians(fov) / 2)
    x = half * (2 * (np.arange(size_px) + 0.5) / size_px - 1)
    return np.sqrt(1 + x[:, None] ** 2 + x[None, :] ** 2)


def is_whole(depth_m):
    """Does every ray of a view end in the room, neither too near nor too far?

    A coarse map can miss a seam between two walls, or the sky beside a curtain, that a pixel of the full size looks through.

    Args:
        depth_m: (H, W) [m], inf where a ray ends nowhere.
    """
    return bool(np.isfinite(depth_m).all() and depth_m.min() >= NEAREST_M and depth_m.max() <= FARTHEST_M)


def interest(depth_m):
    """How much a view shows, from a coarse depth map; 0 for one that isn't worth a picture.

    Args:
        depth_m: (H, W) [m].

    Returns:
        float: the spread of log depth plus how many edges there are; a bare wall has about 0.1, a furnished room 0.5 to 1.
    """
    if not is_whole(depth_m):
        return 0.0
    if np.percentile(depth_m, 5) < 0.45 or np.median(depth_m) < 0.9:
        return 0.0
    log = np.log(depth_m)
    edges = (np.abs(np.diff(log, axis=0)) > 0.12).mean() + (np.abs(np.diff(log, axis=1)) > 0.12).mean()
    return float(log.std() + 2 * edges)


def choose(scores, many, r):
    """Which candidate views are taken.

    Half of them are the most interesting ones, the others any that show something; in few rooms one is nearly bare.

    Args:
        scores: list of `interest`.
        many: number of views.
        r: numpy Generator.

    Returns:
        list of indices into `scores`, or None if too few are good.
    """
    good = [i for i, score in enumerate(scores) if score >= BARE]
    bare = [i for i, score in enumerate(scores) if 0 < score < BARE]
    if bare and r.random() < BARE_SHARE:
        good.append(bare[0])
    if len(good) < many:
        return None
    best = sorted(good, key=lambda i: (-scores[i], i))[: (many + 1) // 2]
    rest = [i for i in good if i not in best]
    return best + [int(i) for i in r.permutation(rest)[: many - len(best)]]
