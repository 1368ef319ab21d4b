"""Every background by its name: the studio, places, walls, coloured tables, showpieces."""

from __future__ import annotations

import random
from functools import cache, lru_cache

from backgrounds import PAINTERS, plain, unspecified
from backgrounds import table as paint_table
from PIL import Image
from showpieces import PAINTED, paint_showpiece
from words import COLOURS, PLACES


@lru_cache(maxsize=1)
def backgrounds() -> dict[str, int]:
    """background -> row, counted from 0: the studio, places, walls, coloured tables, showpieces."""
    names = ["studio", *PLACES, *(f"wall {c}" for c in COLOURS), *(f"table {c}" for c in COLOURS)]
    return {name: row for row, name in enumerate([*names, *(f"show {name}" for name in PAINTED)])}


@cache
def backdrop(name: str, side: int) -> Image.Image:
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
