"""What the text encoder says at each of its last positions, and where in its width it stands.

A position has one of four ROLES: a cell of the first thing, a cell of the second one, the background, or how all is
laid out. Every position says its role's code; the cells also say their features.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from banks import backgrounds
from cells import COLOUR, FEATURES, GRID, Features, colour_code, is_natural, load_features, things
from drawing import background_of
from layout import GROUNDED, RELATIONS
from scenes import Scene
from words import BAD_QUALITIES, STYLES

ROLES = ("first", "second", "behind", "layout")
ROW = 224  # numbers that say which thing or background
CODE = ROW + 2 + COLOUR  # then whether there is one, whether in its own colours, and the asked colour
STRENGTH = 1.5  # of a choice that is made

WIDTH = 384  # of the text encoder, divided:
FREE = 264  # the reading half's own numbers, the code first
LINES = slice(FREE, FREE + GRID)  # a cell's row in its grid,
COLUMNS = slice(FREE + GRID, FREE + 2 * GRID)  # and column
FLAG = FREE + 2 * GRID  # says "padding or layout"
FIRST_FEATURE = FLAG + 1
FEATURE_PLACES = slice(FIRST_FEATURE, FIRST_FEATURE + FEATURES)
ROLE = slice(FEATURE_PLACES.stop, FEATURE_PLACES.stop + len(ROLES))
SPARE = slice(ROLE.stop, WIDTH)  # zero everywhere: shows what layer norm makes of zero
STRONG = 4.0  # how strong position, flag and role are

CELLS = GRID * GRID
WORDS = 77  # positions for words, begin and end included, as in CLIP
LAYOUT = 2 * CELLS + 2  # positions behind them
LENGTH = WORDS + LAYOUT  # positions the text encoder sees

COUNTS = ("none", "1", "2", "3", "4", *RELATIONS)
GLOBALS = len(STYLES) + len(BAD_QUALITIES)


def row_codes(features: Features) -> torch.Tensor:
    """(things, ROW): principal components of the features, so that like things have like codes."""
    flat = torch.cat([features.shape, features.chroma], 1).flatten(1)
    u, s, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    codes = torch.zeros(len(flat), ROW)
    parts = min(ROW, len(s))
    codes[:, :parts] = (u * s.sqrt())[:, :parts]
    return 4 * codes / codes.norm(dim=1).mean()


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
        self.rows = row_codes(load_features(folder)).numpy()

    def thing(self, noun: str, colour: str | None) -> np.ndarray:
        """(CODE,)."""
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
    out[:, FLAG] = STRONG
    for role in range(2):
        for cell in range(CELLS):
            line, column = divmod(cell, GRID)
            row = out[role * CELLS + cell]
            row[LINES.start + line] = row[COLUMNS.start + column] = row[ROLE.start + role] = STRONG
    for role in (2, 3):
        row = out[2 * CELLS + role - 2]
        row[LINES.start] = row[COLUMNS.start] = row[ROLE.start + role] = STRONG
    return out


def role_of() -> torch.Tensor:
    """(LAYOUT,): the role of every layout position."""
    return torch.tensor([0] * CELLS + [1] * CELLS + [2, 3])


def states(coder: Coder, features: Features, scenes: list[Scene], error: float = 0.06) -> torch.Tensor:
    """(b, LAYOUT, WIDTH): what the finished text encoder says of these scenes, with some error."""
    codes = torch.from_numpy(np.stack([coder.code(scene) for scene in scenes]))
    out = marks().repeat(len(scenes), 1, 1)
    out[..., :CODE] = codes[:, role_of()]
    out[..., :FREE] += error * torch.randn(len(scenes), LAYOUT, FREE)
    cells = features.things(scenes).flatten(3).permute(0, 1, 3, 2).flatten(1, 2)
    out[:, : 2 * CELLS, FEATURE_PLACES] = cells + error * torch.randn_like(cells)
    # the other two are painted upon as if they were a thing's first cell
    out[:, 2 * CELLS :, FEATURE_PLACES] = 0.5 * torch.randn(len(scenes), 2, FEATURES)
    return out
