"""Where things stand: what a scene says about places and sizes, and what it leaves to chance, as a smooth function.

Everything that a caption leaves open is decided by NUMBERS numbers. They are independent and normal, because the
denoiser reads them off its first noise (see denoiser.py): another seed is another layout. Lengths are in frames of a
square picture measured from the middle: a square reaches from -1 to 1, a wide picture further to the sides and less
far up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scenes import Scene

NUMBERS = 16
COPIES = 4  # of things in one picture, at most
CANVAS = 1.3  # how far a background is painted beyond a square's edge
PLACES_X = {"left": -1.0, "right": 1.0}
PLACES_Y = {"top": -1.0, "bottom": 1.0}
GROUNDED = {  # how far below the middle things stand where there is a ground
    "street": 0.22, "beach": 0.22, "sea": 0.2, "field": 0.2, "table": -0.1, "room": 0.22, "snow": 0.22,
    "desert": 0.2, "mountains": 0.25, "garden": 0.2, "forest": 0.22,
}  # fmt: skip
SIZE_FACTOR = {None: 1.0, "small": 0.55, "big": 1.3}
ROWS = {  # where copies stand and how large they are, in frames
    1: (((0.0, 0.0),), 0.6),
    2: (((-0.5, 0.0), (0.5, 0.0)), 0.42),
    3: (((-0.5, 0.42), (0.5, 0.42), (0.0, -0.46)), 0.4),
    4: (((-0.5, -0.48), (0.5, -0.48), (-0.5, 0.48), (0.5, 0.48)), 0.38),
}
PAIRS = {  # centres and sizes of a and b
    "and": ((-0.5, 0.05), (0.5, 0.05), 0.43, 0.43),
    "left of": ((-0.5, 0.05), (0.5, 0.05), 0.43, 0.43),
    "right of": ((0.5, 0.05), (-0.5, 0.05), 0.43, 0.43),
    "above": ((0.0, -0.5), (0.0, 0.5), 0.42, 0.42),
    "below": ((0.0, 0.5), (0.0, -0.5), 0.42, 0.42),
    "playing with": ((-0.28, -0.05), (0.55, 0.52), 0.55, 0.28),
}


@dataclass(frozen=True)
class Copy:
    """One drawn thing: which of the scene's things, its middle and half its side."""

    thing: int
    x: float
    y: float
    half: float


@dataclass(frozen=True)
class Layout:
    """Copies, the part of the background that is seen (its middle and its zoom), and whether all is mirrored."""

    copies: tuple[Copy, ...]
    view: tuple[float, float, float]
    mirrored: bool


def even(number: float) -> float:
    """A normal number as an evenly spread one between -1 and 1."""
    return math.erf(number / math.sqrt(2))


def extent(width: int, height: int) -> tuple[float, float]:
    """How far a picture reaches from its middle to the sides and up, in frames."""
    return width / 256, height / 256


def _group(scene: Scene) -> list[tuple[int, float, float, float]]:
    """(thing, x, y, half) in an undisturbed square."""
    if len(scene.things) == 2:
        first, second, half_a, half_b = PAIRS[scene.relation or "and"]
        return [(0, *first, half_a), (1, *second, half_b)]
    if not scene.things:
        return []
    spots, half = ROWS[scene.things[0].count]
    return [(0, x, y, half) for x, y in spots]


def place(scene: Scene, numbers: np.ndarray, width: int = 256, height: int = 256) -> Layout:
    """The layout of a scene for these NUMBERS numbers."""
    u = [even(float(n)) for n in numbers]
    wide, high = extent(width, height)
    least = min(wide, high)
    group = _group(scene)
    single = len(group) == 1
    copies = []
    for i, (thing, x, y, half) in enumerate(group):
        factor = 1 + (0.28 if single else 0.12) * u[2] + (0 if single else 0.06 * u[8 + i])
        half = half * factor * SIZE_FACTOR[scene.things[thing].size] * least * (0.66 if scene.position else 1.0)
        half = min(half, 0.92 * least)
        room_x, room_y = max(0.0, wide - 0.9 * half), max(0.0, high - 0.9 * half)
        if single:
            x, y = 0.95 * u[0] * room_x, 0.95 * u[1] * room_y
            if scene.place in GROUNDED and not scene.position:
                y = (0.5 * u[1] * room_y + GROUNDED[scene.place]) * 0.9
        else:
            x, y = x * wide + 0.06 * u[8 + i], y * high + 0.08 * u[12 + i]
            x, y = x + 0.05 * u[0], y + 0.06 * u[1]
        if scene.position:
            x, y = _sided(scene.position, x, y, u, wide, high, half, single)
        copies.append(Copy(thing, max(-room_x, min(room_x, x)), max(-room_y, min(room_y, y)), half))
    return Layout(tuple(copies), _view(u, wide, high), bool(numbers[3] > 0))


def _sided(
    position: str, x: float, y: float, u: list[float], wide: float, high: float, half: float, single: bool
) -> tuple[float, float]:
    """The middle moved to the side that the caption names."""
    along = 0.78 + 0.12 * u[4]
    if position in PLACES_X:
        x = PLACES_X[position] * (wide - half) * along + (0 if single else 0.4 * x)
        y = 0.6 * y
    else:
        y = PLACES_Y[position] * (high - half) * along + (0 if single else 0.4 * y)
        x = 0.6 * x
    return x, y


def _view(u: list[float], wide: float, high: float) -> tuple[float, float, float]:
    zoom = 0.86 + 0.14 * u[5]
    return 0.9 * u[6] * max(0.0, CANVAS - wide * zoom), 0.9 * u[7] * max(0.0, CANVAS - high * zoom), zoom
