"""The canonical pictures of the world: every thing alone, every background on a canvas larger than the frame.

A row number names a picture from here on: things first, then backgrounds.
"""

from __future__ import annotations

import random
from functools import cache, lru_cache

import numpy as np
from backgrounds import PAINTERS, plain, unspecified
from backgrounds import table as paint_table
from draw import BORROWED, glyph, natural_colour, recoloured, thing
from PIL import Image
from showpieces import SHOWPIECES, paint_showpiece
from words import COLOURS, PLACES, nouns

SPRITE = 128  # pixels of a thing
BACKDROP = 384  # pixels of a background


@lru_cache(maxsize=1)
def things() -> dict[str, int]:
    """noun -> row."""
    return {key: row for row, key in enumerate(nouns())}


@lru_cache(maxsize=1)
def backgrounds() -> dict[str, int]:
    """background -> row, counted from 0: the studio, places, walls, coloured tables, showpieces."""
    names = ["studio", *PLACES, *(f"wall {c}" for c in COLOURS), *(f"table {c}" for c in COLOURS)]
    return {name: row for row, name in enumerate([*names, *(f"show {name}" for name in SHOWPIECES)])}


def is_natural(noun: str, colour: str | None) -> bool:
    """Whether the noun is drawn as the font has it: no colour is asked, or the one it has anyway."""
    return colour is None or (noun not in BORROWED and colour == natural_colour(nouns()[noun].glyph))


@cache
def backdrop(name: str, side: int = BACKDROP) -> Image.Image:
    """The background's canvas, `side` pixels square."""
    kind, _, what = name.partition(" ")
    same = random.Random(name)
    if kind == "studio":
        return unspecified(side, same)
    if kind == "wall":
        return plain(side, what, same)
    if kind == "table" and what:
        return paint_table(side, same, what)
    if kind == "show":
        return paint_showpiece(what, side)
    return paint_table(side, same, None) if name == "table" else PAINTERS[name](side, same)


def light_and_ink(noun: str) -> np.ndarray:
    """(2, SPRITE, SPRITE): how light each pixel is before it is coloured (-1 to 1), and where there is ink (0 to 1)."""
    grey = np.asarray(recoloured(glyph(nouns()[noun].glyph), "gray"), np.float32)
    ink = grey[..., 3] / 255
    return np.stack([(grey[..., 0] / 127.5 - 1) * ink, ink])


def natural(noun: str) -> np.ndarray:
    """(3, SPRITE, SPRITE): the noun's own colours, -1 to 1, 0 where there is no ink."""
    pixels = np.asarray(thing(noun, None), np.float32)
    return ((pixels[..., :3] / 127.5 - 1) * (pixels[..., 3:] / 255)).transpose(2, 0, 1)
