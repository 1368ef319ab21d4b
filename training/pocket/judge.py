"""A judge that is not the model: it draws what could be in a picture, everywhere and in many sizes, and says what fits.

A hypothesis is a thing in a colour, of a size, at a place, over a known background. How much nearer the picture is to
that drawing than to the empty background is a sum of correlations, so all places are tried at once. Nothing in it is
learned, and `evaluate.py` prints how often it is right about freshly drawn scenes, which bounds what any model can
reach.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from banks import backdrop, backgrounds
from draw import thing
from PIL import Image
from scenes import Scene, draw_scene
from torch.nn import functional
from words import COLOURS, PLACES, nouns

SEEN = 48  # pixels of the shorter side at which pictures are compared
SIZES = (12, 14, 16, 18, 20, 22, 24, 27, 30, 33, 36, 40)  # of things, in such pixels
GAINS = (0.82, 1.22)  # how much darker or brighter than drawn a background may be
SHARE = 0.3  # of the first thing's evidence that another one must have to count as one more of it
FAINT = 0.06  # and that a different thing must have to be there at all


@dataclass(frozen=True)
class Finding:
    """A thing at its best place: middle and side as shares of the picture's shorter side; evidence is a squared error
    that it explains."""

    noun: str
    colour: str | None
    x: float
    y: float
    side: float
    evidence: float


def seen(picture: Image.Image) -> np.ndarray:
    """(rows, columns, 3) numbers in 0..1, SEEN along the shorter side."""
    scale = SEEN / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    small = picture.convert("RGB").resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32) / 255


@lru_cache(maxsize=512)
def _views(name: str, columns: int, rows: int) -> tuple[np.ndarray, ...]:
    """The background as it may be drawn: as it is, mirrored, and as one square."""
    side = max(columns, rows)
    canvas = backdrop(name, side * 4).resize((side, side), Image.Resampling.BOX)
    left, top = (side - columns) // 2, (side - rows) // 2
    middle = np.asarray(canvas.crop((left, top, left + columns, top + rows)), np.float32) / 255
    views = [middle, middle[:, ::-1]]
    if name in PLACES:
        first = draw_scene(Scene(place=name), random.Random(3), 128).resize((columns, rows), Image.Resampling.BOX)
        views.append(np.asarray(first, np.float32) / 255)
    return tuple(np.ascontiguousarray(view) for view in views)


def fitted(look: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    """The view of the background nearest to what is seen, as bright as it is there; and how far the nearer half of the
    pixels is from it."""
    best: tuple[np.ndarray, float] | None = None
    for view in _views(name, look.shape[1], look.shape[0]):
        gain = np.median((look + 0.05) / (view + 0.05), axis=(0, 1)).clip(*GAINS)
        lit = (view * gain).clip(0, 1)
        far = np.square(look - lit).sum(-1).ravel()
        score = float(np.sort(far)[: len(far) // 2].mean())
        if best is None or score < best[1]:
            best = lit, score
    assert best is not None
    return best


@lru_cache(maxsize=64)
def _templates(things: tuple[tuple[str, str | None], ...], side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernels (n, 8, side, side) and offsets (n,) for the maps that `_evidence` makes."""
    kernels, offsets = [], []
    for noun, colour in things:
        pixels = np.asarray(thing(noun, colour).resize((side, side), Image.Resampling.BOX), np.float32) / 255
        ink, look = pixels[..., 3:], pixels[..., :3]
        parts = (-2 * ink * look, 2 * ink, -2 * ink**2 * look, ink**2)
        kernels.append(np.concatenate(parts, -1).transpose(2, 0, 1))
        offsets.append(np.square(ink * look).sum())
    return torch.from_numpy(np.stack(kernels)), torch.tensor(np.asarray(offsets), dtype=torch.float32)


@torch.no_grad()
def _evidence(look: np.ndarray, behind: np.ndarray, things: tuple[tuple[str, str | None], ...]) -> list[Finding]:
    """The best finding of each thing."""
    off = look - behind
    maps = np.concatenate(
        [off, (off * behind).sum(-1, keepdims=True), behind, np.square(behind).sum(-1, keepdims=True)], -1
    )
    field = torch.from_numpy(maps.transpose(2, 0, 1)[None].astype(np.float32))
    best: list[Finding | None] = [None] * len(things)
    for side in SIZES:
        if side > SEEN:
            continue
        kernels, offsets = _templates(things, side)
        costs = functional.conv2d(field, kernels)[0] + offsets[:, None, None]
        least, spots = costs.flatten(1).min(1)
        for i, (cost, spot) in enumerate(zip(least.tolist(), spots.tolist(), strict=True)):
            known = best[i]
            if known is None or -cost > known.evidence:
                y, x = divmod(spot, costs.shape[2])
                middle = ((x + side / 2) / SEEN, (y + side / 2) / SEEN)
                best[i] = Finding(*things[i], *middle, side / SEEN, -cost)
    return [one for one in best if one is not None]


def _with(behind: np.ndarray, found: Finding) -> np.ndarray:
    """The background with the found thing on it."""
    side = round(found.side * SEEN)
    left, top = round(found.x * SEEN - side / 2), round(found.y * SEEN - side / 2)
    pixels = np.asarray(thing(found.noun, found.colour).resize((side, side), Image.Resampling.BOX), np.float32) / 255
    made = behind.copy()
    box = made[top : top + side, left : left + side]
    box[:] = pixels[..., 3:] * pixels[..., :3] + (1 - pixels[..., 3:]) * box
    return made


def background_name(scene: Scene) -> str:
    """The name of the scene's background in banks.py."""
    if scene.place == "table" and scene.backdrop:
        return f"table {scene.backdrop}"
    return scene.place or (f"wall {scene.backdrop}" if scene.backdrop else "studio")


def ranked(picture: Image.Image, scene: Scene, things: tuple[tuple[str, str | None], ...]) -> list[Finding]:
    """The things, likeliest first, on the scene's background."""
    look = seen(picture)
    found = _evidence(look, fitted(look, background_name(scene))[0], things)
    return sorted(found, key=lambda one: -one.evidence)


def every_noun(colour: str | None) -> tuple[tuple[str, str | None], ...]:
    """All nouns in one colour."""
    return tuple((key, colour) for key in nouns())


def object_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All nouns, likeliest first, given the scene's colour and background."""
    return [one.noun for one in ranked(picture, scene, every_noun(scene.things[0].colour))]


def colour_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All colours of the thing, likeliest first."""
    found = ranked(picture, scene, tuple((scene.things[0].noun, name) for name in COLOURS))
    return [str(one.colour) for one in found]


def background_ranking(picture: Image.Image, scene: Scene) -> list[str]:
    """All plain colours and places, likeliest first."""
    look = seen(picture)
    named = {name: f"wall {name}" for name in COLOURS} | {name: name for name in PLACES}
    return sorted(named, key=lambda name: fitted(look, named[name])[1])


def found_things(
    picture: Image.Image, name: str, things: tuple[tuple[str, str | None], ...], most: int = 6, share: float = SHARE
) -> list[Finding]:
    """What is in the picture, one after another, until the next one explains less than `share` of the first."""
    look = seen(picture)
    behind = fitted(look, name)[0]
    found: list[Finding] = []
    while len(found) < most:
        best = max(_evidence(look, behind, things), key=lambda one: one.evidence)
        if best.evidence <= 0 or (found and best.evidence < share * found[0].evidence):
            break
        found.append(best)
        behind = _with(behind, best)
    return found


def count_of(picture: Image.Image, scene: Scene) -> int:
    """How many of the scene's thing there are."""
    one = scene.things[0]
    return len(found_things(picture, background_name(scene), ((one.noun, one.colour),)))


def side_of(picture: Image.Image, scene: Scene) -> str:
    """On which of the two sides the scene's thing is: left or right where one of them is asked, else top or bottom."""
    one = scene.things[0]
    found = ranked(picture, scene, ((one.noun, one.colour),))[0]
    least = min(picture.size)
    if scene.position in ("left", "right"):
        return "left" if found.x < picture.width / least / 2 else "right"
    return "top" if found.y < picture.height / least / 2 else "bottom"


def likeliest_background(picture: Image.Image) -> str:
    """Whichever of all backgrounds is nearest."""
    look = seen(picture)
    return min((name for name in backgrounds() if not name.startswith("show")), key=lambda name: fitted(look, name)[1])


def explained(picture: Image.Image) -> float:
    """The share of what is not background that one or two known things in their own colours explain, at best 1."""
    name = likeliest_background(picture)
    look = seen(picture)
    behind = fitted(look, name)[0]
    rest = float(np.square(look - behind).sum())
    found = found_things(picture, name, every_noun(None), most=2, share=FAINT)
    return sum(one.evidence for one in found) / max(rest, 1e-6)


def sharpness(picture: Image.Image) -> float:
    """Gradient energy of the gray picture: mean of the squared differences of neighbours."""
    gray = np.asarray(picture.convert("L"), np.float32)
    return float(np.square(np.diff(gray, axis=0)).mean() + np.square(np.diff(gray, axis=1)).mean())


def clipped(picture: Image.Image) -> float:
    """The share of pixels that are as dark or as bright as can be in some channel."""
    pixels = np.asarray(picture.convert("RGB"))
    return float(((pixels <= 1) | (pixels >= 254)).any(-1).mean())
