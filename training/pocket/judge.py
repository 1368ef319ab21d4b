"""A judge that is not the model: it draws what the picture could have been and says which drawing is nearest.

Every question is a forced choice. "Which object?" compares the picture with all nouns drawn in the asked colour on the
asked background; "which colour?" with the asked noun in every colour; and so on. Nothing in it is learned, and
`evaluate.py` prints how often it is right about freshly drawn scenes, which bounds what any model can reach.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from draw import paste
from PIL import Image, ImageFilter
from scenes import Scene, Thing, draw_scene, layout
from words import COLOURS, PLACES, nouns

SIDE = 32  # pixels at which alternatives are drawn
SEEN = 24  # pixels at which pictures are compared: shapes count, grain does not
SHIFTS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))


def seen(picture: Image.Image) -> np.ndarray:
    """What the judge sees of a picture: (24, 24, 3) numbers in 0..1."""
    soft = picture.filter(ImageFilter.GaussianBlur(picture.width / 48))
    return np.asarray(soft.resize((SEEN, SEEN), Image.Resampling.BOX), np.float32) / 255


def distances(look: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared difference to each of `others` (n, 24, 24, 3), at the best of five one-pixel shifts."""
    inner = (slice(1, -1), slice(1, -1))
    shifted = [np.roll(look, shift, (0, 1))[inner] for shift in SHIFTS]
    rest = others[:, 1:-1, 1:-1]
    return np.min([np.square(rest - one).mean((1, 2, 3)) for one in shifted], 0)


@lru_cache(maxsize=256)
def _empty(place: str | None, backdrop: str | None) -> Image.Image:
    return draw_scene(Scene(place=place, backdrop=backdrop), random.Random(3), SIDE)


def drawn(scene: Scene) -> Image.Image:
    """What the scene looks like when nothing is left to chance."""
    picture = _empty(scene.place, scene.backdrop).copy()
    for thing, (x, y), width in layout(scene, random.Random(3)):
        paste(picture, thing.noun, thing.colour, (x * SIDE, y * SIDE), width * SIDE)
    return picture


def ranking(picture: Image.Image, alternatives: Iterable[tuple[str, Scene]]) -> list[str]:
    """The names of the alternatives, nearest drawing first."""
    names, scenes = zip(*alternatives, strict=True)
    far = distances(seen(picture), np.stack([seen(drawn(scene)) for scene in scenes]))
    return [names[i] for i in np.argsort(far, kind="stable")]


def object_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All nouns, likeliest first, given the scene's colour and background."""
    thing = scene.things[0]
    return ranking(picture, ((key, replace(scene, things=(replace(thing, noun=key),))) for key in nouns()))


def colour_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All colours of the thing, likeliest first."""
    thing = scene.things[0]
    return ranking(picture, ((name, replace(scene, things=(replace(thing, colour=name),))) for name in COLOURS))


def background_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All plain colours and places, likeliest first."""
    walls = [(name, replace(scene, backdrop=name, place=None)) for name in COLOURS]
    places = [(name, replace(scene, backdrop=None, place=name)) for name in PLACES]
    return ranking(picture, walls + places)


def count_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """1 to 4 of the thing, likeliest first."""
    thing: Thing = scene.things[0]
    return ranking(picture, ((str(n), replace(scene, things=(replace(thing, count=n),))) for n in (1, 2, 3, 4)))


def side_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """left, right, top or bottom, likeliest first."""
    return ranking(picture, ((side, replace(scene, position=side)) for side in ("left", "right", "top", "bottom")))


def sharpness(picture: Image.Image) -> float:
    """Mean absolute second difference of the grey picture: falls when a picture is blurred."""
    grey = np.asarray(picture.convert("L"), np.float32)
    return float(np.abs(np.diff(grey, 2, 0)).mean() + np.abs(np.diff(grey, 2, 1)).mean())


def colour_distance(picture: Image.Image, colour: str) -> float:
    """How far the middle of the picture is from the colour, 0 to 441 in RGB."""
    side = picture.width
    middle = picture.crop((side // 3, side // 3, side * 2 // 3, side * 2 // 3)).resize((1, 1), Image.Resampling.BOX)
    return float(np.linalg.norm(np.asarray(middle, np.float32).ravel() - np.asarray(COLOURS[colour][0], np.float32)))
