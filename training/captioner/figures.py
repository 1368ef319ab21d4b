"""How often the captioner is right, on scenes that training never saw."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from measures import held_out_scenes, real
from PIL import Image
from scenes import Scene
from sights import SIDE
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel
from wording import LANGUAGES, seen_colour, thing_of

SEED = 7


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
        ids = network.generate(values, decoder_start_token_id=start, do_sample=False, num_beams=1)
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
