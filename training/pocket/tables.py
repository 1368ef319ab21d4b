"""What the text encoder says of things and backgrounds, cell by cell: solved for, not trained.

A thing is encoded by the autoencoder in both sizes it is drawn in, gray, in colours and in its own ones, on several
grounds; main components of these latents are its features. Those of its own colours count only where no other is asked.
A background has one cell for 2 x 2 of the picture's, whose features say what it shows and what its mirror image does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from autoencoder import encode, faithful, load_autoencoder
from banks import backdrop, backgrounds
from common import load, save
from diffusers import AutoencoderKL
from draw import BORROWED, natural_colour, thing
from layout import LARGE, SMALL, UNIT
from PIL import Image
from roles import BEHIND, BEHIND_GRID, COLOURED, OWN
from torch.nn import functional
from words import COLOURS, nouns

GROUNDS = ((128, 128, 128), (255, 255, 255), (0, 0, 0))
TINTS = ("gray", "red", "green", "blue")
INSIDE = 4  # latents in a cell's side times two: 4 x 4 for a background's


def things() -> dict[str, int]:
    """noun -> row."""
    return {key: row for row, key in enumerate(nouns())}


def is_natural(noun: str, colour: str | None) -> bool:
    """Whether the noun is drawn as the font has it: no colour is asked, or the one it has anyway."""
    return colour is None or (noun not in BORROWED and colour == natural_colour(nouns()[noun].glyph))


@dataclass(frozen=True)
class Tables:
    """Features: things (nouns, cells, COLOURED + OWN), cells of the large size first; backgrounds (names, cells,
    BEHIND). `decode` (2, 2, 2, BEHIND + 1, 64): mirrored, lower, right -> how a cell's latent follows from them, the
    last row a constant."""

    things: torch.Tensor
    backgrounds: torch.Tensor
    decode: torch.Tensor


def main_components(rows: torch.Tensor, count: int) -> torch.Tensor:
    """(n, numbers) -> (n, count), somewhat whitened, deviation 1 on average."""
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    made = rows @ vectors[:, -count:].flip(-1)
    made = made / made.std(0).clamp(min=1e-6).sqrt()
    return made / made.std()


def _alone(picture: Image.Image, side: int, ground: tuple[int, int, int]) -> np.ndarray:
    """With a margin of two cells."""
    pixels = side * UNIT
    canvas = Image.new("RGB", (pixels + 4 * UNIT,) * 2, ground)
    picture = picture.resize((pixels, pixels), Image.Resampling.BOX if pixels < 64 else Image.Resampling.BILINEAR)
    canvas.paste(picture, (2 * UNIT, 2 * UNIT), picture)
    return np.asarray(canvas)


def _seen(autoencoder: AutoencoderKL, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of all things by cells: (nouns, cells, numbers) in tints and on grounds, (nouns, cells, 64) of what their
    own colours change."""

    def latents(colour: str | None, ground: tuple[int, int, int]) -> torch.Tensor:
        drawn = np.stack([_alone(thing(key, colour), side, ground) for key in nouns()])
        empty = encode(autoencoder, np.full_like(drawn[:1], ground[0]))
        made = torch.from_numpy(encode(autoencoder, drawn) - empty).float()[:, :, 4:-4, 4:-4]
        return functional.pixel_unshuffle(made, 2).flatten(2).transpose(1, 2)

    tinted = [latents(tint, GROUNDS[0]) for tint in TINTS]
    grounded = [latents(TINTS[0], ground) for ground in GROUNDS[1:]]
    return torch.cat([*tinted, *grounded], -1), latents(None, GROUNDS[0]) - tinted[0]


def thing_features(autoencoder: AutoencoderKL) -> torch.Tensor:
    """See Tables."""
    made = [_seen(autoencoder, side) for side in (LARGE, SMALL)]
    tinted, own = (torch.cat(parts, 1) for parts in zip(*made, strict=True))
    shape = tinted.shape[:2]
    parts = [main_components(rows.flatten(0, 1), count) for rows, count in ((tinted, COLOURED), (own, OWN))]
    return torch.cat(parts, -1).view(*shape, -1)


def by_cells(latents: torch.Tensor, side: int) -> torch.Tensor:
    """(n, 16, h, w) -> (n, cells, 16 * side * side), rows of cells after each other."""
    return functional.pixel_unshuffle(latents, side).flatten(2).transpose(1, 2)


def background_features(autoencoder: AutoencoderKL) -> tuple[torch.Tensor, torch.Tensor]:
    """Backgrounds and their decoding, see Tables."""
    drawn = np.stack([np.asarray(backdrop(name, 2 * BEHIND_GRID * UNIT)) for name in backgrounds()])
    plain, turned = (
        torch.from_numpy(faithful(autoencoder, encode(autoencoder, np.ascontiguousarray(pictures)))).float()
        for pictures in (drawn, drawn[:, :, ::-1])
    )
    turned = turned.flip(-1)
    both = torch.cat([plain, turned], 1)
    grid = by_cells(both, INSIDE)
    middle = grid.flatten(0, 1).mean(0)
    features = main_components((grid - middle).flatten(0, 1), BEHIND)
    known = torch.cat([features, torch.ones(len(features), 1)], 1)
    decode = torch.zeros(2, 2, 2, BEHIND + 1, 64)
    for mirrored, latents in enumerate((plain, turned)):
        # `turned` lies where the picture has it before mirroring, so its columns within a cell are the wrong way round
        cells = by_cells(latents, 2).view(len(plain), 2 * BEHIND_GRID, 2 * BEHIND_GRID, 16, 2, 2)
        if mirrored:
            cells = cells.flip(-1)
        for line in range(2):
            for column in range(2):
                wanted = cells[:, line::2, column::2].reshape(len(known), 64)
                decode[mirrored, line, column] = torch.linalg.lstsq(known, wanted).solution
    return features.view(len(plain), -1, BEHIND), decode


def load_tables(folder: Path) -> Tables:
    """From `folder`/tables.pt, which is made where it is missing (some minutes)."""
    path = folder / "tables.pt"
    state = load(path)
    if state is None:
        autoencoder = load_autoencoder(folder)
        behind, decode = background_features(autoencoder)
        state = {"things": thing_features(autoencoder), "backgrounds": behind, "decode": decode}
        save(path, state)
    return Tables(**state)


def colour_code(colour: str | None) -> list[float]:
    """Four numbers of an asked colour."""
    return [0.0] * 4 if colour is None else [*(part / 127.5 - 1 for part in COLOURS[colour][0]), 1.0]
