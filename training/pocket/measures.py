"""The figures: each function draws what it needs, lets judge.py look, and gives a row of the table."""

from __future__ import annotations

import random
from collections.abc import Callable

import judge
import numpy as np
from captions import caption
from drawing import draw_scene
from layout import NUMBERS
from model import NEGATIVE, Model, Served
from outside import OUTSIDE
from PIL import Image
from scenes import HABITATS, Scene, Thing
from seer import Seer, kernel_distance
from words import COLOURS, PLACES, held_out, nouns

SHOWN = 256  # pixels at which sharpness is compared: what is smaller is enlarged, as the page does
STEPS, GUIDANCES = (1, 2, 8, 20, 50), (1.0, 1.5, 4.0, 7.5, 10.0)
SIZES = ((64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024), (512, 288), (288, 512), (384, 256), (512, 384))
CLEAR = 0.85  # share of what is not background that known things must explain in a clear picture
ROUGH = 4.0  # times the gradient energy of real scenes: noise
Row = dict[str, float]


def percent(right: list[bool]) -> float:
    """Share of true ones, in percent."""
    return 100 * float(np.mean(right))


def said(scenes: list[Scene], chinese: bool = False, seed: int = 5) -> list[str]:
    """One caption a scene."""
    rng = random.Random(seed)
    return [caption(scene, rng, chinese) for scene in scenes]


def real(scenes: list[Scene], seed: int = 0) -> list[Image.Image]:
    """The scenes drawn, another layout for each seed."""
    layouts = [np.random.default_rng((seed, i)).standard_normal(NUMBERS) for i in range(len(scenes))]
    return [draw_scene(scene, numbers) for scene, numbers in zip(scenes, layouts, strict=True)]


def held_out_scenes(count: int, rng: random.Random) -> list[Scene]:
    """Single things in a colour on a background, none of them in the training set."""
    found: list[Scene] = []
    while len(found) < count:
        noun, colour = rng.choice(list(nouns())), rng.choice(list(COLOURS))
        if rng.random() < 0.5:
            place, backdrop = rng.choice(list(PLACES)), None
        else:
            place, backdrop = None, rng.choice([name for name in COLOURS if name != colour])
        if held_out(noun, colour, backdrop or place):
            found.append(Scene((Thing(noun, colour),), place=place, backdrop=backdrop))
    return found


def open_scenes(count: int, rng: random.Random) -> list[Scene]:
    """One noun where it is usually seen; the words leave place and size open."""
    keys = [rng.choice(list(nouns())) for _ in range(count)]
    return [Scene((Thing(key),), place=rng.choice(HABITATS[nouns()[key].category])) for key in keys]


def shares(pictures: list[Image.Image], scenes: list[Scene]) -> Row:
    """Right objects, colours and backgrounds, in percent."""
    pairs = list(zip(pictures, scenes, strict=True))
    return {
        "object": percent([judge.object_ranking(p, s)[0] == s.things[0].noun for p, s in pairs]),
        "colour": percent([judge.colour_ranking(p, s)[0] == s.things[0].colour for p, s in pairs]),
        "background": percent([judge.background_ranking(p, s)[0] == (s.backdrop or s.place) for p, s in pairs]),
    }


def right_objects(pictures: list[Image.Image], scenes: list[Scene]) -> list[bool]:
    """Whether the judge names each scene's object."""
    return [judge.object_ranking(p, s)[0] == s.things[0].noun for p, s in zip(pictures, scenes, strict=True)]


def follows(model: Model, count: int, rng: random.Random) -> dict[str, Row]:
    """Held-out compositions in both languages, and how often the judge is right about drawn ones."""
    scenes = held_out_scenes(count, rng)
    half = scenes[: max(4, count // 2)]
    english = model.draw(said(scenes))
    return {
        "judge on real scenes, held out": shares(real(half), half),
        "English, held out": shares(english, scenes),
        "English, first half of them": shares(english[: len(half)], half),
        "Chinese, first half of them": shares(model.draw(said(half, True)), half),
    }


RELATIONS: dict[str, Callable[[judge.Finding, judge.Finding], bool]] = {
    "and": lambda a, b: True,
    "left of": lambda a, b: a.x < b.x,
    "right of": lambda a, b: a.x > b.x,
    "above": lambda a, b: a.y < b.y,
    "below": lambda a, b: a.y > b.y,
}


def _both(picture: Image.Image, scene: Scene) -> bool:
    first, second = (thing.noun for thing in scene.things)
    found = judge.found_things(picture, judge.background_name(scene), judge.every_noun(None), most=2, share=judge.FAINT)
    by_noun = {one.noun: one for one in found}
    if set(by_noun) != {first, second}:
        return False
    return RELATIONS[scene.relation or "and"](by_noun[first], by_noun[second])


def two_scenes(count: int, rng: random.Random) -> list[Scene]:
    """Two different nouns in their own colours, in every relation, in the studio or before a wall."""
    scenes = []
    for i in range(count):
        a, b = rng.sample(list(nouns()), 2)
        backdrop = rng.choice(list(COLOURS)) if i % 2 else None
        scenes.append(Scene((Thing(a), Thing(b)), relation=list(RELATIONS)[i % 5], backdrop=backdrop))
    return scenes


def two_things(model: Model, count: int, rng: random.Random) -> dict[str, Row]:
    """Both of two different things, and how they stand to each other."""
    scenes = two_scenes(count, rng)
    made = model.draw(said(scenes))

    def row(pictures: list[Image.Image]) -> Row:
        return {"both right": percent([_both(*pair) for pair in zip(pictures, scenes, strict=True)])}

    return {"judge on real scenes, two things": row(real(scenes)), "two different things": row(made)}


def counts_and_sides(model: Model, count: int, rng: random.Random) -> dict[str, Row]:
    """One to four of a thing; a thing at a named side."""
    keys, walls, sides = list(nouns()), list(COLOURS), ("left", "right", "top", "bottom")
    counted = [Scene((Thing(rng.choice(keys), None, i % 4 + 1),), backdrop=rng.choice(walls)) for i in range(count)]
    sided = [Scene((Thing(rng.choice(keys)),), backdrop=rng.choice(walls), position=sides[i % 4]) for i in range(count)]

    def row(several: list[Image.Image], single: list[Image.Image]) -> Row:
        counts = [judge.count_of(p, s) == s.things[0].count for p, s in zip(several, counted, strict=True)]
        at = [judge.side_of(p, s) == s.position for p, s in zip(single, sided, strict=True)]
        return {"count": percent(counts), "side": percent(at)}

    return {
        "judge on real scenes, counts and sides": row(real(counted), real(sided)),
        "counts and sides": row(model.draw(said(counted)), model.draw(said(sided))),
    }


def seeds(model: Model, count: int, rng: random.Random) -> dict[str, Row]:
    """Four seeds of one prompt where the words leave place and size open."""
    scenes = open_scenes(count, rng)
    prompts = said(scenes)

    def row(sets: list[list[Image.Image]]) -> Row:
        far = [np.stack([np.asarray(p, np.float32) for p in four]).std(0).mean() for four in sets]
        right = [all(right_objects(four, [scene] * 4)) for four, scene in zip(sets, scenes, strict=True)]
        return {"mean deviation of a pixel (of 255)": float(np.mean(far)), "object right in all four": percent(right)}

    drawn = [list(four) for four in zip(*(real(scenes, seed) for seed in range(4)), strict=True)]
    return {
        "real scenes, four seeds": row(drawn),
        "four seeds": row([model.draw([prompt] * 4, first_seed=4 * i) for i, prompt in enumerate(prompts)]),
    }


def likeness(model: Model, seer: Seer, count: int, rng: random.Random) -> dict[str, Row]:
    """Sharpness and the distance of features, beside real scenes of the same captions."""
    scenes = [*open_scenes(count // 2, rng), *held_out_scenes(count - count // 2, rng)]
    made = [p.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS) for p in model.draw(said(scenes))]
    one, other = real(scenes, 1), real(scenes, 2)
    energy = float(np.median([judge.sharpness(p) for p in made]) / np.median([judge.sharpness(p) for p in one]))
    here, real_there = kernel_distance(seer, made, one), kernel_distance(seer, one, other)
    return {
        "sharpness": {"gradient energy / that of real scenes": energy},
        "kernel distance": {"to real scenes / between real scenes": here / real_there},
    }


def settings(model: Model, count: int, rng: random.Random) -> dict[str, Row]:
    """Every number of steps with every guidance."""
    scenes = held_out_scenes(count, rng)
    prompts = said(scenes)
    usual = float(np.mean([judge.clipped(p) for p in real(scenes)]))
    rows = {}
    for steps in STEPS:
        for guidance in GUIDANCES:
            pictures = model.draw(prompts, guidance=guidance, steps=steps)
            more = float(np.mean([judge.clipped(p) for p in pictures])) - usual
            rows[f"{steps} steps, CFG {guidance:g}"] = {
                "object": percent(right_objects(pictures, scenes)),
                "clipped pixels above real scenes (%)": 100 * more,
            }
    return rows


def shapes(served: Served, count: int, rng: random.Random) -> dict[str, Row]:
    """Sizes and shapes as Atelier draws them: the object, and that there is one of it."""
    scenes = open_scenes(count, rng)
    prompts = said(scenes)
    rows = {}
    for width, height in SIZES:
        pictures = [served.draw(text, i, width=width, height=height) for i, text in enumerate(prompts)]
        single = [judge.count_of(p, s) == 1 for p, s in zip(pictures, scenes, strict=True)]
        rows[f"{width} x {height}"] = {"object": percent(right_objects(pictures, scenes)), "one thing": percent(single)}
    return rows


def outside_world(model: Model, count: int) -> dict[str, Row]:
    """Everyday prompts: is it a clear picture of something known, is it noise?"""
    scenes = open_scenes(20, random.Random(1))
    drawn = real(scenes)
    rough = ROUGH * float(np.median([judge.sharpness(p) for p in drawn]))

    def row(pictures: list[Image.Image]) -> Row:
        big = [p.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS) for p in pictures]
        return {
            "clear": percent([judge.explained(p) > CLEAR for p in pictures]),
            "noise": percent([judge.sharpness(p) > rough for p in big]),
        }

    made = model.draw(list(OUTSIDE[:count]))
    return {"judge on real scenes, clear": row(drawn), "everyday prompts from outside": row(made)}


def negative_prompts(served: Served, count: int, rng: random.Random) -> dict[str, Row]:
    """The named colour or thing should be gone, as Atelier draws; beside it, how often it is there without a negative
    prompt."""
    keys = list(nouns())
    coloured = [Scene((Thing(rng.choice(keys), rng.choice(list(COLOURS))),)) for _ in range(count)]
    pairs = [Scene((Thing(a), Thing(b)), relation="and") for a, b in (rng.sample(keys, 2) for _ in range(count))]

    def colour_there(pictures: list[Image.Image]) -> float:
        pairs_ = zip(pictures, coloured, strict=True)
        return percent([judge.colour_ranking(p, s)[0] == s.things[0].colour for p, s in pairs_])

    def thing_there(pictures: list[Image.Image]) -> float:
        found = [judge.found_things(p, "studio", judge.every_noun(None), most=2, share=judge.FAINT) for p in pictures]
        return percent([s.things[1].noun in {one.noun for one in f} for f, s in zip(found, pairs, strict=True)])

    def drawn(prompts: list[str], negatives: list[str]) -> list[Image.Image]:
        return [served.draw(*each) for each in zip(prompts, range(count), negatives, strict=True)]

    usual = [NEGATIVE] * count
    colours, seconds = [str(s.things[0].colour) for s in coloured], [s.things[1].noun for s in pairs]
    return {
        "colour there": {
            "usual negative prompt": colour_there(drawn(said(coloured), usual)),
            "colour in the negative prompt": colour_there(drawn(said(coloured), colours)),
        },
        "second thing there": {
            "usual negative prompt": thing_there(drawn(said(pairs), usual)),
            "thing in the negative prompt": thing_there(drawn(said(pairs), seconds)),
        },
    }
