"""How often the captioner is right, on scenes that training never saw, how long it takes, and whether near copies of a
picture are found by what it makes of them.

    python training/captioner/figures.py models/pocket-captioner
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

sys.path += [str(Path(__file__).parents[1] / "pocket"), str(Path(__file__).parents[2])]
from drawing import draw_scene, numbered
from measures import held_out_scenes, real
from scenes import Scene
from sights import SIDE
from wording import LANGUAGES, seen_colour, thing_of

SEED = 7
DRAWN_FROM = 9_000_000  # number of the first scene of those that near copies are looked for among


def scenes_to_name(count: int) -> list[Scene]:
    """Held-out compositions of one to four of a thing."""
    rng = random.Random(SEED)
    found = held_out_scenes(count, rng)
    return [replace(scene, things=(replace(scene.things[0], count=1 + i % 4),)) for i, scene in enumerate(found)]


@torch.no_grad()
def captions(
    network: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerFast, pictures: list[Image.Image], language: str
) -> list[str]:
    """What it says of each, one sentence after the other."""
    start = tokenizer.convert_tokens_to_ids(f"<{language}>")
    said = []
    for picture in pictures:
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        values = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        ids = network.generate(values, decoder_start_token_id=start, do_sample=False)
        said.append(tokenizer.decode(ids[0], skip_special_tokens=True))
    return said


def measure(network: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, float]:
    """Percent of held-out scenes of which object, colour and count are said rightly, for each language."""
    scenes = scenes_to_name(count)
    pictures = real(scenes)
    right: Counter[str] = Counter()
    for language in LANGUAGES:
        for scene, text in zip(scenes, captions(network, tokenizer, pictures, language), strict=True):
            wanted, found = scene.things[0], thing_of(text, language)
            right[f"{language} object"] += found is not None and found.noun == wanted.noun
            right[f"{language} colour"] += found is not None and found.colour == seen_colour(wanted)
            right[f"{language} count"] += found is not None and found.count == wanted.count
    return {name: round(100 * number / count, 1) for name, number in right.items()}


def _as_jpeg(picture: Image.Image) -> Image.Image:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=60)
    return Image.open(written).convert("RGB")


def _cut(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    return picture.crop((round(0.05 * wide), 0, wide, high - round(0.05 * high)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "made smaller": lambda picture: picture.resize((160, 160), Image.Resampling.BICUBIC),
    "as JPEG": _as_jpeg,
    "cut": _cut,
}


def near_copies(of_picture: Callable[[bytes], bytes], count: int) -> dict[str, float]:
    """Percent of `count` different drawn pictures whose copy is nearest to them, for each kind of copy.

    `of_picture` gives the vector of a picture's file.
    """

    def vectors(pictures: list[Image.Image]) -> np.ndarray:
        rows = []
        for picture in pictures:
            written = io.BytesIO()
            picture.save(written, "PNG")
            rows.append(np.frombuffer(of_picture(written.getvalue()), np.int8).astype(np.float32))
        return np.stack([row / np.linalg.norm(row) for row in rows])

    drawn: dict[bytes, Image.Image] = {}
    number = DRAWN_FROM
    while len(drawn) < count:
        scene, numbers = numbered(number)
        picture = draw_scene(scene, numbers, rng=random.Random(number))
        drawn.setdefault(picture.tobytes(), picture)  # some scenes are twins to the pixel
        number += 1
    pictures = list(drawn.values())
    kept = vectors(pictures)
    nearest = {name: (vectors([copy(one) for one in pictures]) @ kept.T).argmax(1) for name, copy in COPIES.items()}
    return {name: round(100 * float(np.mean(found == np.arange(count))), 1) for name, found in nearest.items()}


def main() -> None:
    from app.catalog import folder_entry
    from app.diffusion.finders import Finders

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    network = VisionEncoderDecoderModel.from_pretrained(asked.folder).float().eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(asked.folder)
    print(measure(network, tokenizer, asked.count), flush=True)
    pictures = real(scenes_to_name(40))
    began = time.monotonic()
    captions(network, tokenizer, pictures, "en")
    print(f"{(time.monotonic() - began) / len(pictures):.3f} s a sentence", flush=True)
    finder = Finders("cpu").load(folder_entry(asked.folder.resolve()), Path("/"))
    print(near_copies(finder.of_picture, asked.count))


if __name__ == "__main__":
    main()
