"""What the text encoder says of a thing, cell by cell: solved for, not trained.

A thing alone, GRID x GRID cells large, is encoded by the autoencoder; each cell becomes FEATURES numbers: the main
components of its latent when it is gray, of its outline, of what its own colours change, and the colour asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import load, save
from draw import BORROWED, glyph, natural_colour, recoloured, thing
from layout import UNIT
from PIL import Image
from scenes import Scene
from stock import encode, load_autoencoder
from torch.nn import functional
from words import COLOURS, nouns

GRID = 8  # cells across a thing in the text encoder; drawn smaller or larger it is resampled
SHAPE, CHROMA, COLOUR = 40, 20, 4
FEATURES = SHAPE + CHROMA + COLOUR
OUTLINE = 4  # parts across of a cell's outline
LOUD = 1.5  # how much an outline counts beside a latent


def things() -> dict[str, int]:
    """noun -> row."""
    return {key: row for row, key in enumerate(nouns())}


def is_natural(noun: str, colour: str | None) -> bool:
    """Whether the noun is drawn as the font has it: no colour is asked, or the one it has anyway."""
    return colour is None or (noun not in BORROWED and colour == natural_colour(nouns()[noun].glyph))


@dataclass(frozen=True)
class Features:
    """Every noun's numbers: shape (nouns, SHAPE, GRID, GRID), chroma (nouns, CHROMA, GRID, GRID)."""

    shape: torch.Tensor
    chroma: torch.Tensor

    def things(self, scenes: list[Scene]) -> torch.Tensor:
        """(b, 2, FEATURES, GRID, GRID): the scenes' first and second things, 0 where there is none."""
        made = torch.zeros(len(scenes), 2, FEATURES, GRID, GRID)
        for i, scene in enumerate(scenes):
            for k, one in enumerate(scene.things):
                row, own = things()[one.noun], is_natural(one.noun, one.colour)
                made[i, k, :SHAPE] = self.shape[row]
                made[i, k, SHAPE : SHAPE + CHROMA] = self.chroma[row] * own
                made[i, k, SHAPE + CHROMA :] = torch.tensor(colour_code(None if own else one.colour))[:, None, None]
        return made


def colour_code(colour: str | None) -> list[float]:
    """COLOUR numbers of an asked colour."""
    return [0.0] * COLOUR if colour is None else [*(part / 127.5 - 1 for part in COLOURS[colour][0]), 1.0]


def _alone(picture: Image.Image) -> np.ndarray:
    """On mid-gray, with a margin of two cells."""
    side = GRID * UNIT
    canvas = Image.new("RGB", (side + 4 * UNIT,) * 2, (128, 128, 128))
    picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    canvas.paste(picture, (2 * UNIT, 2 * UNIT), picture)
    return np.asarray(canvas)


def _cells(maps: torch.Tensor, parts: int) -> torch.Tensor:
    """(n, channels, GRID * parts, GRID * parts) -> (n, channels * parts^2, GRID, GRID)."""
    return functional.pixel_unshuffle(maps, parts)


def _components(cells: torch.Tensor, count: int) -> torch.Tensor:
    """The main components of (n, numbers, GRID, GRID), somewhat whitened: (n, count, GRID, GRID), deviation near 1."""
    flat = cells.permute(0, 2, 3, 1).reshape(-1, cells.shape[1])
    _, vectors = torch.linalg.eigh(flat.T @ flat)
    numbers = flat @ vectors[:, -count:].flip(-1)
    numbers = numbers / numbers.std(0).clamp(min=1e-6).sqrt()
    numbers = numbers / numbers.std()
    return numbers.view(len(cells), GRID, GRID, -1).permute(0, 3, 1, 2).contiguous()


def load_features(folder: Path) -> Features:
    """From `folder`/features.pt, which is made where it is missing."""
    path = folder / "features.pt"
    state = load(path)
    if state is None:
        autoencoder = load_autoencoder()
        empty = encode(autoencoder, _alone(Image.new("RGBA", (8, 8)))[None])
        inner = slice(4, -4)

        def seen(pictures: list[Image.Image]) -> torch.Tensor:
            latents = encode(autoencoder, np.stack([_alone(one) for one in pictures])) - empty
            return torch.from_numpy(latents[:, :, inner, inner]).float()

        grays = [recoloured(glyph(noun.glyph), "gray") for noun in nouns().values()]
        gray, own = seen(grays), seen([thing(key, None) for key in nouns()])
        ink = np.stack([np.asarray(one.getchannel("A"), np.float32) / 255 for one in grays])
        outline = functional.adaptive_avg_pool2d(torch.from_numpy(ink)[:, None], GRID * OUTLINE)
        state = {
            "shape": _components(torch.cat([_cells(gray, 2), LOUD * _cells(outline, OUTLINE)], 1), SHAPE),
            "chroma": _components(_cells(own - gray, 2), CHROMA),
        }
        save(path, state)
    return Features(**state)
