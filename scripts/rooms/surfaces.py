"""Meshes by numbers: rectangles, boxes, walls with holes, cylinders, globes, curtains.

A `Surface` is plain arrays; `trace.py` hands them to the renderer. Texture coordinates are in metres along the surface, u to
the right and v upwards as seen from its front; a material says how many metres its picture covers.
"""

from dataclasses import dataclass, field

import numpy as np

ROUND_SIDES = 20  # sides of a cylinder or globe: smooth enough at 224 pixels


@dataclass(frozen=True)
class Material:
    """What a surface looks like.

    Attributes:
        color: (3,) sRGB in [0, 1], or None if there is a texture.
        texture: (H, W, 3) uint8 sRGB, row 0 on top, or None.
        size_m: (width, height) that the texture covers before it repeats [m].
        roughness: 0 (polished) to 1 (chalk).
        specular: strength of the gloss, 0 to 1.
    """

    color: tuple | None = (0.7, 0.7, 0.7)
    texture: np.ndarray | None = field(default=None, repr=False)
    size_m: tuple = (1.0, 1.0)
    roughness: float = 0.6
    specular: float = 0.3


@dataclass(frozen=True)
class Surface:
    """Triangles with one material.

    Attributes:
        vertices: (N, 3) float64 [m].
        faces: (M, 3) int, counter-clockwise as seen from the front.
        uv: (N, 2) float64 [m] along the surface.
        material: Material.
        normals: (N, 3) float64 of unit length for round things, or None for flat ones.
        radiance: None, or linear RGB that it shines with: (3,), or (H, W, 3) stretched over uv in [0, 1].
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: Material
    normals: np.ndarray | None = None
    radiance: np.ndarray | None = None


def rectangle(corner, right, up, material, radiance=None, uv0=(0.0, 0.0), unit_uv=False):
    """A flat rectangle; its front is the side from which `right` points to the right and `up` upwards.

    Args:
        corner: (3,) lower left corner [m].
        right, up: (3,) its edges [m].
        uv0: texture coordinates of the corner [m].
        unit_uv: stretch the texture over the rectangle, in place of metres.
    """
    corner, right, up = (np.asarray(a, float) for a in (corner, right, up))
    size = (1.0, 1.0) if unit_uv else (np.linalg.norm(right), np.linalg.norm(up))
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    vertices = corner + steps[:, :1] * right + steps[:, 1:] * up
    return Surface(vertices, np.array([[0, 1, 2], [0, 2, 3]]), np.asarray(uv0) + steps * size, material, radiance=radiance)


def cuboid(box, material, bottom=False):
    """A closed box, without its underside unless asked for. Returns one Surface."""
    w, h, d = box.x1 - box.x0, box.y1 - box.y0, box.z1 - box.z0
    sides = [
        rectangle((box.x0, box.y0, box.z1), (w, 0, 0), (0, h, 0), material),
        rectangle((box.x1, box.y0, box.z0), (-w, 0, 0), (0, h, 0), material),
        rectangle((box.x1, box.y0, box.z1), (0, 0, -d), (0, h, 0), material),
        rectangle((box.x0, box.y0, box.z0), (0, 0, d), (0, h, 0), material),
        rectangle((box.x0, box.y1, box.z1), (w, 0, 0), (0, 0, -d), material),
    ]
    if bottom:
        sides.append(rectangle((box.x0, box.y0, box.z0), (w, 0, 0), (0, 0, d), material))
    return join(sides)


def cylinder(x, z, y0, y1, radius_m, material, top_radius_m=None):
    """An upright cylinder or cone with a lid, without an underside."""
    top = radius_m if top_radius_m is None else top_radius_m
    angle = np.linspace(0, 2 * np.pi, ROUND_SIDES + 1)
    ring = np.stack([np.cos(angle), np.zeros_like(angle), -np.sin(angle)], 1)
    low, high = ring * radius_m + [x, y0, z], ring * top + [x, y1, z]
    u = angle * radius_m
    uv = np.concatenate([np.stack([u, np.zeros_like(u)], 1), np.stack([u, np.full_like(u, y1 - y0)], 1)])
    i, n = np.arange(ROUND_SIDES), ROUND_SIDES + 1
    faces = np.concatenate([np.stack([i, i + 1, n + i + 1], 1), np.stack([i, n + i + 1, n + i], 1)])
    side = Surface(np.concatenate([low, high]), faces, uv, material, normals=np.concatenate([ring, ring]))
    lid_faces = np.stack([np.full(ROUND_SIDES, n), i, i + 1], 1)
    upwards = np.tile([0.0, 1.0, 0.0], (n + 1, 1))
    lid = Surface(np.concatenate([high, [[x, y1, z]]]), lid_faces, np.zeros((n + 1, 2)), material, normals=upwards)
    return join([side, lid])


def globe(center, radius_m, material, radiance=None):
    """A ball."""
    angle, polar = np.meshgrid(np.linspace(0, 2 * np.pi, ROUND_SIDES + 1), np.linspace(0, np.pi, ROUND_SIDES // 2 + 1))
    normals = np.stack([np.sin(polar) * np.cos(angle), np.cos(polar), -np.sin(polar) * np.sin(angle)], -1)
    faces = grid_faces(*polar.shape)
    uv = np.stack([angle, polar], -1).reshape(-1, 2)
    flat = normals.reshape(-1, 3)
    return Surface(flat * radius_m + np.asarray(center, float), faces, uv, material, normals=flat, radiance=radiance)


def sheet(points, material):
    """A bent sheet through a grid of points.

    Args:
        points: (R, C, 3) [m]; rows go downwards, columns to the right, as seen from the front.
    """
    points = np.asarray(points, float)
    across, down = np.gradient(points, axis=1), np.gradient(points, axis=0)
    normals = -np.cross(across, down)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    u = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[0], axis=0), axis=1))])
    v = points[:, :, 1]
    uv = np.stack([np.broadcast_to(u, v.shape), v], -1).reshape(-1, 2)
    return Surface(points.reshape(-1, 3), grid_faces(*points.shape[:2]), uv, material, normals=normals.reshape(-1, 3))


def grid_faces(rows, columns):
    """Triangles of a grid of vertices, row 0 on top, counter-clockwise from the front."""
    r, c = (a.ravel() for a in np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij"))
    a, b = r * columns + c, (r + 1) * columns + c
    return np.concatenate([np.stack([a, b, b + 1], 1), np.stack([a, b + 1, a + 1], 1)])


def merge(surfaces):
    """Join what has the same material, light and smoothness: a renderer is quicker with few meshes.

    Returns:
        list of Surface, in the order in which their kinds first appear.
    """
    groups = {}
    for surface in surfaces:
        groups.setdefault((id(surface.material), id(surface.radiance), surface.normals is None), []).append(surface)
    return [join(group) for group in groups.values()]


def join(surfaces):
    """Several surfaces of one material and light as one. All or none of them may have normals."""
    first = surfaces[0]
    starts = np.cumsum([0] + [len(s.vertices) for s in surfaces[:-1]])
    return Surface(
        np.concatenate([s.vertices for s in surfaces]),
        np.concatenate([s.faces + start for s, start in zip(surfaces, starts, strict=True)]),
        np.concatenate([s.uv for s in surfaces]),
        first.material,
        normals=None if first.normals is None else np.concatenate([s.normals for s in surfaces]),
        radiance=first.radiance,
    )


def bounds(surface):
    """(lowest, highest) corner of a surface, (3,) each [m]."""
    return surface.vertices.min(0), surface.vertices.max(0)
