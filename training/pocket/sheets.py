"""Contact sheets by a rule: every prompt with seeds 0 to 3, none chosen."""

from __future__ import annotations

import random
from pathlib import Path

from measures import held_out_scenes, open_scenes, said, two_scenes
from model import Model
from outside import OUTSIDE
from PIL import Image, ImageDraw, ImageFont

SHOWN = 160  # pixels of a picture on the sheet
SEEDS = 4
# The documentation's fifteen (its two negative-prompt examples are one prompt).
DOCUMENTED = (
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
)


def prompts_by_rule() -> list[str]:
    """24: the documented ones, then three of each kind that the figures use, from one random seed."""
    rng = random.Random(24)
    return [*DOCUMENTED, *said(open_scenes(3, rng) + held_out_scenes(3, rng) + two_scenes(3, rng))]


def _lines(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont, text: str, width: int) -> str:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if pen.textlength(longer, font) > width:
            lines.append(line)
            longer = word
        line = longer
    return "\n".join([*lines, line][:3])


def sheet(model: Model, prompts: list[str], path: Path, across: int = 2) -> None:
    """Write the prompts, `across` of them side by side, each with its SEEDS pictures."""
    cell_w, cell_h = SEEDS * (SHOWN + 4) + 12, SHOWN + 40
    rows = -(-len(prompts) // across)
    canvas = Image.new("RGB", (across * cell_w, rows * cell_h), (250, 250, 250))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for i, prompt in enumerate(prompts):
        x, y = i % across * cell_w + 6, i // across * cell_h + 6
        for seed, picture in enumerate(model.draw([prompt] * SEEDS)):
            canvas.paste(picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (x + seed * (SHOWN + 4), y))
        pen.multiline_text((x, y + SHOWN + 2), _lines(pen, font, prompt, cell_w - 12), (40, 40, 40), font, spacing=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, optimize=True)


def write_sheets(model: Model, folder: Path) -> None:
    """prompts.png (24 x 4 seeds) and outside.png (every fourth of the outside ones, 25 x 4)."""
    sheet(model, prompts_by_rule(), folder / "prompts.png")
    sheet(model, list(OUTSIDE[::4]), folder / "outside.png")
