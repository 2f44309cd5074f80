"""Furniture drawn by code: tables, shelves with books, boxes, counters, cabinets, screens, bins, beds, sofas.

The catalogue has few pieces of each kind; these come in any size and colour. Each function gives the surfaces in the piece's own
frame: middle of the underside at the origin, front to +z.
"""

from itertools import pairwise

import numpy as np

from . import textures
from .boxes import Box
from .surfaces import Surface, cuboid, cylinder


def make(r, name, size):
    """Surfaces of a made piece in its own frame; they fill at most `size`.

    Args:
        r: numpy Generator.
        name: key of furnish.MADE.
        size: (width, height, depth) [m].
    """
    return MAKERS[name](r, *size)


def _block(x0, x1, y0, y1, z0, z1, material):
    return cuboid(Box(x0, x1, y0, y1, z0, z1), material, bottom=True)


def _wood_or_color(r):
    return textures.plain(r, textures.wood_color(r)) if r.random() < 0.6 else textures.plain(r)


def table(r, w, h, d):
    top, thick, leg = _wood_or_color(r), r.uniform(0.02, 0.05), r.uniform(0.03, 0.08)
    legs = top if r.random() < 0.5 else textures.plain(r)
    surfaces = [_block(-w / 2, w / 2, h - thick, h, -d / 2, d / 2, top)]
    if r.random() < 0.2:
        surfaces.append(cylinder(0, 0, 0.03, h - thick, leg, legs))
        surfaces.append(cylinder(0, 0, 0.0, 0.03, min(w, d) * 0.3, legs))
        return surfaces
    for x in (-w / 2 + leg, w / 2 - leg):
        for z in (-d / 2 + leg, d / 2 - leg):
            surfaces.append(_block(x - leg / 2, x + leg / 2, 0, h - thick, z - leg / 2, z + leg / 2, legs))
    return surfaces


def bookshelf(r, w, h, d):
    wood, board, boards = _wood_or_color(r), 0.02, max(2, int(h / r.uniform(0.28, 0.4)))
    surfaces = [
        _block(-w / 2, -w / 2 + board, 0, h, -d / 2, d / 2, wood),
        _block(w / 2 - board, w / 2, 0, h, -d / 2, d / 2, wood),
        _block(-w / 2, w / 2, 0, h, -d / 2, -d / 2 + 0.01, wood),
    ]
    levels = np.linspace(0.02, h - board, boards + 1)
    inks = [textures.plain(r) for _ in range(6)]
    for low, high in pairwise(levels):
        surfaces.append(_block(-w / 2, w / 2, low, low + board, -d / 2, d / 2, wood))
        x, end = -w / 2 + board, -w / 2 + board + (w - 2 * board) * r.choice([0.0, r.uniform(0.3, 1.0)], p=[0.15, 0.85])
        while x < end - 0.06:
            thick, tall = r.uniform(0.015, 0.06), (high - low - board) * r.uniform(0.55, 0.95)
            front = d / 2 - r.uniform(0.02, 0.08)
            surfaces.append(_block(x, x + thick - 0.002, low + board, low + board + tall, -d / 2 + 0.02, front, inks[r.integers(6)]))
            x += thick
    surfaces.append(_block(-w / 2, w / 2, h - board, h, -d / 2, d / 2, wood))
    return surfaces


def boxes(r, w, h, d):
    """A stack; each box a bit smaller than the one below."""
    surfaces, y, many = [], 0.0, int(r.integers(1, 4))
    heights = r.uniform(0.5, 1.0, many)
    heights *= h / heights.sum()
    for tall in heights:
        cardboard = textures.plain(r, np.array([0.68, 0.52, 0.36]) * r.uniform(0.8, 1.1), (0.7, 0.95))
        surfaces.append(_block(-w / 2, w / 2, y, y + tall, -d / 2, d / 2, cardboard if r.random() < 0.6 else textures.plain(r)))
        w, d, y = w * r.uniform(0.7, 1.0), d * r.uniform(0.7, 1.0), y + tall
    return surfaces


def counter(r, w, h, d):
    body = textures.boards(r) if r.random() < 0.3 else textures.plain(r)
    return [
        _block(-w / 2 + 0.03, w / 2 - 0.03, 0, h - 0.04, -d / 2 + 0.03, d / 2 - 0.04, body),
        _block(-w / 2, w / 2, h - 0.04, h, -d / 2, d / 2, _wood_or_color(r)),
    ]


def cabinet(r, w, h, d):
    body, front = _wood_or_color(r), _wood_or_color(r)
    surfaces = [_block(-w / 2, w / 2, 0, h, -d / 2, d / 2 - 0.03, body)]
    columns, rows = max(1, round(w / 0.5)), int(r.choice([1, 1, 2, 3, 4]))
    xs, ys = np.linspace(-w / 2, w / 2, columns + 1), np.linspace(0.06, h - 0.01, rows + 1)
    for a, b in pairwise(xs):
        for low, high in pairwise(ys):
            surfaces.append(_block(a + 0.004, b - 0.004, low + 0.004, high - 0.004, d / 2 - 0.03, d / 2 - 0.012, front))
            middle = (low + high) / 2
            surfaces.append(_block((a + b) / 2 - 0.05, (a + b) / 2 + 0.05, middle - 0.01, middle + 0.01, d / 2 - 0.012, d / 2, body))
    return surfaces


def screen(r, w, h, d):
    """A standing panel on two feet: flat, like a person's cut-out, but with straight edges."""
    cover = textures.poster(r, []) if r.random() < 0.3 else textures.carpet(r)
    feet = textures.plain(r)
    panel = _block(-w / 2, w / 2, 0.08, h, -d / 4, d / 4, cover)
    return [panel, *(_block(x - 0.02, x + 0.02, 0, 0.08, -d / 2, d / 2, feet) for x in (-w / 2 + 0.1, w / 2 - 0.1))]


def round_bin(r, w, h, d):
    radius = min(w, d) / 2
    return [cylinder(0, 0, 0, h, radius * r.uniform(0.6, 1.0), textures.plain(r), top_radius_m=radius)]


def bed(r, w, h, d):
    frame, blanket = _wood_or_color(r), textures.cloth(r)
    pillow = textures.plain(r, textures.draw_color(r, (0.7, 1.0), (0, 0.3)), (0.8, 1.0))
    surfaces = [
        _block(-w / 2, w / 2, 0.05, h * 0.55, -d / 2, d / 2, frame),
        _block(-w / 2 + 0.02, w / 2 - 0.02, h * 0.55, h * 0.85, -d / 2, d / 2 - 0.02, blanket),
    ]
    for x in (-w / 4, w / 4) if w > 1.2 else (0.0,):
        half = min(0.3, w / 4 - 0.02) if w > 1.2 else 0.3
        surfaces.append(_block(x - half, x + half, h * 0.85, h, -d / 2 + 0.05, -d / 2 + 0.45, pillow))
    return surfaces


def sofa(r, w, h, d):
    cover, arm, seat = textures.carpet(r) if r.random() < 0.5 else textures.plain(r), r.uniform(0.12, 0.25), r.uniform(0.38, 0.46)
    surfaces = [
        _block(-w / 2, w / 2, 0.06, seat * 0.7, -d / 2, d / 2, cover),
        _block(-w / 2, w / 2, seat * 0.7, h, -d / 2, -d / 2 + 0.22, cover),
        _block(-w / 2, -w / 2 + arm, seat * 0.7, seat + 0.18, -d / 2 + 0.22, d / 2, cover),
        _block(w / 2 - arm, w / 2, seat * 0.7, seat + 0.18, -d / 2 + 0.22, d / 2, cover),
    ]
    many = max(1, round((w - 2 * arm) / 0.65))
    edges = np.linspace(-w / 2 + arm, w / 2 - arm, many + 1)
    for a, b in pairwise(edges):
        surfaces.append(_block(a + 0.008, b - 0.008, seat * 0.7, seat, -d / 2 + 0.22, d / 2 - 0.02, cover))
    return surfaces


def moved(surface, piece):
    """A surface from a piece's own frame to its place in the room."""
    turn = rotation(piece.degrees)
    vertices = surface.vertices @ turn.T + [piece.x, piece.y, piece.z]
    normals = None if surface.normals is None else surface.normals @ turn.T
    return Surface(vertices, surface.faces, surface.uv, surface.material, normals, surface.radiance)


def rotation(degrees):
    """(3, 3) turn about the vertical axis that takes +z towards +x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


MAKERS = {
    "made_table": table,
    "made_low_table": table,
    "made_bookshelf": bookshelf,
    "made_boxes": boxes,
    "made_counter": counter,
    "made_cabinet": cabinet,
    "made_screen": screen,
    "made_bin": round_bin,
    "made_bed": bed,
    "made_sofa": sofa,
}
