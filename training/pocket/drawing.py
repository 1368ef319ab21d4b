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


def _behind(name: str, spot: Layout, width: int, height: int) -> Image.Image:
    """The middle of the background, mirrored and lit as the layout says."""
    side = max(width, height)
    canvas = backdrop(name, side)
    left, top = (side - width) // 2, (side - height) // 2
    picture = canvas.crop((left, top, left + width, top + height))
    if spot.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if name.startswith("show"):
        return picture
    lit = 1 + LIGHT * spot.light + WARMTH * spot.warmth * np.array([1, 0, -1], np.float32)
    return Image.fromarray((np.asarray(picture, np.float32) * lit).clip(0, 255).astype(np.uint8))
