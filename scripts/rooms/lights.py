"""Light: what is outside the windows, which lamps there are, how bright the picture comes out.

Moods run from full day to a night with one warm lamp. A room without windows always has lamps that are on.
"""

from dataclasses import dataclass

import numpy as np

from .boxes import Box
from .surfaces import Material, cuboid, cylinder, globe, rectangle

# mood: (weight, window radiance, lamp radiance, share of lamps that are on, exposure)
MOODS = {
    "day": (0.34, (4.0, 11.0), (2.0, 8.0), 0.5, (0.9, 1.15)),
    "overcast": (0.18, (1.2, 3.5), (3.0, 9.0), 0.7, (0.8, 1.05)),
    "lamps": (0.26, (0.2, 1.2), (6.0, 16.0), 1.0, (0.8, 1.1)),
    "evening": (0.12, (0.02, 0.3), (6.0, 14.0), 0.8, (0.55, 0.95)),
    "night": (0.1, (0.0, 0.05), (5.0, 12.0), 0.35, (0.3, 0.65)),
}
WHITES = np.array([(1.0, 0.72, 0.42), (1.0, 0.82, 0.6), (1.0, 0.93, 0.82), (1.0, 1.0, 1.0), (0.85, 0.94, 1.0)])  # candle to sky
LAMP_BODY = Material((0.25, 0.25, 0.25), roughness=0.4)
SHADE = Material((0.85, 0.83, 0.78), roughness=0.8)
MAX_LAMPS = 16  # of one room: each costs time to sample


@dataclass(frozen=True)
class Mood:
    """How a scene is lit.

    Attributes:
        name: key of MOODS.
        window: radiance of a white pixel outside.
        lamp: radiance of a lamp.
        lit: share of lamps that are on.
        exposure: brightness of the picture against a usual one.
        white: (3,) linear RGB of the lamps.
    """

    name: str
    window: float
    lamp: float
    lit: float
    exposure: float
    white: tuple


def draw_mood(r):
    """A mood by weight."""
    weights = np.array([row[0] for row in MOODS.values()])
    name = str(r.choice(list(MOODS), p=weights / weights.sum()))
    _, window, lamp, lit, exposure = MOODS[name]
    warm = 2 if name in ("evening", "night") else len(WHITES)
    white = WHITES[r.integers(warm)] * r.uniform(0.95, 1.05, 3)
    return Mood(name, float(r.uniform(*window)), float(r.uniform(*lamp)), lit, float(r.uniform(*exposure)), tuple(white))


def light(r, plan, pieces, hanging, mood):
    """Lamps of all rooms: panels, tubes or spots in a grid, globes that hang, globes on stands.

    Args:
        r: numpy Generator.
        plan: floor_plan.Plan.
        pieces: list of furnish.Piece; stands keep clear of them.
        hanging: list of Box of what hangs on walls.
        mood: Mood.

    Returns:
        (list of Surface, list of Box that hold the lamps).
    """
    surfaces, boxes, any_on = [], [], False
    for index, room in enumerate(plan.rooms):
        windows = any(o.kind == "window" and o.wall.room == index for o in plan.openings)
        needs = not (any_on or (windows and mood.window > 1.0))
        kinds = ("panel", "tube", "spot", "globe") if mood.name != "night" else ("globe", "globe", "spot")
        spots = _ceiling_grid(r, room, plan, mood)
        kind = kinds[r.integers(len(kinds))]
        size, shine = _draw_size(r, kind), _radiance(mood, kind)
        for k, (x, z) in enumerate(spots):
            on = r.random() < mood.lit or (needs and k == 0)
            lamp, box = _ceiling_lamp(kind, size, x, z, room, shine if on else None)
            if any(box.overlaps(b) for b in (*plan.blocks, *(p.box for p in pieces))):
                continue
            surfaces += lamp
            boxes.append(box)
            any_on = any_on or on
        for _ in range(int(r.integers(0, 3)) if mood.name in ("evening", "night") else int(r.random() < 0.25)):
            stand = _stand(r, room, mood)
            others = (*plan.blocks, *(p.box for p in pieces), *hanging, *boxes, *(o.zone(0.8) for o in plan.openings))
            if stand and not any(stand[1].overlaps(b, 0.03) for b in others):
                surfaces += stand[0]
                boxes.append(stand[1])
                any_on = True
    if not any_on and not (mood.window > 1.0 and any(o.kind == "window" for o in plan.openings)):
        surfaces.append(_emergency(plan.rooms[0], mood))
    return surfaces, boxes


def _radiance(mood, kind):
    # Small lamps must shine more for the same light in the room.
    return np.array(mood.white) * mood.lamp * {"panel": 1.0, "tube": 2.0, "spot": 5.0, "globe": 2.5}[kind]


def _draw_size(r, kind):
    if kind == "panel":
        return (float(r.uniform(0.3, 0.7)), float(r.uniform(0.3, 1.3)))
    if kind == "tube":
        return (float(r.uniform(0.06, 0.2)), float(r.uniform(0.9, 1.6)))
    if kind == "spot":
        return (float(r.uniform(0.08, 0.16)),) * 2
    return (float(r.uniform(0.08, 0.22)), float(r.uniform(0.05, 1.0)))  # radius, length of the cord


def _ceiling_grid(r, room, plan, mood):
    wide, deep = room.x1 - room.x0, room.z1 - room.z0
    pitch = r.uniform(1.8, 3.2)
    columns, rows = max(1, int(wide / pitch)), max(1, int(deep / pitch))
    while columns * rows > MAX_LAMPS:
        columns, rows = max(1, columns - 1), max(1, rows - 1)
    if mood.name == "night" or (columns * rows > 1 and r.random() < 0.15):
        columns, rows = 1, 1
    xs = room.x0 + wide * (np.arange(columns) + 0.5) / columns
    zs = room.z0 + deep * (np.arange(rows) + 0.5) / rows
    return [(float(x), float(z)) for z in zs for x in xs]


def _ceiling_lamp(kind, size, x, z, room, radiance):
    """Surfaces of one lamp and its box; without radiance it is off."""
    top = room.height
    if kind == "globe":
        radius, cord = size
        cord = min(cord, max(0.05, top - 2.1 - 2 * radius))  # heads pass below
        middle = top - cord - radius
        box = Box(x - radius, x + radius, middle - radius, top, z - radius, z + radius)
        thread = cuboid(Box(x - 0.006, x + 0.006, middle + radius * 0.9, top, z - 0.006, z + 0.006), LAMP_BODY)
        return [globe((x, middle, z), radius, SHADE, radiance), thread], box
    wide, deep = (min(s, 0.8 * side) for s, side in zip(size, (room.x1 - room.x0, room.z1 - room.z0), strict=True))
    drop = 0.06 if kind == "tube" else 0.012
    box = Box(x - wide / 2, x + wide / 2, top - drop, top, z - deep / 2, z + deep / 2)
    face = rectangle((box.x0, box.y0 - 0.001, box.z0), (wide, 0, 0), (0, 0, deep), SHADE, radiance)
    return [cuboid(box, LAMP_BODY if kind == "tube" else SHADE), face], box.grown(0.001)


def _stand(r, room, mood):
    """A lamp on a pole somewhere near a wall."""
    radius, height = float(r.uniform(0.1, 0.18)), float(r.uniform(1.1, 1.6))
    wall = room.walls(0)[r.integers(4)]
    if wall.length < 1.0:
        return None
    x, _, z = wall.point(r.uniform(0.4, wall.length - 0.4), 0.0, radius + 0.12)
    surfaces = [
        cylinder(x, z, 0.0, 0.02, 0.13, LAMP_BODY),
        cylinder(x, z, 0.02, height - radius * 0.9, 0.012, LAMP_BODY),
        globe((x, height, z), radius, SHADE, _radiance(mood, "globe")),
    ]
    reach = max(radius, 0.13)
    return surfaces, Box(float(x - reach), float(x + reach), 0.0, height + radius, float(z - reach), float(z + reach))


def _emergency(room, mood):
    """A panel at the middle of the ceiling, where a plan left no place for another lamp: no picture is black."""
    x, z = (room.x0 + room.x1) / 2, (room.z0 + room.z1) / 2
    corner = (x - 0.3, room.height - 0.005, z - 0.3)
    return rectangle(corner, (0.6, 0, 0), (0, 0, 0.6), SHADE, _radiance(mood, "panel"))
