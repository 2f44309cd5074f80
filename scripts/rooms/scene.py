"""One room, whole: its plan, everything in it, its light and its views, as a function of seed and number."""

from dataclasses import dataclass

import numpy as np

from fgbg_depth.keyed import key64

from . import building, camera, decorate, floor_plan, furnish, lights, made

CANDIDATES = 5  # views drawn for each one that is taken


@dataclass(frozen=True)
class Scene:
    """All that is rendered.

    Attributes:
        plan: floor_plan.Plan.
        mood: lights.Mood.
        surfaces: list of surfaces.Surface: the shell, decoration, lamps, made furniture.
        pieces: list of furnish.Piece; those of the catalogue are not among the surfaces.
        boxes: list of Box that the camera stays out of.
        candidates: list of camera.View; the first looks down the room.
    """

    plan: floor_plan.Plan
    mood: lights.Mood
    surfaces: list
    pieces: list
    boxes: list
    candidates: list


def stream(seed, room, part, attempt=0):
    """The numpy Generator of one part of a room; parts don't disturb each other."""
    return np.random.default_rng(key64("rendered room", seed, room, part, attempt))


def draw_scene(seed, room, views, sizes, panoramas=(), attempt=0):
    """Everything about a room but its light.

    Args:
        seed: int, of the set.
        room: int, number of the room.
        views: number of views that will be taken.
        sizes: dict name -> catalogue.Size of the furniture there is.
        panoramas: list of (H, W, 3) uint8 RGB for windows and pictures.
        attempt: raised when a room had too few good views.
    """

    def r(part):
        return stream(seed, room, part, attempt)

    panoramas = list(panoramas)
    plan = floor_plan.draw_plan(r("plan"))
    mood = lights.draw_mood(r("mood"))
    pieces = furnish.furnish(r("furniture"), plan, sizes)
    surfaces = building.build(r("building"), plan, mood, panoramas)
    decoration, hanging = decorate.decorate(r("decoration"), plan, pieces, panoramas)
    lamps, lamp_boxes = lights.light(r("lamps"), plan, pieces, hanging, mood)
    crafted = r("made")
    for piece in pieces:
        if piece.name in furnish.MADE:
            surfaces += [made.moved(surface, piece) for surface in made.make(crafted, piece.name, piece.size)]
    boxes = [piece.box for piece in pieces] + lamp_boxes
    eyes = r("views")
    drawn = [camera.draw_view(eyes, plan, boxes, along=k == 0) for k in range(CANDIDATES * views)]
    return Scene(plan, mood, surfaces + decoration + lamps, pieces, boxes, [view for view in drawn if view])
