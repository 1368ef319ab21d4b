"""Scenes: what is in a picture, how often, and the drawing of it.

Things the caption does not say hardly vary (centred, large, bright studio), so that shapes are learned quickly;
things it says are drawn exactly so. `draw_scene` is the ground truth that the judge in evaluate.py learns from.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from backgrounds import PAINTERS, plain, unspecified
from backgrounds import table as paint_table
from draw import paste
from effects import spoil, stylize
from PIL import Image
from showpieces import SHOWPIECES, paint_showpiece
from words import BAD_QUALITIES, COLOURS, PLACES, STYLES, held_out, nouns


@dataclass(frozen=True)
class Thing:
    """`count` copies of a noun, recoloured when `colour` is named."""

    noun: str
    colour: str | None = None
    count: int = 1
    size: str | None = None  # small, big or unsaid


@dataclass(frozen=True)
class Scene:
    """Everything a caption may say about a picture; None is unsaid."""

    things: tuple[Thing, ...] = ()
    relation: str | None = None  # how things[0] stands to things[1]
    place: str | None = None
    backdrop: str | None = None  # colour of the wall, or of the table when the place is one
    position: str | None = None
    style: str | None = None
    quality: str | None = None
    showpiece: str | None = None
    fixed: tuple[str, ...] = ()
    fixed_chinese: tuple[str, ...] = ()

    @property
    def is_held_out(self) -> bool:
        """Whether training must not see this object x colour x background composition."""
        where = self.backdrop or self.place
        return any(held_out(thing.noun, thing.colour, where) for thing in self.things)


# Where things of a category are usually asked for; the rest is drawn from all places.
HABITATS = {
    "animal": ("field", "forest", "garden", "snow", "room", "night", "mountains"),
    "bird": ("sky", "field", "forest"),
    "sea": ("underwater", "sea", "beach"),
    "vehicle": ("street", "city", "desert", "mountains"),
    "flyer": ("sky", "space", "sunset", "night"),
    "boat": ("sea", "sunset", "beach"),
    "fruit": ("table", "beach", "room"),
    "food": ("table", "room"),
    "drink": ("table", "beach"),
    "plant": ("field", "garden", "desert"),
    "building": ("field", "mountains", "city", "snow", "sunset"),
    "sky": ("sky", "night", "space", "sea"),
    "thing": ("table", "room"),
    "clothing": ("room", "table"),
    "person": ("street", "garden", "beach", "room", "snow"),
    "sport": ("field", "beach"),
    "music": ("room", "city"),
}
GROUNDED = {
    "street": 0.06,
    "beach": 0.08,
    "sea": 0.08,
    "field": 0.06,
    "table": -0.05,
    "room": 0.07,
    "snow": 0.08,
    "desert": 0.06,
    "mountains": 0.1,
    "garden": 0.06,
    "forest": 0.08,
}
SINGLE = 0.64  # of the frame: the side of one thing whose size is unsaid
# (centres, side) for n things, as shares of the frame
ROWS: dict[int, tuple[tuple[tuple[float, float], ...], float]] = {
    1: (((0.5, 0.5),), SINGLE),
    2: (((0.27, 0.52), (0.73, 0.52)), 0.42),
    3: (((0.5, 0.28), (0.26, 0.7), (0.74, 0.7)), 0.4),
    4: (((0.27, 0.28), (0.73, 0.28), (0.27, 0.73), (0.73, 0.73)), 0.38),
}
SIZE_FACTOR = {None: 1.0, "small": 0.5, "big": 1.36}
MOVE = {None: (0.0, 0.0), "left": (-0.24, 0.0), "right": (0.24, 0.0), "top": (0.0, -0.23), "bottom": (0.0, 0.23)}
PAIR = {  # centres of a and b, sides of a and b
    "and": ((0.27, 0.52), (0.73, 0.52), 0.46, 0.46),
    "left of": ((0.27, 0.52), (0.73, 0.52), 0.46, 0.46),
    "right of": ((0.73, 0.52), (0.27, 0.52), 0.46, 0.46),
    "above": ((0.5, 0.26), (0.5, 0.74), 0.44, 0.46),
    "below": ((0.5, 0.74), (0.5, 0.26), 0.46, 0.44),
    "playing with": ((0.4, 0.5), (0.78, 0.78), 0.62, 0.28),
}


def _background(scene: Scene, side: int, rng: random.Random) -> Image.Image:
    if scene.place:  # always the same view: what varies unsaid comes out as a blur of all its variants
        same = random.Random(scene.place)
        return paint_table(side, same, scene.backdrop) if scene.place == "table" else PAINTERS[scene.place](side, same)
    return plain(side, scene.backdrop, rng) if scene.backdrop else unspecified(side, rng)


def draw_scene(scene: Scene, rng: random.Random, side: int = 128) -> Image.Image:
    """The scene as an RGB picture, `side` pixels square; `rng` decides what the scene leaves open."""
    if scene.showpiece:
        picture = paint_showpiece(scene.showpiece, side)
    else:
        picture = _background(scene, side, rng)
        for thing, centre, width in layout(scene, rng):
            paste(picture, thing.noun, thing.colour, (centre[0] * side, centre[1] * side), width * side)
    if scene.style:
        picture = stylize(picture, scene.style, rng)
    if scene.quality in BAD_QUALITIES:
        picture = spoil(picture, scene.quality, rng)
    return picture


def layout(scene: Scene, rng: random.Random) -> list[tuple[Thing, tuple[float, float], float]]:
    """Every copy with its centre and side as shares of the frame."""
    down = GROUNDED.get(scene.place or "", 0.0)
    if len(scene.things) == 2:
        first, second, side_a, side_b = PAIR[scene.relation or "and"]
        spots = [(scene.things[0], first, side_a), (scene.things[1], second, side_b)]
        down *= 0.5
    else:
        thing = scene.things[0] if scene.things else None
        centres, side = ROWS[thing.count if thing else 1]
        spots = [(thing, centre, side) for centre in centres] if thing else []
    placed = []
    move = MOVE[scene.position]
    for thing, (x, y), side in spots:
        width = side * SIZE_FACTOR[thing.size] * rng.uniform(0.985, 1.015)
        width *= 0.62 if scene.position else 1.0
        x += move[0] + rng.uniform(-0.006, 0.006)
        y += move[1] + rng.uniform(-0.006, 0.006) + (0 if scene.position else down)
        placed.append((thing, (x, y), min(width, 0.92)))
    return placed


def _thing(rng: random.Random, colour_chance: float, keys: list[str]) -> Thing:
    return Thing(rng.choice(keys), rng.choice(list(COLOURS)) if rng.random() < colour_chance else None)


def _where(noun: str, rng: random.Random) -> dict[str, str | None]:
    """A background: unsaid, a colour, a usual place or any place; a coloured table now and then."""
    roll = rng.random()
    if roll < 0.25:
        return {}
    if roll < 0.5:
        return {"backdrop": rng.choice(list(COLOURS))}
    if roll < 0.55:
        return {"place": "table", "backdrop": rng.choice(list(COLOURS))}
    usual = HABITATS[nouns()[noun].category]
    return {"place": rng.choice(usual) if rng.random() < 0.5 else rng.choice(list(PLACES))}


def _one_scene(rng: random.Random, keys: list[str]) -> Scene:
    roll = rng.random()
    if roll < 0.05:
        return rng.choice(SHOWPIECE_SCENES)
    if roll < 0.08:
        return Scene(place=rng.choice(list(PLACES)))
    thing = _thing(rng, 0.5, keys)
    scene = Scene((thing,), **_where(thing.noun, rng))
    if roll < 0.68:
        return scene
    if roll < 0.73:
        return replace(scene, things=(replace(thing, size=rng.choice(("small", "big"))),))
    if roll < 0.78:
        return replace(scene, position=rng.choice(("left", "right", "top", "bottom")))
    if roll < 0.9:
        return replace(scene, things=(replace(thing, count=rng.choice((2, 3, 4))),))
    if roll < 0.915:
        ball = rng.choice(("soccer ball", "basketball"))
        return replace(scene, things=(thing, Thing(ball)), relation="playing with")
    other = _thing(rng, 0.5, keys)
    relation = rng.choice(("and", "left of", "right of", "above", "below"))
    return replace(scene, things=(thing, other), relation=relation)


def random_scene(rng: random.Random, keys: list[str] | None = None) -> Scene:
    """A scene for training: never a held-out composition."""
    keys = keys or list(nouns())
    while True:
        scene = _one_scene(rng, keys)
        if scene.is_held_out:
            continue
        if rng.random() < 0.07:
            scene = replace(scene, style=scene.style or rng.choice(list(STYLES)))
        if rng.random() < 0.04:
            scene = replace(scene, quality=rng.choice(BAD_QUALITIES))
        return scene


# What examples of the documentation show; those that are not here are painted as one picture.
COMPOSED = {
    "red_apple": Scene((Thing("apple", "red"),), place="table", backdrop="white"),
    "blue_bird": Scene((Thing("bird", "blue"),), place="sky"),
    "cityscape": Scene((Thing("car", None, 2),), place="city"),
    "watercolor_sunset": Scene(place="sunset", style="watercolor"),
    "cat_and_ball": Scene((Thing("cat"), Thing("soccer ball")), relation="playing with", place="room"),
    "sports_car": Scene((Thing("sports car", "red"),), place="street"),
    "digital_cat": Scene((Thing("cat"),), place="field", style="digital"),
    "moonlit_squirrel": Scene((Thing("squirrel", "red"),), place="night"),
    "three_bananas": Scene((Thing("banana", None, 3),), place="beach"),
    "glass_of_water": Scene((Thing("glass of water"),), place="table"),
    "forest": Scene(place="forest"),
    "wide_mountain": Scene(place="mountains"),
}
SHOWPIECE_SCENES = tuple(
    replace(COMPOSED.get(name) or Scene(showpiece=name), fixed=english, fixed_chinese=chinese)
    for name, (english, chinese) in SHOWPIECES.items()
)
