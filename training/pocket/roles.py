"""What the text encoder says at each of its last positions, and where in its width it stands.

A position has one of four ROLES: a cell of the first thing, of the second one, of the background, or how all is laid
out. Every position says its role's code; the cells also say their features. The first thing has cells for both sizes
that things are drawn in, the second, which is never alone, for the small one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from banks import backgrounds
from common import load, save
from drawing import background_of
from layout import GROUNDED, LARGE, RELATIONS, SMALL
from scenes import Scene
from words import BAD_QUALITIES, STYLES

ROLES = ("first", "second", "behind", "layout")
ROW = 224  # numbers that say which thing or background
COLOUR = 4
CODE = ROW + 2 + COLOUR  # then whether there is one, whether in its own colours, and the asked colour
STRENGTH = 1.5  # of a choice that is made

WIDTH = 384  # of the text encoder, divided:
FREE = 264  # the reading half's own numbers, the code first
STEADY = slice(FREE, FREE + 17)  # the same at every position but words: the first, the ninth and the last are STRONG
FLAG = STEADY.stop - 1  # says "padding or layout"
FIRST_FEATURE = FLAG + 1
COLOURED, OWN = 40, 24  # features of a thing in an asked colour, and of what its own colours change
FEATURES = COLOURED + OWN
FEATURE_PLACES = slice(FIRST_FEATURE, FIRST_FEATURE + FEATURES)
ROLE = slice(FEATURE_PLACES.stop, FEATURE_PLACES.stop + len(ROLES))
LINES = slice(ROLE.stop, ROLE.stop + LARGE)  # a cell's row in its grid,
COLUMNS = slice(LINES.stop, LINES.stop + LARGE)  # and column,
IS_LARGE = COLUMNS.stop  # and whether it is one of the large size
IS_SMALL = IS_LARGE + 1  # or of the small one: all so weak that the reading half overlooks them
OWN_COLOURS = IS_SMALL + 1  # 1 where a thing is shown in its own colours, once that is read
BALANCE = OWN_COLOURS + 1  # minus the flag, once that is heavy
SPARE = slice(BALANCE + 1, WIDTH)  # zero everywhere: shows what layer norm makes of zero
STRONG, WEAK = 4.0, 0.2  # how strong flag and role are, and lines and columns

BEHIND_GRID = 8  # cells across a background
BEHIND = 104  # features of a background's cell: FEATURE_PLACES, and
MORE_PLACES = slice(80, 80 + BEHIND - FEATURES)  # numbers of its code that are always 0
WORDS = 77  # positions for words, begin and end included, as in CLIP
GRIDS = ((0, LARGE), (0, SMALL), (1, SMALL), (2, BEHIND_GRID))  # role and side of each grid of cells, in this order
LAYOUT = sum(side * side for _, side in GRIDS) + 1  # positions behind the words
LENGTH = WORDS + LAYOUT  # positions the text encoder sees
LARGE_CELLS, THING_CELLS = LARGE**2, LARGE**2 + SMALL**2

COUNTS = ("none", "1", "2", "3", "4", *RELATIONS)
GLOBALS = len(STYLES) + len(BAD_QUALITIES)


def row_codes(folder: Path) -> torch.Tensor:
    """(things, ROW): principal components of the features, so that like things have like codes; kept in codes.pt, for
    the reading half is trained with them."""
    path = folder / "codes.pt"
    state = load(path)
    if state is None:
        from tables import load_tables

        flat = load_tables(folder).things.flatten(1)
        u, s, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
        codes = torch.zeros(len(flat), ROW)
        parts = min(ROW, len(s))
        codes[:, :parts] = (u * s.sqrt())[:, :parts]
        state = {"rows": 4 * codes / codes.norm(dim=1).mean()}
        save(path, state)
    return state["rows"]


def laid(scene: Scene) -> list[float]:
    """Everything that the places of things follow from, style and spoiling."""
    first = scene.things[0] if scene.things else None
    second = scene.things[1] if len(scene.things) > 1 else None
    kind = "none" if first is None else (scene.relation or "and") if second else str(first.count)
    said = [float(kind == name) for name in COUNTS]
    said += [float(one is not None and one.size == size) for one in (first, second) for size in ("small", "big")]
    said += [float(scene.position == side) for side in ("left", "right", "top", "bottom")]
    said += [float(scene.place in GROUNDED), *globals_of(scene)]
    return said


LAID = len(COUNTS) + 4 + 4 + 1 + GLOBALS


def globals_of(scene: Scene) -> list[float]:
    """Style and spoiling, one number each."""
    return [float(scene.style == name) for name in STYLES] + [float(scene.quality == name) for name in BAD_QUALITIES]


class Coder:
    """Scenes -> what each role says of them."""

    def __init__(self, folder: Path) -> None:
        self.rows = row_codes(folder).numpy()

    def thing(self, noun: str, colour: str | None) -> np.ndarray:
        """(CODE,)."""
        from tables import colour_code, is_natural, things

        own = is_natural(noun, colour)
        said = colour_code(None if own else colour)
        return np.asarray([*self.rows[things()[noun]], STRENGTH, STRENGTH * own, *said], np.float32)

    def background(self, name: str) -> np.ndarray:
        """(CODE,)."""
        code = np.zeros(CODE, np.float32)
        code[backgrounds()[name]] = 2 * STRENGTH
        code[ROW] = STRENGTH
        return code

    def code(self, scene: Scene) -> np.ndarray:
        """(4, CODE) float32."""
        out = np.zeros((len(ROLES), CODE), np.float32)
        for i, thing in enumerate(scene.things):
            out[i] = self.thing(thing.noun, thing.colour)
        out[2] = self.background(background_of(scene))
        out[3, :LAID] = STRENGTH * np.asarray(laid(scene))
        return out


def marks() -> torch.Tensor:
    """(LAYOUT, WIDTH): place and role of every layout position."""
    out = torch.zeros(LAYOUT, WIDTH)
    out[:, [STEADY.start, STEADY.start + 8, FLAG]] = STRONG
    out[torch.arange(LAYOUT), ROLE.start + role_of()] = STRONG
    at = 0
    for number, (_, side) in enumerate(GRIDS):
        for cell in range(side * side):
            out[at, LINES.start + cell // side] = out[at, COLUMNS.start + cell % side] = WEAK
            if number < 3:
                out[at, IS_SMALL if number else IS_LARGE] = WEAK
            at += 1
    return out


def role_of() -> torch.Tensor:
    """(LAYOUT,): the role of every layout position."""
    return torch.tensor([role for role, side in GRIDS for _ in range(side * side)] + [ROLES.index("layout")])
