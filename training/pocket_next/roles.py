"""What the text encoder's reading half says, as numbers, and where everything stands in the encoder's width.

At each of the last positions it says one of four things (ROLES): which first thing, which second thing, which
background, or how all of it is laid out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from banks import backgrounds, is_natural, things
from cells import COLOUR, Features, colour_code, globals_of, load_features
from compose import GRID
from drawing import background_of
from layout import GROUNDED, PAIRS
from scenes import Scene

ROLES = ("first", "second", "behind", "layout")
ROW = 224  # numbers that say which thing or background
CODE = ROW + 2 + COLOUR  # then whether there is one, whether in its own colours, and the asked colour
STRENGTH = 1.5  # of a choice that is made

WIDTH = 384  # of the text encoder, divided:
FREE = 264  # the reading half's own numbers, the code first
LINES = slice(FREE, FREE + GRID)  # a layout position's row in its grid,
COLUMNS = slice(FREE + GRID, FREE + 2 * GRID)  # and column
FLAG = FREE + 2 * GRID  # says "padding or layout"
FIRST_FEATURE = FLAG + 1
FEATURES = 64
FEATURE_PLACES = slice(FIRST_FEATURE, FIRST_FEATURE + FEATURES)
ROLE = slice(FEATURE_PLACES.stop, FEATURE_PLACES.stop + len(ROLES))  # which role a layout position has
EDGES = slice(ROLE.stop, ROLE.stop + 4)  # the ring's lines above and below, its columns left and right
SPARE = slice(EDGES.stop, WIDTH)  # zero everywhere: shows what layer norm makes of zero
STRONG = 4.0  # how strong position, flag and role are

WORDS = 77  # positions for words, begin and end included, as in CLIP
LAYOUT = 3 * GRID**2 + 1 + (GRID + 2) ** 2 - GRID**2  # cells of three grids, how all is laid out, the empty ring
LENGTH = WORDS + LAYOUT  # positions the text encoder sees

COUNTS = ("none", "1", "2", "3", "4", *PAIRS)
GROUNDS = tuple(sorted(set(GROUNDED.values())))
LAID = len(COUNTS) + 4 + 4 + len(GROUNDS) + len(globals_of(Scene())) + 1


def row_codes(features: Features) -> torch.Tensor:
    """(things + backgrounds, ROW): principal components of the features, so that like things have like codes."""
    count = len(things())
    table = torch.zeros(count + len(backgrounds()), 2, 64, GRID, GRID)
    table[:count, 0, :41], table[:count, 0, 41:57] = features.shape, features.chroma
    table[count:, 1, :61] = features.behind
    flat = table.flatten(1)
    u, s, _ = torch.linalg.svd(flat, full_matrices=False)
    codes = u[:, :ROW] * s[:ROW].sqrt()
    return 4 * codes / codes.norm(dim=1).mean()


def laid(scene: Scene) -> list[float]:
    """LAID numbers: everything that the places of things follow from, style, spoiling, and 1 for a picture."""
    first = scene.things[0] if scene.things else None
    second = scene.things[1] if len(scene.things) > 1 else None
    kind = "none" if first is None else (scene.relation or "and") if second else str(first.count)
    said = [float(name == kind) for name in COUNTS]
    said += [float(first is not None and first.size == size) for size in ("small", "big")]
    said += [float(second is not None and second.size == size) for size in ("small", "big")]
    said += [float(scene.position == side) for side in ("left", "right", "top", "bottom")]
    ground = GROUNDED.get(scene.place or "")
    said += [float(ground == height) for height in GROUNDS]
    picture = bool(scene.things) or background_of(scene) != "studio"
    return [*said, *globals_of(scene), float(picture)]


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
        """(CODE,), all 0 for the studio."""
        code = np.zeros(CODE, np.float32)
        row = backgrounds()[name]
        if row:
            code[:ROW] = self.rows[len(things()) + row]
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
