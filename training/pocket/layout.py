"""Where things stand: what a scene says about places and sizes, and what it leaves to chance.

Everything that a caption leaves open is decided by NUMBERS normal numbers, which the denoiser reads off its first noise
(see denoiser.py): another seed is another layout. Things lie on whole cells of UNIT pixels, so that the latent of a
thing is the same wherever it stands. Lengths are in cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scenes import Scene

NUMBERS = 8  # first thing across, down; size; mirror; light; warmth; second thing across, down
UNIT = 16  # pixels of a cell
LEAST = 12  # cells of a picture's shorter side, at least
GROUNDED = {"street", "beach", "sea", "field", "room", "snow", "desert", "mountains", "garden", "forest"}
USUAL_SIZES = (8, 10, 12)  # of one thing alone, when the caption does not say; no larger than the picture allows
SAID_SIZES = {"small": 4, "big": 12}
SEVERAL = 6  # of each of several things
SIDES = {"left": (0, None), "right": (1, None), "top": (None, 0), "bottom": (None, 1)}
# The part of the picture that each of several things has for itself: left, top, right, bottom, as shares.
HALVES = {
    "left": (0.0, 0.0, 0.5, 1.0), "right": (0.5, 0.0, 1.0, 1.0), "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0),
}  # fmt: skip
QUARTERS = ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0))
RELATIONS = {
    "and": ("left", "right"), "left of": ("left", "right"), "right of": ("right", "left"),
    "above": ("top", "bottom"), "below": ("bottom", "top"), "playing with": ("left", "right"),
}  # fmt: skip


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
    """A normal number as an evenly spread one between 0 and 1."""
    return 0.5 + 0.5 * math.erf(number / math.sqrt(2))


def _pick(share: float, low: int, high: int) -> int:
    """One of the whole numbers low..high, evenly; `low` when there is none."""
    return max(low, min(high, low + int(share * (high - low + 1))))


def _parts(scene: Scene) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Each drawn thing and the part of the picture it has for itself."""
    if len(scene.things) == 2:
        return [(i, HALVES[name]) for i, name in enumerate(RELATIONS[scene.relation or "and"])]
    if not scene.things:
        return []
    count = scene.things[0].count
    parts = {
        1: ((0.0, 0.0, 1.0, 1.0),),
        2: (HALVES["left"], HALVES["right"]),
        3: ((0.0, 0.0, 1.0, 0.5), *QUARTERS[2:]),
        4: QUARTERS,
    }
    return [(0, part) for part in parts[count]]


def _side(scene: Scene, thing: int, alone: bool, share: float, least: int) -> int:
    """How many cells across the thing is."""
    said = scene.things[thing].size
    if alone and not scene.position:
        sizes = [size for size in USUAL_SIZES if size <= least - 2] if said is None else [SAID_SIZES[said]]
        return min(sizes[_pick(share, 0, len(sizes) - 1)], least)
    if said == "small" or (scene.relation == "playing with" and thing == 1):
        return SAID_SIZES["small"]
    return SEVERAL


def place(scene: Scene, numbers: np.ndarray, columns: int = 16, rows: int = 16) -> Layout:
    """The layout of a scene for these NUMBERS numbers, in a picture of so many cells."""
    u = [even(float(n)) for n in numbers]
    mixed = [even(float(a + b) / math.sqrt(2)) for a, b in ((numbers[0], numbers[6]), (numbers[1], numbers[7]))]
    shares = ((u[0], u[1]), (u[6], u[7]), (mixed[0], u[1]), (u[6], mixed[1]))
    parts = _parts(scene)
    copies = []
    for (thing, part), (across, down) in zip(parts, shares, strict=False):
        side = _side(scene, thing, len(parts) == 1, u[2], min(columns, rows))
        x0, y0, x1, y1 = (round(share * size) for share, size in zip(part, (columns, rows) * 2, strict=True))
        y0, y1 = max(0, min(y0, rows - side)), y1
        if len(parts) == 1 and scene.place in GROUNDED and not scene.position:
            y0 = max(y0, min(round(0.3 * rows), y1 - side))
        x, y = _pick(across, x0, x1 - side), _pick(down, y0, y1 - side)
        side_x, side_y = SIDES.get(scene.position or "", (None, None))
        if side_x is not None:
            x = _to_side(x, side_x, x0, x1 - side, len(parts))
        if side_y is not None:
            y = _to_side(y, side_y, y0, y1 - side, len(parts))
        copies.append(Copy(thing, x, y, side))
    return Layout(tuple(copies), bool(numbers[3] > 0), 2 * u[4] - 1, 2 * u[5] - 1)


def _to_side(at: int, end: int, low: int, high: int, count: int) -> int:
    """Moved to the lower (0) or upper (1) end of its room; one of several stays in its own part."""
    if count > 1:
        return low if end == 0 else high
    third = (high - low) // 4
    share = (at - low) / max(1, high - low)
    return low + round(share * third) if end == 0 else high - round((1 - share) * third)
