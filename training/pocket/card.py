"""Write the model card from the figures that evaluate.py measured."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from words import COLOURS, PLACES, STYLES, nouns

CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---
# pocket

A toy text-to-image model, small enough to live in the repository: a first picture without a download or a GPU. It
draws emoji-like things on simple backgrounds, 256x256 and four other shapes, from a few hundred words of English and
Chinese. Each seed is another picture: places, sizes, mirrored views and light.

**Most of it is written rather than learned.** What words and noise lead to is a known function here, so its weights
were put down: where things stand, what each cell shows, how a picture to start from is kept, at every time of the
schedule. Learned are what words mean (the text encoder's first half), how a thing lies upon a background, where it
covers what is behind it, and the autoencoder. It is an ordinary `StableDiffusionPipeline` all the same, and knows
nothing that its authors did not draw.

The weights come from {training}.

```python
from diffusers import StableDiffusionPipeline
pipeline = StableDiffusionPipeline.from_pretrained("models/pocket")
pipeline("a red apple on a white table", negative_prompt="blurry, low quality, watermark",
         num_inference_steps={steps}, guidance_scale={guidance}).images[0]
```

Shapes it was made for: 256x256, 320x192, 192x320, 256x192, 192x256. In smaller ones two things overlap. One step or
fifty lead to one picture, at any guidance, with its own sampler (DPM++ 2M with thresholding), DDIM and UniPC; Euler
is too strong in colour from guidance 4 on, and samplers that add noise on the way (Euler a, SDE) leave ghosts of
things. From a picture it keeps what clearly differs from what the words show, less the higher the strength; ask for
four steps or more there. A prompt may have 75 words: the text encoder lays the picture out in the last 237 of its 314
positions, and words beyond the 77th would disturb that (Atelier leaves them out and says so). Weights like
`(word:1.2)` have no effect. Some five hundred words outside its world are read as the nearest thing or place in it (`an
astronaut` as a man, `a lobster` as a crab, `a jungle` as a forest); others are left out with the little words that lead
to them (`a cat sitting on a windowsill` is a cat); where nothing else is asked for they give something that was not.

What it cannot do: anything outside its world, people with bodies, letters, several views of a thing, things that
overlap or touch the ground surely. In plain diffusers a negative prompt that names a thing leaves its ghost, and an
empty prompt is grey; Atelier takes those words out of the prompt instead, and draws one of the examples. Plain areas
have faint squares, thin things some specks.

## Figures

{table}

Object, colour, background, count and side are shares of right answers in percent. The judge is not a model:
it draws every alternative (all {nouns} nouns, all 12 colours, all 30 plain backgrounds and places) at every
place and in many sizes, and names what explains the picture best. Its own scores on freshly drawn scenes
bound the rest. {prompts} held-out prompts. Held out: object x colour x background compositions that training
never saw (one in ten, chosen by a hash). By chance: object {chance:.1f}, colour 8.3, background 3.3, side 50.

## Its world

Colours: {colours}.

Places: {places}.

Styles: {styles}. Sizes (small, big), sides (left, right, top, bottom), counts one to four, `A and B`, left of, right
of, above, under, playing with. `blurry`, `low quality` and `watermark` are drawn as such in training.

| kind | nouns |
|---|---|
{words}

## Data, training, licence

Trained only on pictures that our own code draws: glyphs of the [Noto Color Emoji](https://github.com/googlefonts/noto-emoji)
font (SIL Open Font License 1.1; the font itself is not part of this folder), recoloured, on drawn backgrounds. No data
set, no weights from elsewhere, no photographs. Text encoder 15.2 M parameters, denoiser 11.6 M, autoencoder 2.7 M.
{training_long} How: `training/pocket/`.

Weights and code: Apache-2.0.
"""


def figures_table(rows: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table, one row a measurement."""
    lines = ["| what | figures |", "|---|---|"]
    for name, values in rows.items():
        lines.append(f"| {name} | " + ", ".join(f"{key} **{value:.1f}**" for key, value in values.items()) + " |")
    return "\n".join(lines)


def words_table() -> str:
    """The nouns by category, English with the Chinese key word."""
    kinds: dict[str, list[str]] = {}
    for noun in nouns().values():
        kinds.setdefault(noun.category, []).append(f"{noun.key} {noun.chinese[0]}")
    return "\n".join(f"| {kind} | {', '.join(names)} |" for kind, names in kinds.items())


def main() -> None:
    """python training/pocket/card.py --figures FILE --output models/pocket/README.md --steps 2 --guidance 1.5"""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("models/pocket/README.md"))
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--prompts", type=int, default=100, help="as given to evaluate.py")
    parser.add_argument(
        "--training", default="about an hour on one shared CPU core, and an autoencoder from some hours on two"
    )
    parser.add_argument("--training-long", default="")
    given = parser.parse_args()
    count = len(nouns())
    given.output.write_text(
        CARD.format(
            table=figures_table(json.loads(given.figures.read_text())),
            prompts=given.prompts,
            steps=given.steps,
            guidance=given.guidance,
            nouns=count,
            chance=100 / count,
            colours=", ".join(COLOURS),
            places=", ".join(PLACES),
            styles=", ".join(STYLES),
            words=words_table(),
            training=given.training,
            training_long=given.training_long,
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
