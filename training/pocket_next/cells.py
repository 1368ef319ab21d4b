"""Stage 1: what the text encoder says of a thing or a background, cell by cell. Solved for, not trained.

A canonical picture becomes GRID x GRID cells of CELL numbers: the principal components of what a soft window around
each cell shows, so that features in between two cells mean pictures in between. Components are even or odd under
mirroring, so that turning a sign mirrors a cell. compose.py puts the cells where the layout wants them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from banks import backdrop, backgrounds, is_natural, light_and_ink, natural, things
from common import load, save
from compose import CELL, GRID, compose, frames_of, grid_middles
from drawing import background_of
from layout import Layout
from scenes import Scene
from torch.nn import functional
from words import BAD_QUALITIES, COLOURS, STYLES

SHAPE = (25, 16)  # even and odd numbers of a thing's cell for its light and outline,
CHROMA = (10, 6)  # its own colours,
COLOUR = 4  # and the colour asked for; then its place across and down, and 1
SAID = sum(SHAPE) + sum(CHROMA)
BEHIND = (36, 25)  # of a background's cell, before its place
GLOBALS = len(STYLES) + len(BAD_QUALITIES)
PAINTED = 2 * CELL + GLOBALS  # channels of a latent that the decoder looks at
SIDE = 64  # pixels of a thing as it is taken apart
BEHIND_SIDE = 96  # and of a background
LOUD = 0.33  # deviation of a number; they are kept between -1 and 1


def _odd(parts: tuple[tuple[int, int], ...], rest: list[bool]) -> torch.Tensor:
    signs = [odd for even_count, odd_count in parts for odd in [False] * even_count + [True] * odd_count]
    return torch.tensor(signs + rest)


# Which numbers turn their sign in a mirror: (2 * CELL,), a thing's, then a background's.
ODD = torch.cat([_odd((SHAPE, CHROMA), [False] * COLOUR + [True, False, False]), _odd((BEHIND,), [True, False, False])])


def _windows(pictures: torch.Tensor, cell: int) -> torch.Tensor:
    """(n, channels, side, side) -> (n, channels * (2 cell)^2, GRID^2): each cell and half a cell around, softly."""
    window = torch.hann_window(2 * cell, periodic=False).sqrt()
    patches = functional.unfold(pictures, 2 * cell, stride=cell, padding=cell // 2)
    patches = patches.view(len(pictures), pictures.shape[1], 2 * cell, 2 * cell, -1)
    patches = patches * window[:, None, None] * window[None, :, None]
    return patches.flatten(1, 3)


def _components(pictures: torch.Tensor, cell: int, counts: tuple[int, int]) -> torch.Tensor:
    """(n, channels, side, side) -> (n, even + odd, GRID, GRID), the main components, each of deviation LOUD."""
    patches = _windows(pictures, cell)
    mirrored = _windows(pictures.flip(-1), cell).view(len(pictures), -1, GRID, GRID).flip(-1).flatten(2)
    made = []
    for part, count in (((patches + mirrored) / 2, counts[0]), ((patches - mirrored) / 2, counts[1])):
        flat = part.permute(0, 2, 1).reshape(-1, part.shape[1])
        _, vectors = torch.linalg.eigh(flat.T @ flat)
        numbers = flat @ vectors[:, -count:].flip(-1)
        # half whitened: large parts of the picture stay larger than its grain
        numbers = numbers / numbers.std(0).clamp(min=1e-6).sqrt()
        made.append(numbers / numbers.std())
    numbers = torch.cat(made, -1) * LOUD
    return torch.tanh(numbers).view(len(pictures), GRID, GRID, -1).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Features:
    """Every row's own numbers: shape (things, 41, GRID, GRID), chroma (things, 16, ..), behind (places, 61, ..)."""

    shape: torch.Tensor
    chroma: torch.Tensor
    behind: torch.Tensor

    def thing(self, rows: list[int], natural_ones: list[bool], colours: list[list[float]]) -> torch.Tensor:
        """(n, CELL, GRID, GRID)."""
        n = len(rows)
        chroma = self.chroma[rows] * torch.tensor(natural_ones, dtype=torch.float32)[:, None, None, None]
        said = torch.tensor(colours)[:, :, None, None].expand(n, COLOUR, GRID, GRID)
        return torch.cat([self.shape[rows], chroma, said, PLACES.expand(n, 3, GRID, GRID)], 1)

    def background(self, rows: list[int]) -> torch.Tensor:
        """(n, CELL, GRID, GRID), all 0 for the studio."""
        there = (torch.tensor(rows) > 0).float()[:, None, None, None]
        return torch.cat([self.behind[rows], PLACES.expand(len(rows), 3, GRID, GRID)], 1) * there


def _places() -> torch.Tensor:
    at = grid_middles(False)
    return torch.stack([at.expand(GRID, GRID), at[:, None].expand(GRID, GRID), torch.ones(GRID, GRID)])


PLACES = _places()  # a cell's place across, down, and 1


def load_features(folder: Path) -> Features:
    """From `folder`/features.pt, which is made where it is missing."""
    path = folder / "features.pt"
    state = load(path)
    if state is None:
        lights = torch.from_numpy(np.stack([light_and_ink(key) for key in things()]))
        own = torch.from_numpy(np.stack([natural(key) for key in things()]))
        lights, own = (functional.interpolate(part, size=(SIDE, SIDE), mode="area") for part in (lights, own))
        views = [np.asarray(backdrop(name).resize((BEHIND_SIDE, BEHIND_SIDE), 4)) for name in backgrounds()]
        behind = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 127.5 - 1
        state = {
            "shape": _components(lights, SIDE // GRID, SHAPE),
            "chroma": _components(own, SIDE // GRID, CHROMA),
            "behind": _components(behind - behind[:1], BEHIND_SIDE // GRID, BEHIND),
        }
        save(path, state)
    return Features(**state)


def colour_code(colour: str | None) -> list[float]:
    """COLOUR numbers of an asked colour."""
    return [0.0] * COLOUR if colour is None else [*(part / 127.5 - 1 for part in COLOURS[colour][0]), 1.0]


def globals_of(scene: Scene) -> list[float]:
    """Style and spoiling, one number each."""
    return [float(scene.style == name) for name in STYLES] + [float(scene.quality == name) for name in BAD_QUALITIES]


def latents_of(features: Features, scenes: list[Scene], layouts: list[Layout], shape: tuple[int, int]) -> torch.Tensor:
    """(b, PAINTED, rows, columns): what the denoiser should make of these scenes."""
    rows, own, codes = [], [], []
    for scene in scenes:
        for i in range(2):
            thing = scene.things[i] if i < len(scene.things) else None
            natural_one = thing is not None and is_natural(thing.noun, thing.colour)
            rows.append(things()[thing.noun] if thing else 0)
            own.append(natural_one)
            codes.append(colour_code(thing.colour if thing and not natural_one else None))
    front = features.thing(rows, own, codes).view(len(scenes), 2, CELL, GRID, GRID)
    behind = features.background([backgrounds()[background_of(scene)] for scene in scenes])
    made = compose(front, behind, frames_of(layouts), ODD, shape)
    extra = torch.tensor([globals_of(scene) for scene in scenes])[:, :, None, None]
    return torch.cat([made, extra.expand(-1, -1, *made.shape[2:])], 1)


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """(b, height, width, 3) bytes -> (b, 3, height, width) between -1 and 1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def edges(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How much the pictures' differences between neighbouring pixels differ."""
    down = (made.diff(dim=-2) - wanted.diff(dim=-2)).abs().mean()
    return down + (made.diff(dim=-1) - wanted.diff(dim=-1)).abs().mean()
