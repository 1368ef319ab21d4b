"""What the captioner learns from: scenes at its own size, drawn quickly, and what lies under each of its cells."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from banks import backdrop
from draw import thing
from drawing import LIGHT, WARMTH, background_of, draw_scene, next_scene, numbered
from effects import spoil, stylize
from layout import parts_of
from PIL import Image, ImageDraw, ImageFont
from scenes import Scene, Thing
from wording import seen_colour
from words import BAD_QUALITIES, COLOURS, nouns

SIDE, CELLS = 96, 6  # pixels of what the captioner sees, and cells along them
MORE_COUNTS = 0.25  # share of single things of which there are more
MORE_COLOURS = 0.6  # share of things in their own colours that are painted: a thing is to be known by its shape
AS_DRAWN, STRANGE = 0.25, 0.04  # shares of pictures drawn as for pocket, and of those that show nothing of its world
INNER, OUTER = 0.42, 0.6  # of a thing's sides: nearer to its middle it is surely seen, further from it surely not
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
Place = tuple[float, float, float, float]  # middle across and down, width and height, as shares of the picture


@dataclass(frozen=True)
class Sight:
    """A picture (SIDE, SIDE, 3) of bytes, its scene (None: nothing of the world), and for each cell the number of the
    noun and of the colour that lie there, counted from 1; 0 is none, -1 is not known."""

    pixels: np.ndarray
    scene: Scene | None
    nouns: np.ndarray
    colours: np.ndarray


def sight(number: int) -> Sight:
    """Picture `number` of the endless series; what is held out is not among them."""
    rng = random.Random(f"sight {number}")
    empty = np.zeros((CELLS, CELLS), np.int64)
    roll = rng.random()
    if roll < STRANGE:
        return Sight(np.asarray(strange(rng)), None, empty, empty)
    if roll < STRANGE + AS_DRAWN:
        scene, numbers = numbered(rng.randrange(2**40))
        shape = rng.choice(((256, 256), (256, 256), (320, 192), (192, 320), (256, 192), (192, 256)))
        picture = draw_scene(scene, numbers, *shape, rng=rng).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return Sight(np.asarray(picture), scene, empty - 1, empty - 1)
    scene = next_scene(rng)
    if len(scene.things) == 1 and scene.things[0].count == 1 and rng.random() < MORE_COUNTS:
        more = replace(scene.things[0], count=rng.choice((2, 3, 4)), size=None)
        scene = replace(scene, things=(more,), position=None)
    return _quick(_painted(scene, rng), rng)


def _painted(scene: Scene, rng: random.Random) -> Scene:
    """The scene with more of its things in a colour, unless that is held out."""
    things = tuple(
        replace(one, colour=rng.choice(list(COLOURS))) if one.colour is None and rng.random() < MORE_COLOURS else one
        for one in scene.things
    )
    painted = replace(scene, things=things)
    return scene if painted.is_held_out else painted


def _quick(scene: Scene, rng: random.Random) -> Sight:
    """The scene with its things anywhere in their parts, of any size, as if any shape had been made square."""
    picture = _lit(background_of(scene), rng)
    cells = np.zeros((2, CELLS, CELLS), np.int64)
    stretch = 1.0 if rng.random() < 0.5 else 2 ** rng.uniform(-0.4, 0.4)
    for which, (x, y, wide, high) in parts_of(scene):
        most = 0.98 * min(wide, high)
        size = most * rng.uniform(*((0.55, 1.0) if most < 0.6 else (0.36, 0.85)))
        across, down = min(size * stretch, wide), min(size / stretch, high)
        at = x + across / 2 + rng.random() * (wide - across), y + down / 2 + rng.random() * (high - down)
        _put(picture, scene.things[which], (*at, across, down))
        _mark(cells, scene.things[which], (*at, across, down))
    if scene.style:
        picture = stylize(picture, scene.style, rng)
    if scene.quality in BAD_QUALITIES:
        picture = spoil(picture, scene.quality, rng)
    return Sight(_worn(picture, rng), scene, cells[0], cells[1])


def _put(picture: Image.Image, said: Thing, place: Place) -> None:
    wide, high = max(4, round(place[2] * SIDE)), max(4, round(place[3] * SIDE))
    glyph = thing(said.noun, said.colour).resize((wide, high), Image.Resampling.BILINEAR)
    picture.paste(glyph, (round(place[0] * SIDE - wide / 2), round(place[1] * SIDE - high / 2)), glyph)


def _mark(cells: np.ndarray, said: Thing, place: Place) -> None:
    """Write what is there into the cells whose middles lie well within it; those at its border are not known."""
    middles = (np.arange(CELLS) + 0.5) / CELLS
    across, down = (np.abs(middles - place[0]) / place[2])[None, :], (np.abs(middles - place[1]) / place[3])[:, None]
    far = np.maximum(across, down)
    colour = seen_colour(said)
    for table, value in zip(
        cells, (list(nouns()).index(said.noun) + 1, list(COLOURS).index(colour) + 1 if colour else 0), strict=True
    ):
        table[far < OUTER] = -1
        table[far < INNER] = value


@cache
def _canvas(name: str) -> np.ndarray:
    return np.asarray(backdrop(name, 256).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)


def _lit(name: str, rng: random.Random) -> Image.Image:
    """The background, mirrored, cut and lit by chance."""
    canvas = _canvas(name)
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1]
    if rng.random() < 0.5:  # of a picture that is wider or higher than others, a part is seen
        wide, high = rng.randint(SIDE * 3 // 5, SIDE), rng.randint(SIDE * 3 // 5, SIDE)
        x, y = rng.randint(0, SIDE - wide), rng.randint(0, SIDE - high)
        part = Image.fromarray(canvas[y : y + high, x : x + wide].astype(np.uint8))
        canvas = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    warm = WARMTH * rng.uniform(-1, 1) * np.array([1, 0, -1], np.float32)
    return Image.fromarray((canvas * (1 + LIGHT * rng.uniform(-1, 1) + warm)).clip(0, 255).astype(np.uint8))


def _worn(picture: Image.Image, rng: random.Random) -> np.ndarray:
    """The picture as files and models leave it: a little softer, grainy, lighter or darker."""
    if rng.random() < 0.2:
        small = rng.randint(SIDE // 2, SIDE - 8)
        picture = picture.resize((small, small), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if rng.random() < 0.3:
        grain = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(1, 8), (SIDE, SIDE, 3))
        return (np.asarray(picture, np.float32) + grain).clip(0, 255).astype(np.uint8)
    return np.asarray(picture)


def strange(rng: random.Random) -> Image.Image:
    """Nothing of the world: noise, patches, shapes or letters in any colours."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    coarse = rng.choice((2, 4, 8, 16, 48, SIDE))
    noise = Image.fromarray(numbers.integers(0, 256, (coarse, coarse, 3), np.uint8))
    picture = noise.resize((SIDE, SIDE), rng.choice((Image.Resampling.BILINEAR, Image.Resampling.NEAREST)))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.choice((0, 3, 8, 20))):
        ends = [rng.randint(-20, SIDE) for _ in range(2)]
        box = (*ends, ends[0] + rng.randint(5, 70), ends[1] + rng.randint(5, 70))
        colour = tuple(rng.randrange(256) for _ in range(3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(box, fill=colour)
    for line in range(rng.choice((0, 0, 4))):
        font = ImageFont.load_default(rng.randint(10, 26))
        pen.text((rng.randint(-10, 40), line * 24), "".join(rng.choices(LETTERS, k=14)), "black", font=font)
    return picture
