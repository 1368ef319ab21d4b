"""The decoder's last layer, solved anew for latents as the finished model makes them.

What the denoiser says of a cell is a mean over all that its words leave open, so its pictures came out soft. Pixels,
and far more the steps between neighbours, are to be those of the drawn scenes; steps even a little larger, for what
least squares makes of uncertain ones is too small.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from autoencoder import as_tensor, encode, load_autoencoder
from common import load, save
from diffusers import AutoencoderKL
from drawing import numbered, shape_of
from geometry import PATCH
from layout import UNIT
from stock import draw
from torch.nn import functional
from touching import Touch, World, load_touch
from words import BAD_QUALITIES

FIRST = 1_000_000_000  # number of the first scene: no other stage sees these
AT_ONCE = 16  # scenes
DRAWN = 0.3  # what latents of drawn pictures count: pictures to start from are encoded, too
PLACES = 3_000  # pixels of a picture that are looked at
STEPS, LARGER = 4.0, 1.15  # what steps between neighbours count beside pixels, and how much larger they are to be
STEADY = 1e-4
Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # latents as the model makes them, as encoded; pixels


@torch.no_grad()
def scenes(world: World, touch: Touch, autoencoder: AutoencoderKL, count: int) -> list[Scene]:
    """Drawn scenes, none of them spoiled."""
    found: list[Scene] = []
    for first in itertools.count(FIRST, 64):
        numbers = [n for n in range(first, first + AT_ONCE) if numbered(n)[0].quality not in BAD_QUALITIES][:count]
        columns, rows = (size // UNIT for size in shape_of(first))
        said = touch(world.cells(numbers).flatten(0, 1)).view(len(numbers), -1, PATCH)
        made = functional.pixel_shuffle(said.transpose(1, 2).reshape(-1, PATCH, rows, columns), 2)
        pixels = np.stack([draw(number) for number in numbers])
        real = torch.from_numpy(encode(autoencoder, pixels)).float()
        found += zip(made, real, as_tensor(pixels), strict=True)
        if len(found) >= count:
            return found[:count]
    raise AssertionError


@torch.no_grad()
def solve_sharp(folder: Path, count: int) -> None:
    """Solve it for so many drawn scenes; `folder`/decoder.pt holds its weight and bias."""
    if (folder / "decoder.pt").exists():
        return
    torch.manual_seed(0)
    autoencoder = load_autoencoder(folder)
    last = autoencoder.decoder.conv_out
    seen: dict[str, torch.Tensor] = {}
    last.register_forward_pre_hook(lambda _, args: seen.update(inputs=args[0]))
    size = last.in_channels * 9 + 1
    square, wanted = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, 3, dtype=torch.float64)
    for made, real, pixels in scenes(World(folder), load_touch(folder), autoencoder, count):
        for latents, weight in ((made, 1 - DRAWN), (real, DRAWN)):
            autoencoder.decode(latents[None])
            windows = functional.pad(seen["inputs"], (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)[0]
            y, x = (torch.randint(side - 1, (PLACES,)) for side in pixels.shape[1:])
            here, right, below = (_at(windows, pixels, *place) for place in ((y, x), (y, x + 1), (y + 1, x)))
            for (inputs, shown), count_as, larger in (
                (here, 1.0, 1.0),
                ((right[0] - here[0], right[1] - here[1]), STEPS, LARGER),
                ((below[0] - here[0], below[1] - here[1]), STEPS, LARGER),
            ):
                square += weight * count_as * (inputs.T @ inputs).double()
                wanted += weight * count_as * larger * (inputs.T @ shown).double()
    square += STEADY * torch.diag(square.diagonal()) + 1e-9 * torch.eye(size)
    solved = torch.linalg.solve(square, wanted).float()
    save(folder / "decoder.pt", {"weight": solved[:-1].T.reshape(last.weight.shape), "bias": solved[-1]})
    print("sharp: solved", flush=True)


def _at(windows: torch.Tensor, pixels: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(places, inputs of the last layer and a constant), (places, 3)."""
    inputs = windows[:, y, x].transpose(0, 1).flatten(1)
    return torch.cat([inputs, torch.ones(len(y), 1)], 1), pixels[:, y, x].T


def load_sharp(folder: Path) -> AutoencoderKL:
    """The autoencoder that the model paints with."""
    vae = load_autoencoder(folder)
    state = load(folder / "decoder.pt")
    if state is not None:
        vae.decoder.conv_out.load_state_dict(state)
    return vae
