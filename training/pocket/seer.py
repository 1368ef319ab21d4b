"""A small classifier of scenes: what is in the picture? Its features say how far generated pictures are from real ones.

It learns from freshly drawn scenes in a few minutes, once; nothing of the model under test goes into it.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from common import load, save
from drawing import draw_scene, numbered
from PIL import Image
from torch import nn
from torch.nn import functional
from words import COLOURS, nouns

SIDE = 64  # pixels at which it looks
WIDTHS = (24, 48, 96, 128)


class Seer(nn.Module):
    """(b, 3, SIDE, SIDE) in 0..1 -> features (b, 128), and from them noun and colour of the first thing."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.noun = nn.Linear(WIDTHS[-1], len(nouns()))
        self.colour = nn.Linear(WIDTHS[-1], len(COLOURS) + 1)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.body(pictures - 0.5).amax((2, 3))


def seen(pictures: list[Image.Image]) -> torch.Tensor:
    """Pictures of any shape as what the seer looks at."""
    small = [np.asarray(one.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255


def _lessons(count: int, first: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    keys, colours = list(nouns()), [None, *COLOURS]
    pictures, said, coloured = [], [], []
    number = first
    while len(pictures) < count:
        scene, numbers = numbered(number)
        number += 1
        if scene.things:
            pictures.append(draw_scene(scene, numbers, 256, 256, random.Random(number)))
            said.append(keys.index(scene.things[0].noun))
            coloured.append(colours.index(scene.things[0].colour))
    return seen(pictures), torch.tensor(said), torch.tensor(coloured)


def load_seer(path: Path, scenes: int, epochs: int = 12, batch: int = 32) -> Seer:
    """From `path`; made there, from so many scenes, when it is missing."""
    torch.manual_seed(0)
    seer = Seer()
    state = load(path)
    if state is None:
        pictures, said, coloured = _lessons(scenes, 700_000_000)
        optimizer = torch.optim.AdamW(seer.parameters(), lr=2e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(pictures)).split(batch):
                seen_now = pictures[rows]
                if torch.rand(()) < 0.5:
                    seen_now = seen_now.flip(-1)
                made = seer.features(seen_now)
                loss = functional.cross_entropy(seer.noun(made), said[rows])
                loss = loss + functional.cross_entropy(seer.colour(made), coloured[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        save(path, seer.state_dict())
    else:
        seer.load_state_dict(state)
    return seer.eval().requires_grad_(False)


@torch.no_grad()
def kernel_distance(seer: Seer, some: list[Image.Image], others: list[Image.Image]) -> float:
    """The squared distance of two sets of pictures under a cubic kernel of the features; above 0 for two real sets too,
    the more so the smaller they are."""
    a, b = seer.features(seen(some)).double(), seer.features(seen(others)).double()

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ((x @ y.T / x.shape[1] + 1) ** 3).mean()

    return float(kernel(a, a) + kernel(b, b) - 2 * kernel(a, b))
