"""What the tests of rendered rooms share: furnished plans, and a tracer in numpy that stands in for mitsuba's."""

import math
import sys

import numpy as np
from conftest import ROOT

sys.path[:0] = [str(ROOT / "scripts")]

import render_rooms  # noqa: E402, F401
from rooms import building, catalogue, floor_plan, furnish, scene  # noqa: E402

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
