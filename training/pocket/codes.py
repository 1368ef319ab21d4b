"""What a caption says, as numbers: the code that the text encoder's reading half writes and its drawing half reads.

Every property of a scene has its own dimensions: nouns as principal components of their pictures, everything else as
one number a choice. Also here: where in the encoder's width the code, a layout position's number and the features of
its part of the picture stand.
"""

from __future__ import annotations

import random

import numpy as np
from cache import encode
from diffusers import AutoencoderKL
from scenes import PAIR, Scene, Thing, draw_scene
from showpieces import SHOWPIECES
from tokenizer import LAYOUT
from words import BAD_QUALITIES, COLOURS, PLACES, STYLES, nouns

FIRST_NOUN, SECOND_NOUN = 72, 40  # dimensions
STRENGTH = 1.5  # of a choice that is made
CHOICES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "second colour": tuple(COLOURS),
    "place": tuple(PLACES),
    "backdrop": tuple(COLOURS),
    "count": ("1", "2", "3", "4"),
    "size": ("small", "big"),
    "relation": tuple(PAIR),
    "position": ("left", "right", "top", "bottom"),
    "style": tuple(STYLES),
    "quality": BAD_QUALITIES,
    "showpiece": tuple(SHOWPIECES),
}
STARTS = {  # where in the code a property's choices begin
    name: FIRST_NOUN + SECOND_NOUN + sum(len(CHOICES[before]) for before in list(CHOICES)[:number])
    for number, name in enumerate(CHOICES)
}
CODE = FIRST_NOUN + SECOND_NOUN + sum(len(options) for options in CHOICES.values())

# The width of the text encoder, divided.
WIDTH = 384
FREE = 224  # the reading half's own dimensions, the code first
CELLS = LAYOUT  # then one dimension a layout position
FLAG = FREE + CELLS  # then one that says "padding or layout"
FIRST_FEATURE = FLAG + 1
FEATURES = 80
SPARE = slice(FIRST_FEATURE + FEATURES, WIDTH - 1)  # zero everywhere: shows what layer norm makes of zero
WORD = WIDTH - 1  # says "a word", for the painting half
STRONG = 4.0  # how strong position and flag are


def noun_codes(pictures: np.ndarray, size: int) -> np.ndarray:
    """The main components of the pictures, half-whitened so that small features count: (nouns, size), norm near 3."""
    flat = pictures.reshape(len(pictures), -1)
    u, s, _ = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    codes = np.zeros((len(flat), size), np.float32)
    parts = min(size, len(s))
    codes[:, :parts] = u[:, :parts] * np.sqrt(s[:parts])
    return 3 * codes / np.linalg.norm(codes, axis=1).mean()


def said_choices(scene: Scene) -> dict[str, str | None]:
    """The choice of each property that the scene makes."""
    first = scene.things[0] if scene.things else None
    second = scene.things[1] if len(scene.things) > 1 else None
    return {
        "colour": first.colour if first else None,
        "second colour": second.colour if second else None,
        "place": scene.place,
        "backdrop": scene.backdrop,
        "count": str(first.count) if first else None,
        "size": first.size if first else None,
        "relation": scene.relation,
        "position": scene.position,
        "style": scene.style,
        "quality": scene.quality if scene.quality in BAD_QUALITIES else None,
        "showpiece": scene.showpiece,
    }


class Coder:
    """Scenes -> codes; `pictures` are the nouns' latents, (nouns, 16, 16, 16)."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.first = noun_codes(pictures, FIRST_NOUN)
        self.second = noun_codes(pictures, SECOND_NOUN)
        self.index = {key: i for i, key in enumerate(nouns())}

    def code(self, scene: Scene) -> np.ndarray:
        """(CODE,) float32."""
        out = np.zeros(CODE, np.float32)
        if scene.things:
            out[:FIRST_NOUN] = self.first[self.index[scene.things[0].noun]]
        if len(scene.things) > 1:
            out[FIRST_NOUN : FIRST_NOUN + SECOND_NOUN] = self.second[self.index[scene.things[1].noun]]
        for name, choice in said_choices(scene).items():
            if choice is not None:
                out[STARTS[name] + CHOICES[name].index(choice)] = STRENGTH
        return out


def noun_pictures(vae: AutoencoderKL) -> np.ndarray:
    """The latent of every noun alone in the studio: (nouns, 16, 16, 16) float32."""
    rng = random.Random(0)
    pixels = np.stack([np.asarray(draw_scene(Scene((Thing(key),)), rng)) for key in nouns()])
    return encode(vae, pixels).astype(np.float32)
