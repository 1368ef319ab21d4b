"""Where things stand: what a scene says about places and sizes, and what it leaves to chance.

Everything that a caption leaves open is decided by NUMBERS normal numbers, which the denoiser reads off its first noise
(see denoiser.py): another seed is another layout. Things lie on whole cells of UNIT pixels, so that the
latent of a thing is the same wherever it stands. Lengths are in cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scenes import Scene

Part = tuple[float, float, float, float]  # left, top, width, height as shares of the picture

NUMBERS = 8  # first thing across, down; size; mirror; light; warmth; second thing across, down
UNIT = 16  # pixels of a cell
LARGE, SMALL = 10, 6  # sides of things
USUALLY = -0.5  # a thing alone is large where its number is above
SPREAD = 0.3
EDGE = 0.01  # keeps the outermost places clear of the next whole number
LEAST, MOST = 0.01, 0.97  # of the way across and down: what the denoiser computes is a little off
GROUNDED = {"street", "beach", "sea", "field", "room", "snow", "desert", "mountains", "garden", "forest"}
GROUND_FROM, GROUND_LOWER = 0.12, 3  # how far down a thing stands on the ground at least; a small one is lower
WHOLE: Part = (0.0, 0.0, 1.0, 1.0)
HALVES: dict[str, Part] = {
    "left": (0.0, 0.0, 0.5, 1.0), "right": (0.5, 0.0, 0.5, 1.0), "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 0.5),
}  # fmt: skip
QUARTERS: tuple[Part, ...] = ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5))
COUNTED: dict[int, tuple[Part, ...]] = {
    1: (WHOLE,), 2: (HALVES["left"], HALVES["right"]), 3: (HALVES["top"], *QUARTERS[2:]), 4: QUARTERS,
}  # fmt: skip
RELATIONS = {
    "and": ("left", "right"), "left of": ("left", "right"), "right of": ("right", "left"),
    "above": ("top", "bottom"), "below": ("bottom", "top"), "playing with": ("left", "right"),
}  # fmt: skip
CHANCES = ((0, 1), (6, 7), (7, 0), (1, 6))  # the numbers that move each copy across and down


@dataclass(frozen=True)
class Copy:
    """One drawn thing: which of the scene's things, its upper left cell and its side, in cells."""

    thing: int
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Layout:
    """Copies, which never overlap, whether the background is mirrored, and its light and warmth (-1 to 1)."""

    copies: tuple[Copy, ...]
    mirrored: bool
    light: float
    warmth: float


def even(number: float) -> float:
    """A normal number as one between 0 and 1, nearly evenly spread."""
    return min(1.0, max(0.0, 0.5 + SPREAD * number))


def way(number: float) -> float:
    """How far across or down its room a thing is."""
    return min(MOST, max(LEAST, 0.5 + SPREAD * number))


def parts_of(scene: Scene) -> list[tuple[int, Part]]:
    """Each drawn thing and the part of the picture it has for itself."""
    if len(scene.things) == 2:
        return [(i, HALVES[name]) for i, name in enumerate(RELATIONS[scene.relation or "and"])]
    if not scene.things:
        return []
    count = scene.things[0].count
    return [(0, HALVES.get(scene.position or "", WHOLE) if count == 1 else part) for part in COUNTED[count]]


def is_free(scene: Scene) -> bool:
    """Whether it shows one thing of which the words do not say where."""
    return len(scene.things) == 1 and scene.things[0].count == 1 and scene.position is None


def place(scene: Scene, numbers: np.ndarray, columns: int = 16, rows: int = 16) -> Layout:
    """The layout of a scene for these NUMBERS numbers, in a picture of so many cells."""
    said = scene.things[0].size if scene.things else None
    large = is_free(scene) and (said == "big" or (said is None and numbers[2] > USUALLY))
    side = LARGE if large else SMALL
    grounded = is_free(scene) and scene.place in GROUNDED
    copies = []
    for (thing, (x, y, wide, high)), chances in zip(parts_of(scene), CHANCES, strict=False):
        across, down = (way(float(numbers[chance])) for chance in chances)
        least = (y + GROUND_FROM * grounded) * rows + GROUND_LOWER * (grounded and not large)
        left = x * columns + EDGE + across * (wide * columns - side + 1 - 2 * EDGE)
        top = least + EDGE + down * ((y + high) * rows - least - side + 1 - 2 * EDGE)
        copies.append(Copy(thing, math.floor(left), math.floor(top), side))
    light, warmth = (2 * even(float(numbers[number])) - 1 for number in (4, 5))
    return Layout(tuple(copies), bool(numbers[3] > 0), light, warmth)
