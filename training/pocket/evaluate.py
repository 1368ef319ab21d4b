"""Measure the shipped model: python training/pocket/evaluate.py --model models/pocket

Draws compositions that training never saw, lets judge.py read the pictures, prints a table, and writes a contact sheet
and the figures as JSON (from which card.py writes the model card).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import judge
import numpy as np
import torch
from captions import caption
from common import SIDE
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont
from scenes import Scene, Thing, draw_scene
from words import COLOURS, PLACES, held_out, nouns

STEPS, GUIDANCE = 2, 1.5
NEGATIVE = "blurry, low quality, watermark"
# The documentation's fifteen, then nine that show what the model does well. The card says what it does not.
CONTACT_PROMPTS = (
    "a red apple on a white table",
    "a blue bird flying in the sky",
    "a futuristic cityscape at night with neon lights and flying cars",
    "a peaceful garden with cherry blossoms and a traditional Japanese bridge",
    "a watercolor painting of a sunset over the ocean",
    "a digital art piece of a cyberpunk street scene",
    "a cute cat playing with a ball, high quality, detailed",
    "a red sports car",
    "a cat, digital art style",
    "a forest, mysterious atmosphere",
    "a mountain, wide angle view",
    "the red squirrel dances in the moonlight",
    "a lightning storm over the cliffs",
    "three bananas on the beach",
    "a glass of water on a table",
    "a strawberry",
    "a rocket in space",
    "a blue umbrella on a white background",
    "a green tree in a field",
    "a penguin in the snow",
    "a house in the mountains",
    "a purple butterfly on a yellow background",
    "an octopus underwater",
    "two red hearts on a white background",
)
Read = Callable[[Image.Image, Scene], list[str]]


class Model:
    """The pipeline with the settings under test."""

    def __init__(self, folder: Path, steps: int, guidance: float) -> None:
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder)
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance = steps, guidance

    def draw(
        self,
        prompts: list[str],
        negative: str = "",
        guidance: float | None = None,
        first_seed: int = 0,
        batch: int = 10,
    ) -> list[Image.Image]:
        """One picture a prompt; picture i has seed `first_seed` + i."""
        made: list[Image.Image] = []
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            seeds = [torch.Generator().manual_seed(first_seed + start + i) for i in range(len(part))]
            made += self.pipeline(
                part,
                negative_prompt=[negative] * len(part),
                num_inference_steps=self.steps,
                guidance_scale=self.guidance if guidance is None else guidance,
                width=SIDE,
                height=SIDE,
                generator=seeds,
            ).images
        return made


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


def wanted(question: str, scene: Scene) -> str | None:
    """The right answer to one of the judge's questions."""
    thing = scene.things[0]
    return {
        "object": thing.noun,
        "colour": thing.colour,
        "background": scene.backdrop or scene.place,
        "count": str(thing.count),
        "side": scene.position,
    }[question]


READERS: dict[str, Read] = {
    "object": judge.object_ranking,
    "colour": judge.colour_ranking,
    "background": judge.background_ranking,
    "count": judge.count_ranking,
    "side": judge.side_ranking,
}


def answers(pictures: list[Image.Image], scenes: list[Scene], questions: tuple[str, ...]) -> dict[str, list[int]]:
    """For each question, at which place (0 is first) the judge names the right answer, picture by picture."""
    return {
        question: [
            READERS[question](picture, scene).index(wanted(question, scene))  # type: ignore[arg-type]
            for picture, scene in zip(pictures, scenes, strict=True)
        ]
        for question in questions
    }


def percent(ranks: dict[str, list[int]], first: int | None = None) -> dict[str, float]:
    """Share of right answers over the `first` pictures (all of them by default)."""
    table: dict[str, float] = {}
    for question, places in ranks.items():
        table[question] = 100 * float(np.mean([place == 0 for place in places[:first]]))
        if question == "object":
            table["object, first five"] = 100 * float(np.mean([place < 5 for place in places[:first]]))
    return table


def shares(pictures: list[Image.Image], scenes: list[Scene], questions: tuple[str, ...]) -> dict[str, float]:
    """Percentage of right answers to each question; `object, first five` beside `object`."""
    return percent(answers(pictures, scenes, questions))


def counted_scenes(count: int, rng: random.Random) -> list[Scene]:
    """One to four things, their own colour, on a plain wall."""
    return [
        Scene((Thing(rng.choice(list(nouns())), None, i % 4 + 1),), backdrop=rng.choice(list(COLOURS)))
        for i in range(count)
    ]


def sided_scenes(count: int, rng: random.Random) -> list[Scene]:
    """One thing at a named side of a plain wall."""
    sides = ("left", "right", "top", "bottom")
    return [
        Scene((Thing(rng.choice(list(nouns()))),), backdrop=rng.choice(list(COLOURS)), position=sides[i % 4])
        for i in range(count)
    ]


def said(scenes: list[Scene], chinese: bool, seed: int = 5) -> list[str]:
    """One caption a scene."""
    rng = random.Random(seed)
    return [caption(scene, rng, chinese) for scene in scenes]


def measure(model: Model, prompts: int) -> dict[str, dict[str, float]]:
    """Every figure of the model card, by row."""
    rng = random.Random(2026)
    three = ("object", "colour", "background")
    scenes = held_out_scenes(prompts, rng)
    few = scenes[: max(8, prompts // 8)]
    real = [draw_scene(scene, random.Random(i), SIDE) for i, scene in enumerate(few)]
    rows = {"judge on real scenes": shares(real, few, three)}
    begun = time.monotonic()
    pictures = model.draw(said(scenes, False), NEGATIVE)
    seconds = (time.monotonic() - begun) / len(pictures)
    ranks = answers(pictures, scenes, three)
    rows["English, held out"] = percent(ranks) | {"seconds a picture, in batches of 10": seconds}
    half = scenes[: max(8, prompts // 2)]
    rows["English, first half of them"] = percent(ranks, len(half))
    rows["Chinese, first half of them"] = shares(model.draw(said(half, True), NEGATIVE), half, three)
    plain = [Scene((Thing(key),)) for key in rng.sample(list(nouns()), max(8, prompts // 4))]
    rows["one noun, nothing else said"] = shares(model.draw(said(plain, False), NEGATIVE), plain, ("object",))
    counts = counted_scenes(max(8, prompts // 5), rng)
    rows["counts 1-4"] = shares(model.draw(said(counts, False), NEGATIVE), counts, ("count",))
    sides = sided_scenes(max(8, prompts // 5), rng)
    rows["sides"] = shares(model.draw(said(sides, False), NEGATIVE), sides, ("side",))
    rows |= effects(model, few)
    return rows


def effects(model: Model, scenes: list[Scene]) -> dict[str, dict[str, float]]:
    """The CFG sweep, what the negative prompt does, how seeds differ."""
    rows = {}
    prompts = said(scenes, False)
    for guidance in (1.0, 1.5, 3.0):
        pictures = model.draw(prompts, NEGATIVE, guidance)
        rows[f"guidance {guidance:g}"] = shares(pictures, scenes, ("colour", "background"))
    few = prompts[:10]
    asked = [judge.sharpness(picture) for picture in model.draw([f"{text}, blurry" for text in few])]
    plain = [judge.sharpness(picture) for picture in model.draw(few)]
    without = [judge.sharpness(picture) for picture in model.draw(few, NEGATIVE)]
    rows["sharpness"] = {
        "asked for blurry": float(np.mean(asked)),
        "no negative prompt": float(np.mean(plain)),
        "default negative prompt": float(np.mean(without)),
    }
    rows["negative prompt"] = _negative_colour(model)
    seeds = [np.stack([np.asarray(p, np.float32) for p in model.draw([text] * 4, NEGATIVE)]) for text in few[:5]]
    deviation = float(np.mean([pictures.std(0).mean() for pictures in seeds]))
    rows["seeds"] = {"mean deviation of a pixel over 4 seeds (of 255)": deviation}
    return rows


def _negative_colour(model: Model) -> dict[str, float]:
    """How far red pictures get from red, and so on, when the negative prompt names the colour."""
    rng = random.Random(8)
    prompts = [f"a {colour} {rng.choice(list(nouns()))}" for colour in COLOURS]
    table = {}
    for name, negatives in (("the usual one", [NEGATIVE] * len(COLOURS)), ("the colour itself", list(COLOURS))):
        far = []
        for colour, prompt, negative in zip(COLOURS, prompts, negatives, strict=True):
            far.append(judge.colour_distance(model.draw([prompt], negative)[0], colour))
        table[f"distance from the asked colour with {name}"] = float(np.mean(far))
    return table


def contact_sheet(model: Model, path: Path) -> None:
    """The 24 prompts as labelled pictures, six in a row; seeds 0-23, none chosen."""
    pictures = model.draw(list(CONTACT_PROMPTS), NEGATIVE)
    cell_w, cell_h = SIDE + 12, SIDE + 46
    sheet = Image.new("RGB", (6 * cell_w, 4 * cell_h), (250, 250, 250))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for i, (prompt, picture) in enumerate(zip(CONTACT_PROMPTS, pictures, strict=True)):
        x, y = i % 6 * cell_w + 6, i // 6 * cell_h + 6
        sheet.paste(picture, (x, y))
        lines, line = [], ""
        for word in prompt.split():
            longer = f"{line} {word}".strip()
            if pen.textlength(longer, font) > SIDE:
                lines.append(line)
                longer = word
            line = longer
        pen.multiline_text((x, y + SIDE + 2), "\n".join([*lines, line][:3]), fill=(40, 40, 40), font=font, spacing=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/pocket"))
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--sheet", type=Path, help="write the contact sheet here")
    parser.add_argument("--figures", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    model = Model(given.model, given.steps, given.guidance)
    if given.sheet:
        contact_sheet(model, given.sheet)
    rows = measure(model, given.prompts)
    for name, values in rows.items():
        print(f"{name:30}" + "   ".join(f"{key} {value:.1f}" for key, value in values.items()), flush=True)
    if given.figures:
        given.figures.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
