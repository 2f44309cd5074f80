"""The shell of a plan: floors, ceilings, walls with holes, what is in the holes, skirting, pillars."""

import numpy as np

from . import textures
from .surfaces import Material, cuboid, rectangle

FRAME_M, FRAME_THICK_M = 0.07, 0.015  # trim around doors
SKIRTING_THICK_M = 0.012
WHITE = Material((0.9, 0.9, 0.88), roughness=0.5)


def build(r, plan, mood, panoramas):
    """All surfaces of the shell.

    Args:
        r: numpy Generator.
        plan: floor_plan.Plan.
        mood: lights.Mood; it says how bright the windows are.
        panoramas: list of (H, W, 3) uint8 RGB that windows show; may be empty.

    Returns:
        list of Surface.
    """
    surfaces, outside = [], _outside(r, mood, panoramas)
    for index, room in enumerate(plan.rooms):
        wide, deep, h = room.x1 - room.x0, room.z1 - room.z0, room.height
        cover = textures.wall(r, h, room.role)
        accent = textures.wall(r, h, room.role) if r.random() < 0.35 else cover
        ceiling = WHITE if r.random() < 0.7 else textures.paint(r) if r.random() < 0.6 else textures.tiles(r, (0.5, 0.65))
        trim = WHITE if r.random() < 0.6 else textures.plain(r, textures.wood_color(r), (0.3, 0.7))
        skirting = float(r.choice([0.0, r.uniform(0.05, 0.15)], p=[0.25, 0.75]))
        surfaces.append(rectangle((room.x0, 0, room.z1), (wide, 0, 0), (0, 0, -deep), textures.floor(r, room.role)))
        surfaces.append(rectangle((room.x0, h, room.z0), (wide, 0, 0), (0, 0, deep), ceiling))
        accent_side = r.integers(4)
        for i, wall in enumerate(room.walls(index)):
            holes = [o for o in plan.openings if o.wall == wall]
            surfaces += wall_surfaces(wall, holes, accent if i == accent_side else cover)
            surfaces += _skirting(wall, holes, skirting, trim)
            door = textures.plain(r, textures.wood_color(r) if r.random() < 0.6 else textures.wall_color(r), (0.2, 0.6))
            for hole in holes:
                surfaces += _reveal(hole, trim)
                if hole.kind == "door":
                    surfaces += _door(r, hole, door, trim)
                elif hole.kind == "window":
                    surfaces += _window(r, hole, trim, outside[r.integers(len(outside))])
                elif r.random() < 0.6:
                    surfaces += _trim(hole, trim)
        if index == 0:
            same = cover if r.random() < 0.7 else textures.wall(r, h, room.role)
            surfaces += [cuboid(block, same) for block in plan.blocks]
    return surfaces


def wall_surfaces(wall, holes, material):
    """The wall as rectangles around its holes. They cover exactly the wall without the holes."""
    pieces, s = [], 0.0
    for hole in sorted(holes, key=lambda o: o.s0):
        pieces += [(s, hole.s0, 0.0, wall.height), (hole.s0, hole.s1, 0.0, hole.y0), (hole.s0, hole.s1, hole.y1, wall.height)]
        s = hole.s1
    pieces.append((s, wall.length, 0.0, wall.height))
    return [_on_wall(wall, *piece, 0.0, material) for piece in pieces if piece[1] - piece[0] > 1e-9 and piece[3] - piece[2] > 1e-9]


def _on_wall(wall, s0, s1, y0, y1, out, material, **options):
    corner = wall.point(s0, y0, out)
    options.setdefault("uv0", (s0, y0))
    return rectangle(corner, wall.point(s1, y0, out) - corner, (0, y1 - y0, 0), material, **options)


def _skirting(wall, holes, height, material):
    if not height:
        return []
    ends, s = [], 0.0
    for hole in sorted((o for o in holes if o.y0 < height), key=lambda o: o.s0):
        edge = FRAME_M if hole.kind == "door" else 0.0
        ends.append((s, hole.s0 - edge))
        s = hole.s1 + edge
    ends.append((s, wall.length))
    return [cuboid(wall.zone(a, b, 0.0, height, 0.0, SKIRTING_THICK_M), material) for a, b in ends if b - a > 0.01]


def _reveal(hole, material):
    """The four inner sides of a hole."""
    if hole.depth <= 0:
        return []
    w, d = hole.wall, hole.depth
    low_left, low_right = w.point(hole.s0, hole.y0), w.point(hole.s1, hole.y0)
    up, back = np.array([0, hole.y1 - hole.y0, 0]), w.point(0, 0, -d) - w.point(0, 0)
    across = low_right - low_left
    return [
        rectangle(low_left, back, up, material),
        rectangle(low_right + back, -back, up, material),
        rectangle(low_left, across, back, material),
        rectangle(low_left + up + back, across, -back, material),
    ]


def _trim(hole, material):
    """A flat frame around a door."""
    w, a, b, top, t = hole.wall, hole.s0, hole.s1, hole.y1, FRAME_THICK_M
    parts = ((a - FRAME_M, a, 0, top + FRAME_M), (b, b + FRAME_M, 0, top + FRAME_M), (a, b, top, top + FRAME_M))
    return [cuboid(w.zone(*part, 0, t), material, bottom=True) for part in parts]


def _door(r, hole, leaf, trim):
    w, back = hole.wall, -hole.depth
    surfaces = [_on_wall(w, hole.s0, hole.s1, hole.y0, hole.y1, back, leaf), *_trim(hole, trim)]
    metal = Material((0.6, 0.6, 0.58), roughness=0.25, specular=0.6)
    s = hole.s0 + 0.07 if r.random() < 0.5 else hole.s1 - 0.17
    surfaces.append(cuboid(w.zone(s, s + 0.1, 1.02, 1.05, back, back + 0.05), metal, bottom=True))
    if r.random() < 0.4:  # raised panels
        width = hole.s1 - hole.s0
        for y0, y1 in ((0.2, 0.95), (1.1, hole.y1 - 0.15)):
            surfaces.append(cuboid(w.zone(hole.s0 + width * 0.15, hole.s1 - width * 0.15, y0, y1, back, back + 0.012), leaf, bottom=True))
    return surfaces


def _window(r, hole, trim, radiance):
    """A pane that shines with what is outside, a frame with bars, and a sill if it is high enough."""
    w, back, bar = hole.wall, -hole.depth, 0.05
    pane = _on_wall(w, hole.s0, hole.s1, hole.y0, hole.y1, back, Material((0.05, 0.05, 0.05)), radiance=radiance, unit_uv=True, uv0=(0, 0))
    surfaces = [pane]
    columns, rows = int(r.integers(1, 4)), int(r.integers(1, 3))
    for s in np.linspace(hole.s0 + bar / 2, hole.s1 - bar / 2, columns + 1):
        surfaces.append(cuboid(w.zone(s - bar / 2, s + bar / 2, hole.y0, hole.y1, back + 0.001, back + 0.04), trim))
    for y in np.linspace(hole.y0 + bar / 2, hole.y1 - bar / 2, rows + 1):
        surfaces.append(cuboid(w.zone(hole.s0, hole.s1, y - bar / 2, y + bar / 2, back + 0.002, back + 0.035), trim, bottom=True))
    if hole.y0 > 0.3:
        surfaces.append(cuboid(w.zone(hole.s0 - 0.04, hole.s1 + 0.04, hole.y0 - 0.03, hole.y0 + 0.002, 0.0, 0.05), trim, bottom=True))
    return surfaces


def _outside(r, mood, panoramas):
    """Three views for windows, linear RGB: panoramas, or a sky over ground where there are none."""
    views = []
    for _ in range(3):
        if panoramas:
            picture = panoramas[r.integers(len(panoramas))].astype(np.float64) / 255
            step = max(1, picture.shape[1] // 256)
            view = picture[::step, ::step] ** 2.2
        else:
            height = np.linspace(1, 0, 64)[:, None, None]
            view = np.where(height > r.uniform(0.3, 0.5), textures.draw_color(r, (0.7, 1.0)), textures.draw_color(r, (0.2, 0.5))) ** 2.2
            view = np.repeat(view, 64, 1)
        views.append(view * mood.window + mood.window * 0.05)
    return views
