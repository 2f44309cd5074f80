"""Floor plans: rooms, halls, corridors, L-shapes, pillars, doors, windows and a doorway to a second room.

Most of the error of a depth network in rooms is one wrong factor for the whole picture, so sizes vary widely (1.3 to 15 m, ceilings of
2.3 to 4 m), while the things that tell the scale (doors, sills, steps) keep their usual sizes.
"""

from dataclasses import dataclass

import numpy as np

from .boxes import Box

SIDES = ("north", "east", "south", "west")
# kind: (weight, width, length, height) [m]; the length runs along z.
KINDS = {
    "room": (0.32, (2.8, 5.5), (3.2, 6.5), (2.3, 2.9)),
    "large": (0.2, (5.0, 8.5), (6.0, 10.5), (2.5, 3.3)),
    "hall": (0.18, (7.0, 12.0), (10.0, 15.0), (3.0, 4.0)),
    "corridor": (0.14, (1.3, 2.8), (7.0, 15.0), (2.3, 3.3)),
    "lshape": (0.16, (5.0, 9.0), (6.0, 11.0), (2.4, 3.3)),
}
ROLES = {
    "room": ("living", "office", "kitchen", "bedroom", "dining", "bath"),
    "large": ("living", "office", "dining", "kitchen", "classroom"),
    "hall": ("lobby", "classroom", "store", "dining"),
    "corridor": ("corridor",),
    "lshape": ("living", "office", "dining", "bedroom", "store"),
}
DOOR_WIDTH_M, DOOR_HEIGHT_M = (0.75, 1.0), (2.0, 2.15)
SECOND_ROOM = 0.45  # share of plans with an open doorway to a second room
EDGE_M = 0.15  # openings keep this far from corners
DOOR_CLEAR_M = 0.9  # free floor before doors


@dataclass(frozen=True)
class Wall:
    """A wall as seen from inside its room: s runs from its left corner to the right, y up, `inward` into the room."""

    room: int
    side: str
    origin: tuple
    right: tuple
    inward: tuple
    length: float
    height: float

    def point(self, s, y, out=0.0):
        """(3,) point [m] at s along the wall, y above the floor, `out` in front of it (negative: behind)."""
        x, z = (self.origin[i] + s * self.right[i] + out * self.inward[i] for i in (0, 1))
        return np.array([x, y, z])

    def along(self, x, z):
        """s of the foot of a point."""
        return (x - self.origin[0]) * self.right[0] + (z - self.origin[1]) * self.right[1]

    def zone(self, s0, s1, y0, y1, out0, out1):
        """The Box of a part of the space before (or behind) the wall."""
        a, b = self.point(s0, y0, out0), self.point(s1, y1, out1)
        low, high = np.minimum(a, b), np.maximum(a, b)
        return Box(*(float(v) for pair in zip(low, high, strict=True) for v in pair))


@dataclass(frozen=True)
class Room:
    """One rectangular space [m]."""

    x0: float
    x1: float
    z0: float
    z1: float
    height: float
    role: str

    @property
    def box(self):
        return Box(self.x0, self.x1, 0.0, self.height, self.z0, self.z1)

    def walls(self, index):
        """Its four walls, in the order of SIDES."""
        w, d, h = self.x1 - self.x0, self.z1 - self.z0, self.height
        return (
            Wall(index, "north", (self.x0, self.z0), (1, 0), (0, 1), w, h),
            Wall(index, "east", (self.x1, self.z0), (0, 1), (-1, 0), d, h),
            Wall(index, "south", (self.x1, self.z1), (-1, 0), (0, -1), w, h),
            Wall(index, "west", (self.x0, self.z1), (0, -1), (1, 0), d, h),
        )


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: a "window" or "door" that is closed at its back, or a "doorway" to another room; "passage" is its far end."""

    wall: Wall
    kind: str
    s0: float
    s1: float
    y0: float
    y1: float
    depth: float

    def zone(self, clear_m):
        """The Box before the opening, `clear_m` deep."""
        return self.wall.zone(self.s0, self.s1, self.y0, self.y1, 0.0, clear_m)


@dataclass(frozen=True)
class Plan:
    """What is built: rooms, solid blocks (pillars, filled corners) as boxes to the ceiling, openings."""

    kind: str
    rooms: tuple
    blocks: tuple
    openings: tuple

    def walls(self):
        return [wall for i, room in enumerate(self.rooms) for wall in room.walls(i)]


def draw_plan(r, kind=None):
    """A floor plan.

    Args:
        r: numpy Generator.
        kind: key of KINDS; None draws one by weight.
    """
    weights = np.array([row[0] for row in KINDS.values()])
    drawn = str(r.choice(list(KINDS), p=weights / weights.sum()))
    kind = kind or drawn
    _, width, length, height = KINDS[kind]
    role = str(r.choice(ROLES[kind]))
    w, d = float(r.uniform(*width)), float(r.uniform(*length))
    h = float(r.uniform(*height))
    room = Room(0.0, w, 0.0, d, h, role)
    blocks = _blocks(r, kind, room)
    openings, rooms = [], [room]
    if r.random() < SECOND_ROOM:
        _second_room(r, rooms, blocks, openings)
    _doors(r, rooms, blocks, openings)
    _windows(r, rooms, blocks, openings)
    return Plan(kind, tuple(rooms), tuple(blocks), tuple(openings))


def _blocks(r, kind, room):
    w, d, h, blocks = room.x1, room.z1, room.height, []
    if kind == "lshape":
        bw, bd = w * r.uniform(0.35, 0.55), d * r.uniform(0.35, 0.55)
        x, z = (0.0 if r.random() < 0.5 else w - bw), (0.0 if r.random() < 0.5 else d - bd)
        blocks.append(Box(x, x + bw, 0.0, h, z, z + bd))
    elif kind == "hall" and r.random() < 0.6:
        side, rows = r.uniform(0.3, 0.6), int(r.integers(2, 4))
        offset = r.uniform(1.6, w / 3)
        for i in range(rows):
            z = d * (i + 1) / (rows + 1)
            blocks += [Box(x - side / 2, x + side / 2, 0.0, h, z - side / 2, z + side / 2) for x in (offset, w - offset)]
    elif kind in ("room", "large") and r.random() < 0.3:
        bw, bd = r.uniform(0.5, 1.6), r.uniform(0.2, 0.5)
        z = r.uniform(0.3, d - bw - 0.3)
        blocks.append(Box(0.0, bd, 0.0, h, z, z + bw) if r.random() < 0.5 else Box(w - bd, w, 0.0, h, z, z + bw))
    return [Box(*(float(getattr(b, n)) for n in ("x0", "x1", "y0", "y1", "z0", "z1"))) for b in blocks]


def _second_room(r, rooms, blocks, openings):
    """A room behind one of the walls, seen through a doorway."""
    first = rooms[0]
    width, thick = r.uniform(0.8, 2.6), float(r.uniform(0.1, 0.25))
    top = float(min(r.uniform(2.0, 2.6), first.height - 0.1))
    wall = first.walls(0)[r.integers(4)]
    opening = _fit(r, wall, "doorway", min(width, wall.length - 2 * EDGE_M - 0.05), 0.0, top, thick, blocks, openings)
    if opening is None:
        return
    # The second room spans the opening along the wall and goes `deep` beyond it.
    left, right, deep = (float(v) for v in (r.uniform(0.2, 2.5), r.uniform(0.2, 2.5), r.uniform(2.0, 7.0)))
    zone = wall.zone(opening.s0 - left, opening.s1 + right, 0.0, 1.0, -thick, -thick - deep)
    height = float(max(r.uniform(2.3, 3.0), top + 0.1))
    role = str(r.choice(ROLES["room"] if r.random() < 0.8 else ROLES["corridor"]))
    second = Room(zone.x0, zone.x1, zone.z0, zone.z1, height, role)
    rooms.append(second)
    far_wall = second.walls(1)[(SIDES.index(wall.side) + 2) % 4]
    ends = [far_wall.along(*wall.point(s, 0.0, -thick)[[0, 2]]) for s in (opening.s0, opening.s1)]
    openings += [opening, Opening(far_wall, "passage", float(min(ends)), float(max(ends)), 0.0, top, 0.0)]


def _doors(r, rooms, blocks, openings):
    for i, room in enumerate(rooms):
        many = int(r.integers(2, 7)) if room.role in ("corridor", "lobby") else int(r.integers(0, 3))
        height, depth = float(r.uniform(*DOOR_HEIGHT_M)), float(r.uniform(0.01, 0.14))
        for _ in range(many):
            width = r.uniform(*DOOR_WIDTH_M) * (2 if r.random() < 0.12 else 1)
            wall = room.walls(i)[r.integers(4)]
            opening = _fit(r, wall, "door", width, 0.0, min(height, room.height - 0.1), depth, blocks, openings)
            if opening:
                openings.append(opening)


def _windows(r, rooms, blocks, openings):
    shared = {(o.wall.room, o.wall.side) for o in openings if o.kind in ("doorway", "passage")}
    for i, room in enumerate(rooms):
        many = int(r.integers(0, 3)) if room.role in ("corridor", "bath", "store") else int(r.integers(0, 5))
        sill = float(r.choice([0.08, 0.8, 0.9, 1.0], p=[0.15, 0.3, 0.4, 0.15]) + r.uniform(-0.05, 0.1))
        top = float(min(r.uniform(2.0, 2.6), room.height - 0.15))
        width, depth = r.uniform(0.7, 2.6), float(r.uniform(0.06, 0.3))
        sides = r.permutation(4)[: int(r.integers(1, 3))]
        for k in range(many):
            wall = room.walls(i)[sides[k % len(sides)]]
            if (i, wall.side) in shared:
                continue  # what is behind it is the other room
            opening = _fit(r, wall, "window", width, max(sill, 0.02), top, depth, blocks, openings)
            if opening:
                openings.append(opening)


def _fit(r, wall, kind, width, y0, y1, depth, blocks, openings):
    """Find a free place on a wall, or None: no other opening there, and no block before it."""
    room_for_it = wall.length - 2 * EDGE_M - width
    if room_for_it <= 0 or y1 - y0 < 0.3:
        return None
    taken = [(o.s0, o.s1) for o in openings if o.wall == wall]
    for _ in range(8):
        s0 = float(EDGE_M + r.uniform(0, room_for_it))
        opening = Opening(wall, kind, s0, float(s0 + width), float(y0), float(y1), float(depth))
        if any(s0 < b + EDGE_M and a < opening.s1 + EDGE_M for a, b in taken):
            continue
        if any(opening.zone(DOOR_CLEAR_M).overlaps(block) for block in blocks):
            continue
        return opening
    return None
