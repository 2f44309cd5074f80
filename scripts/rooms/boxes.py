"""Boxes along the axes: what is in whose way.

Everything that takes up space in a room (furniture, pillars, the free floor before a door, the camera) is known to the
layout as such a box. It is larger than the thing itself, so that things never cut into each other.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A box along the axes [m]: x0 <= x1, y0 <= y1, z0 <= z1."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float

    def overlaps(self, other, gap_m=0.0):
        """Do two boxes share space? Beside each other they do so from `gap_m` on; one over the other they may touch."""
        return (
            self.x0 < other.x1 + gap_m
            and other.x0 < self.x1 + gap_m
            and self.y0 < other.y1
            and other.y0 < self.y1
            and self.z0 < other.z1 + gap_m
            and other.z0 < self.z1 + gap_m
        )

    def contains(self, other, slack_m=1e-6):
        """Does the other box lie in this one?"""
        return (
            self.x0 - slack_m <= other.x0
            and other.x1 <= self.x1 + slack_m
            and self.y0 - slack_m <= other.y0
            and other.y1 <= self.y1 + slack_m
            and self.z0 - slack_m <= other.z0
            and other.z1 <= self.z1 + slack_m
        )

    def grown(self, margin_m):
        """The box with `margin_m` more on every side; a negative one shrinks it."""
        m = margin_m
        return Box(self.x0 - m, self.x1 + m, self.y0 - m, self.y1 + m, self.z0 - m, self.z1 + m)


def cube_around(point, half_m):
    """The box that reaches `half_m` to every side of a point (x, y, z)."""
    x, y, z = (float(value) for value in point)
    return Box(x, x, y, y, z, z).grown(half_m)


def footprint(width_m, depth_m, degrees):
    """Size along x and z of a rectangle that is turned about the vertical axis.

    Returns:
        (x size, z size) [m] of the smallest box along the axes around it.
    """
    angle = np.radians(degrees)
    c, s = abs(np.cos(angle)), abs(np.sin(angle))
    return float(width_m * c + depth_m * s), float(width_m * s + depth_m * c)
