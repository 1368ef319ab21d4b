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
from layout import CANVAS, PAIRS, Layout, extent, place
from PIL import Image
from scenes import Scene, Thing, random_scene
from words import BAD_QUALITIES, COLOURS, nouns

MORE_PAIRS = 0.15  # share of scenes that get a second thing


def next_scene(rng: random.Random) -> Scene:
    """A scene for training: never a held-out composition."""
    while True:
        scene = random_scene(rng)
        if len(scene.things) == 1 and scene.things[0].count == 1 and rng.random() < MORE_PAIRS:
            other = Thing(rng.choice(list(nouns())), rng.choice([None, *COLOURS]))
            scene = replace(scene, things=(*scene.things, other), relation=rng.choice(list(PAIRS)), position=None)
        if not scene.is_held_out:
            return scene


def draw_scene(
    scene: Scene, numbers: np.ndarray, width: int = 256, height: int = 256, rng: random.Random | None = None
) -> Image.Image:
    """The scene as an RGB picture. `numbers` (see layout.py) decide what the caption leaves open, `rng` the grain of
    spoiled ones."""
    rng = rng or random.Random(0)
    spot = place(scene, numbers, width, height)
    picture = _seen(backdrop(background_of(scene)), spot, width, height)
    frame = 128.0
    for copy in spot.copies:
        said = scene.things[copy.thing]
        centre = (width / 2 + copy.x * frame, height / 2 + copy.y * frame)
        paste(picture, said.noun, said.colour, centre, 2 * copy.half * frame, spot.mirrored)
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


def _seen(canvas: Image.Image, spot: Layout, width: int, height: int) -> Image.Image:
    """The part of the canvas that the layout's view shows."""
    wide, high = extent(width, height)
    x, y, zoom = spot.view
    edges = (x - wide * zoom, y - high * zoom, x + wide * zoom, y + high * zoom)
    box = [(1 + edge / CANVAS) / 2 * canvas.width for edge in edges]
    if spot.mirrored:
        box = [canvas.width - box[2], box[1], canvas.width - box[0], box[3]]
    picture = canvas.transform((width, height), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if spot.mirrored else picture
