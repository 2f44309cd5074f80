"""Where furniture stands: along walls, free in the room, in groups (table and chairs), in rows, and small things on top.

No two pieces share space, none is in a wall or pillar or before a door. The boxes that say so are those of the turned pieces.
"""

from dataclasses import dataclass

import numpy as np

from .boxes import Box, footprint
from .floor_plan import DOOR_CLEAR_M

GAP_M = 0.04  # between pieces, and to walls: nothing touches, nothing flickers
TRIES = 14  # places that are tried for one piece
MADE = {  # drawn by code (`made.py`), with ranges of width, height, depth [m]
    "made_table": ((0.6, 1.8), (0.68, 0.78), (0.5, 0.95)),
    "made_low_table": ((0.5, 1.2), (0.35, 0.5), (0.4, 0.7)),
    "made_bookshelf": ((0.6, 1.4), (0.9, 2.2), (0.25, 0.4)),
    "made_boxes": ((0.3, 0.8), (0.25, 1.3), (0.3, 0.8)),
    "made_counter": ((1.0, 2.6), (0.9, 1.1), (0.5, 0.7)),
    "made_cabinet": ((0.5, 1.6), (0.6, 2.1), (0.4, 0.6)),
    "made_screen": ((0.9, 1.8), (1.3, 1.9), (0.04, 0.08)),
    "made_bin": ((0.25, 0.5), (0.4, 0.9), (0.25, 0.5)),
    "made_bed": ((0.9, 1.8), (0.4, 0.6), (1.9, 2.1)),
    "made_sofa": ((1.3, 2.4), (0.7, 0.9), (0.8, 1.0)),
}
CHAIRS = ("oakChair", "plasticChair", "silla2", "sillaBlanca", "chair", "chair2", "chairWithCushion", "osakaChair", "thonet", "designChair")
BY_WALL = {
    "living": (
        "sofa2 couch couch2 winchesterSofa winchesterArmchair armchair2 modernArmchair televisionCabinet bookcase plant pianoAQueue "
        "shelves verticalShelves cupboard decorativePlant radiator3 speaker3 electricGuitar made_bookshelf made_cabinet made_sofa "
        "L_shaped_sofa"
    ),
    "office": (
        "desk lbDesk technicalTable1 technicalTable2 whiteBoard bookcase verticalShelves drawersCabinet plant lockedLocker dustbin "
        "fireExtinguisher cupboard box made_bookshelf made_cabinet made_table made_boxes radiator1 radiator"
    ),
    "kitchen": (
        "lowerCabinet lowerCabinet refrigerator largeFridge oven highCabinet sinkCabinet drawersCabinet doubleOven made_counter "
        "made_cabinet dustbin stool2 radiator3"
    ),
    "bedroom": (
        "bed1 bed2 bed3 bedWithTexture bedsideTable2 bedsideTable2 wardrobeWithSlidingDoors modernVanity armchair desk plant shelves "
        "babyRockingBed caballito cupboard briefcase made_bed made_cabinet made_bookshelf"
    ),
    "dining": (
        "cupboard bookcase plant decorativePlant made_cabinet made_counter shelves pianoAQueue radiator3 verticalShelves winchesterArmchair"
    ),
    "bath": "toiletsUnit washbasin bidet modernVanity made_cabinet radiator3 dustbin showerStall stool2",
    "classroom": "whiteBoard bookcase made_bookshelf made_cabinet plant radiator1 radiator lockedLocker desk cupboard fireExtinguisher",
    "lobby": (
        "plant decorativePlant made_counter made_sofa couch winchesterSofa sofa2 bench made_cabinet dustbin fireExtinguisher "
        "made_screen bookcase"
    ),
    "store": (
        "crate crate barrel barrel box ammoBox pallet made_boxes made_boxes made_boxes made_cabinet made_cabinet made_bookshelf "
        "made_bookshelf lockedLocker made_table wheelbarrow wardrobeWithSlidingDoors motorbike forkLift shippingContainer"
    ),
    "corridor": "plant dustbin fireExtinguisher bench made_boxes made_cabinet radiator1 radiator chair lockedLocker cupboard",
}
FREE = {
    "living": "made_low_table made_low_table oakTable table armchair2 modernArmchair relaxChair winchesterArmchair teddyBear caballito",
    "office": "lbDesk made_table osakaChair plasticChair designChair armchair made_screen made_boxes",
    "kitchen": "made_table islandExtension oakTable tableWithTablecloth stool stool2",
    "bedroom": "teddyBear caballito armchair made_boxes stool2 basketball",
    "dining": "made_table oakTable table tableWithTablecloth poolTable",
    "bath": "stool2",
    "classroom": "made_table lbDesk technicalTable1",
    "lobby": "made_sofa modernArmchair designChair made_low_table plant made_screen table_football poolTable bench",
    "store": "made_boxes crate barrel pallet box made_table ammoBox forkLift",
    "corridor": "made_boxes chair",
}
TABLES = {"made_table", "oakTable", "table", "tableWithTablecloth"}  # that get chairs around them
TOPS = {"made_low_table", "made_counter", "made_cabinet", "lbDesk", "lowerCabinet", "drawersCabinet", "bedsideTable2", "islandExtension"}
TOPS |= TABLES
SMALL = (
    "deer desklamp kitchenaid cactus littlePlant orchids augalas tableFan speaker2 headphones teddyBear beerGlass yogurtBottle "
    "tetrapak bread coffeeBrewer kalender JapaneseLantern handbag briefcase cartoon_biplane flowerBox bootie woodToy led_tv "
    "made_bin made_boxes"
)
HANGING = {  # fixed to walls, at the height that the catalogue gives
    "kitchen": ("upperCabinet", "upperCabinet", "smallUpperCabinet", "upperShelves", "rangeHood"),
    "bath": ("towel3", "wallLight"),
    "corridor": ("wallLight", "emergencySign"),
    "lobby": ("emergencySign", "wallLight"),
    "living": ("cuckooClock", "wallLight"),
}
PIECES_PER_M2 = {"corridor": 0.15, "lobby": 0.14, "store": 0.25, "classroom": 0.16}  # others: see `_how_many`


@dataclass(frozen=True)
class Piece:
    """One thing that stands somewhere.

    Attributes:
        name: of a model of the catalogue, or a key of MADE.
        size: (width, height, depth) before turning [m].
        x, y, z: middle of its underside [m].
        degrees: turned about the vertical axis; at 0 its front looks along +z.
        box: Box that it takes up.
    """

    name: str
    size: tuple
    x: float
    y: float
    z: float
    degrees: float
    box: Box


def place(name, size, x, y, z, degrees):
    """A Piece with its box."""
    wide, deep = footprint(size[0], size[2], degrees)
    box = Box(x - wide / 2, x + wide / 2, y, y + size[1], z - deep / 2, z + deep / 2)
    return Piece(name, tuple(float(v) for v in size), float(x), float(y), float(z), float(degrees), box)


class Placer:
    """Pieces of one room so far, and what they must keep clear of."""

    def __init__(self, room, plan, index):
        self.space = room.box.grown(-GAP_M)
        self.space = Box(self.space.x0, self.space.x1, 0.0, room.height - 0.05, self.space.z0, self.space.z1)
        self.blocked = [block.grown(GAP_M) for block in plan.blocks]
        here = [o for o in plan.openings if o.wall.room == index]
        self.blocked += [o.zone(0.3 if o.kind == "window" else DOOR_CLEAR_M) for o in here]
        self.pieces = []

    def free(self, box):
        """May something stand in this box?"""
        if not self.space.contains(box):
            return False
        return not any(box.overlaps(b) for b in self.blocked) and not any(box.overlaps(p.box, GAP_M) for p in self.pieces)

    def add(self, piece):
        """Place a piece if its place is free. Returns whether it was."""
        if not self.free(piece.box):
            return False
        self.pieces.append(piece)
        return True


def furnish(r, plan, sizes):
    """Furniture of all rooms of a plan.

    Args:
        r: numpy Generator.
        plan: floor_plan.Plan.
        sizes: dict name -> catalogue.Size; names that it lacks are passed over.

    Returns:
        list of Piece.
    """
    pieces = []
    for index, room in enumerate(plan.rooms):
        placer = Placer(room, plan, index)
        walls = room.walls(index)
        many = _how_many(r, room)
        _rows(r, placer, room, sizes)
        wall_names, free_names = BY_WALL[room.role].split(), FREE[room.role].split()
        for name in r.choice(wall_names, size=many):
            _by_wall(r, placer, walls, str(name), sizes)
        for name in r.choice(free_names, size=1 + many // 4):
            _free(r, placer, room, str(name), sizes)
        for name in HANGING.get(room.role, ()):
            if r.random() < 0.6:
                _by_wall(r, placer, walls, name, sizes, hung=True)
        for piece in list(placer.pieces):
            _on_top(r, placer, piece, sizes)
        pieces += placer.pieces
    return pieces


def size_of(r, name, sizes):
    """(width, height, depth) of a piece [m], drawn for made ones; None if the catalogue lacks it."""
    if name in MADE:
        return tuple(float(r.uniform(*span)) for span in MADE[name])
    found = sizes.get(name)
    return (found.width, found.height, found.depth) if found else None


def _how_many(r, room):
    area = (room.x1 - room.x0) * (room.z1 - room.z0)
    fill = r.choice([0.15, 0.6, 1.0, 1.6], p=[0.1, 0.25, 0.35, 0.3])  # from nearly empty to crammed
    return int(np.clip(area * PIECES_PER_M2.get(room.role, 0.6) * fill, 1, 22))


def _by_wall(r, placer, walls, name, sizes, hung=False):
    size = size_of(r, name, sizes)
    if size is None:
        return
    elevation = sizes[name].elevation if hung and name in sizes else 0.0
    for _ in range(TRIES):
        wall = walls[r.integers(4)]
        if wall.length < size[0] + 0.2:
            continue
        away = 0.0 if hung else float(r.choice([0.0, 0.0, r.uniform(0, 0.3)]))
        s = r.uniform(size[0] / 2 + 0.05, wall.length - size[0] / 2 - 0.05)
        x, _, z = wall.point(s, 0.0, size[2] / 2 + GAP_M + 0.01 + away)
        degrees = np.degrees(np.arctan2(wall.inward[0], wall.inward[1]))
        if placer.add(place(name, size, x, elevation, z, degrees)):
            return


def _free(r, placer, room, name, sizes):
    size = size_of(r, name, sizes)
    if size is None:
        return
    for _ in range(TRIES):
        x, z = r.uniform(room.x0 + 0.5, room.x1 - 0.5), r.uniform(room.z0 + 0.5, room.z1 - 0.5)
        straight = r.random() < 0.5
        degrees = float(r.integers(4) * 90 if straight else r.uniform(0, 360))
        if placer.add(place(name, size, x, 0.0, z, degrees)):
            if name in TABLES:
                _chairs_around(r, placer, placer.pieces[-1], sizes)
            return


def _chairs_around(r, placer, table, sizes):
    names = [name for name in CHAIRS if name in sizes]
    if not names:
        return
    name = names[r.integers(len(names))]
    size = size_of(r, name, sizes)
    for quarter in range(4):
        half = (table.size[2] if quarter % 2 == 0 else table.size[0]) / 2
        degrees = table.degrees + 90 * quarter + r.normal(0, 6)
        angle = np.radians(table.degrees + 90 * quarter)
        distance = half + size[2] / 2 + r.uniform(0.08, 0.3)
        x, z = table.x - distance * np.sin(angle), table.z - distance * np.cos(angle)
        if r.random() < 0.8:
            placer.add(place(name, size, x, 0.0, z, degrees))


def _rows(r, placer, room, sizes):
    """Rows of equal chairs or tables, as in class rooms, offices and waiting halls."""
    share = {"classroom": 0.9, "lobby": 0.35, "dining": 0.25, "office": 0.25}.get(room.role, 0.0)
    if r.random() >= share or (room.x1 - room.x0) < 4:
        return
    pool = [name for name in (*CHAIRS, "made_table", "lbDesk") if name in sizes or name in MADE]
    name = pool[r.integers(len(pool))]
    size = size_of(r, name, sizes)
    degrees, pitch_x, pitch_z = float(r.integers(4) * 90), size[0] + r.uniform(0.15, 1.2), size[2] + r.uniform(0.5, 1.3)
    if degrees % 180:
        pitch_x, pitch_z = pitch_z, pitch_x
    x0, z0 = room.x0 + r.uniform(1.0, 2.0), room.z0 + r.uniform(1.0, 2.5)
    for i in range(int(r.integers(2, 6))):
        for j in range(int(r.integers(2, 6))):
            x, z = x0 + i * pitch_x + r.normal(0, 0.03), z0 + j * pitch_z + r.normal(0, 0.03)
            if r.random() < 0.93:
                placer.add(place(name, size, x, 0.0, z, degrees + r.normal(0, 3)))


def _on_top(r, placer, piece, sizes):
    if piece.name not in TOPS or piece.y > 0 or piece.size[1] > 1.25:
        return
    # The inner half of a turned top: things stand on it whatever its shape.
    reach = min(piece.size[0], piece.size[2]) * 0.5
    angle = np.radians(piece.degrees)
    for name in r.choice(SMALL.split(), size=int(r.integers(0, 4))):
        size = size_of(r, str(name), sizes)
        if size is None:
            continue
        if name in MADE:
            size = tuple(v * 0.4 for v in size)
        slack = (piece.size[0] - max(size[0], size[2])) / 2 - 0.03
        if slack <= 0 or max(size[0], size[2]) > 2 * reach:
            continue
        shift = r.uniform(-slack, slack) * (1.0 if piece.name.startswith("made") else 0.6)
        x, z = piece.x + shift * np.cos(angle), piece.z - shift * np.sin(angle)
        placer.add(place(str(name), size, x, piece.y + piece.size[1] + 0.002, z, piece.degrees + r.uniform(-40, 40)))
