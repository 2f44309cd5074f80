"""What hangs and lies flat: pictures, posters, boards and screens on walls, curtains, rugs, cables of light and shelves.

Flat pictures of deep places are what a network takes for windows, and dark panels for doorways; so there are many here, with the true
depth of the wall they hang on.
"""

import numpy as np

from . import textures
from .boxes import Box
from .surfaces import Material, cuboid, rectangle, sheet

FRAME_KINDS = ("none", "thin", "broad")


def decorate(r, plan, pieces, panoramas):
    """Surfaces of all decoration.

    Args:
        r: numpy Generator.
        plan: floor_plan.Plan.
        pieces: list of furnish.Piece, which pictures keep clear of.
        panoramas: list of (H, W, 3) uint8 RGB for pictures; may be empty.

    Returns:
        (list of Surface, list of Box of what hangs on walls).
    """
    surfaces, taken = [], [piece.box for piece in pieces] + list(plan.blocks)
    for index, room in enumerate(plan.rooms):
        if r.random() < 0.4:
            surfaces += _rug(r, room, plan)
        walls = room.walls(index)
        for wall in walls:
            for hole in plan.openings:
                if hole.wall == wall:
                    taken.append(hole.zone(0.2).grown(0.08))
                    if hole.kind == "window" and r.random() < 0.5:
                        surfaces += _curtains(r, hole, taken, room)
        density = r.choice([0.0, 0.12, 0.3, 0.6])  # pictures for each metre of wall
        for wall in walls:
            for _ in range(int(r.poisson(density * wall.length))):
                surfaces += _picture(r, wall, taken, panoramas)
    return surfaces, taken


def _picture(r, wall, taken, panoramas):
    """A picture with or without a frame, from a postcard to a wall-wide print; nothing if there is no place."""
    width = float(np.exp(r.uniform(np.log(0.2), np.log(2.6))))
    height = float(width * r.choice([0.6, 0.75, 1.0, 1.4]) * r.uniform(0.9, 1.1))
    thick = float(r.uniform(0.004, 0.045))
    frame = FRAME_KINDS[r.integers(3)]
    edge = {"none": 0.0, "thin": 0.02, "broad": r.uniform(0.04, 0.1)}[frame]
    for _ in range(6):
        if wall.length < width + 0.3 or wall.height < height + 0.5:
            return []
        s = r.uniform(0.1, wall.length - width - 0.1)
        y = float(np.clip(r.normal(1.55, 0.2) - height / 2, 0.25, wall.height - height - 0.1))
        zone = wall.zone(s, s + width, y, y + height, 0.0, thick + 0.01)
        if not any(zone.overlaps(box, 0.02) for box in taken):
            break
    else:
        return []
    taken.append(zone)
    color = textures.draw_color(r, (0.02, 0.95), (0.0, 0.5))
    body = cuboid(wall.zone(s, s + width, y, y + height, 0.0, thick), textures.plain(r, color), bottom=True)
    inset = min(edge, width / 4, height / 4)
    corner = wall.point(s + inset, y + inset, thick + 0.0015)
    across = wall.point(s + width - inset, y + inset, thick + 0.0015) - corner
    front = rectangle(corner, across, (0, height - 2 * inset, 0), textures.poster(r, panoramas), unit_uv=True)
    return [body, front]


def _rug(r, room, plan):
    wide, deep = (float(min(r.uniform(0.8, 3.2), side - 0.6)) for side in (room.x1 - room.x0, room.z1 - room.z0))
    if min(wide, deep) < 0.5:
        return []
    x, z = r.uniform(room.x0 + 0.3, room.x1 - 0.3 - wide), r.uniform(room.z0 + 0.3, room.z1 - 0.3 - deep)
    box = Box(x, x + wide, 0.0, 0.008, z, z + deep)
    return [] if any(box.overlaps(block) for block in plan.blocks) else [cuboid(box, textures.cloth(r))]


def _curtains(r, hole, taken, room):
    """A waved sheet at one or both sides of a window."""
    wall, cloth, surfaces = hole.wall, textures.cloth(r), []
    top, bottom = min(hole.y1 + 0.15, room.height - 0.03), (0.03 if r.random() < 0.6 else max(hole.y0 - 0.15, 0.03))
    width, waves, swing = r.uniform(0.15, 0.5), int(r.integers(3, 7)), r.uniform(0.015, 0.045)
    for side in (0, 1):
        if r.random() < 0.15:
            continue
        s0 = hole.s0 - 0.15 if side == 0 else hole.s1 + 0.15 - width
        s0 = float(np.clip(s0, 0.02, wall.length - width - 0.02))
        zone = wall.zone(s0, s0 + width, bottom, top, 0.01, 0.15)
        others = [box for box in taken if not box.overlaps(hole.zone(0.01))]
        if any(zone.overlaps(box) for box in others):
            continue
        taken.append(zone)
        t = np.linspace(0, 1, waves * 8 + 1)
        row = np.stack([wall.point(s0 + width * a, 0.0, 0.08 + swing * np.sin(2 * np.pi * waves * a)) for a in t])
        surfaces.append(sheet(np.stack([row + np.array([0, y, 0]) for y in (top, bottom)]), cloth))
        rod = wall.zone(s0, s0 + width, top, top + 0.02, 0.07, 0.09)
        surfaces.append(cuboid(rod, Material((0.3, 0.3, 0.3)), bottom=True))
    return surfaces
