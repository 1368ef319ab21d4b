"""Scenes drawn at any of the trained shapes: the numbers decide what the caption leaves open.

Scenes are those of the shipped model (scenes.py beside it), with more of two different things.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from banks import backdrop
from draw import paste
from effects import spoil, stylize
from layout import NUMBERS, UNIT, Layout, place
from PIL import Image
from scenes import Scene, Thing, random_scene
from words import BAD_QUALITIES, COLOURS, nouns

MORE_PAIRS = 0.15  # share of scenes that get a second thing
SHAPES = ((256, 256), (320, 192), (192, 320), (256, 192), (192, 256))  # (width, height) pixels
CANVAS = 16  # cells across a background
LIGHT, WARMTH = 0.12, 0.05  # how much brighter and how much redder a background gets, at most


def next_scene(rng: random.Random) -> Scene:
    """A scene for training: never a held-out composition."""
    while True:
        scene = random_scene(rng)
        if len(scene.things) == 1 and scene.things[0].count == 1 and rng.random() < MORE_PAIRS:
            other = Thing(rng.choice(list(nouns())), rng.choice([None, *COLOURS]))
            relation = rng.choice(("and", "left of", "right of", "above", "below"))
            scene = replace(scene, things=(*scene.things, other), relation=relation, position=None)
        if not scene.is_held_out:
            return scene


def numbered(number: int) -> tuple[Scene, np.ndarray]:
    """Scene `number` of the whole endless series, and the NUMBERS numbers that lay it out."""
    return next_scene(random.Random(number)), np.random.default_rng(number).standard_normal(NUMBERS)


def shape_of(number: int) -> tuple[int, int]:
    """Width and height of picture `number`: half of them square."""
    return SHAPES[max(0, number // 64 % 8 - 3)]  # 64 in a row alike, so that a batch has one shape


def draw_scene(
    scene: Scene, numbers: np.ndarray, width: int = 256, height: int = 256, rng: random.Random | None = None
) -> Image.Image:
    """The scene as an RGB picture. `numbers` (see layout.py) decide what the caption leaves open, `rng` the grain of
    spoiled ones."""
    rng = rng or random.Random(0)
    spot = place(scene, numbers, width // UNIT, height // UNIT)
    picture = _behind(background_of(scene), spot, width, height)
    for copy in spot.copies:
        said = scene.things[copy.thing]
        centre = ((copy.left + copy.side / 2) * UNIT, (copy.top + copy.side / 2) * UNIT)
        paste(picture, said.noun, said.colour, centre, copy.side * UNIT)
    if scene.style:
        picture = stylize(picture, scene.style, rng)
    if scene.quality in BAD_QUALITIES:
        picture = spoil(picture, scene.quality, rng)
    return picture


def background_of(scene: Scene) -> str:
    """The name of the scene's background in banks.py."""
    if scene.showpiece:
        return f"show {scene.showpiece}"
    if scene.place == "table" and scene.backdrop:
        return f"table {scene.backdrop}"
    return scene.place or (f"wall {scene.backdrop}" if scene.backdrop else "studio")


def seen_cells(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which column and row of the background's canvas each column and row of cells shows, and which columns are
    turned round: a wider picture shows the canvas mirrored at its sides, a taller one its border row again."""
    across = np.arange(columns) - (columns - CANVAS) // 2
    turned = (across < 0) | (across >= CANVAS)
    across = np.where(across < 0, -1 - across, np.where(across >= CANVAS, 2 * CANVAS - 1 - across, across))
    return across, np.clip(np.arange(rows) - (rows - CANVAS) // 2, 0, CANVAS - 1), turned


def _behind(name: str, spot: Layout, width: int, height: int) -> Image.Image:
    """The background's canvas, mirrored, continued to the picture's shape, and lit as the layout says."""
    canvas = np.asarray(backdrop(name, CANVAS * UNIT), np.float32)
    if spot.mirrored:
        canvas = canvas[:, ::-1]
    across, down, turned = seen_cells(width // UNIT, height // UNIT)
    inside = np.arange(UNIT)
    x = across[:, None] * UNIT + np.where(turned[:, None], inside[::-1], inside)
    y = down[:, None] * UNIT + inside
    picture = canvas[y.ravel()][:, x.ravel()]
    picture = picture * (1 + LIGHT * spot.light + WARMTH * spot.warmth * np.array([1, 0, -1], np.float32))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))
