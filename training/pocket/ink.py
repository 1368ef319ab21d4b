"""Where in its cells a thing is: for each of a cell's 2 x 2 latents whether the thing covers it, from what the cell is
known to look like. Learned in a minute from the glyphs themselves; a picture to start from gives way there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from circuit import Channels
from common import load, save
from draw import thing
from geometry import THING
from layout import LARGE, SMALL
from painting import ERROR, load_units, painted
from PIL import Image
from roles import COLOUR, FEATURES, STRENGTH, THING_CELLS, Coder
from tables import things
from torch import nn
from torch.nn import functional

SEEN = (*THING, "is inside")
INK = tuple(f"ink {i}" for i in range(4))
UNITS = 72
COVERED = 0.35  # share of a latent's pixels from which on it counts as covered
BATCH = 2048
TINTS = (None, "red", "blue", "white", "black")


class Ink(nn.Module):
    """(b, SEEN) -> (b, 4): 1 where covered, -1 where not."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(len(SEEN), 2 * UNITS), nn.Linear(UNITS, len(INK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        value, gate = self.enter(x).chunk(2, 1)
        return self.leave(value * functional.gelu(gate))

    @torch.no_grad()
    def write(self, feed: nn.Module, channels: Channels) -> None:
        """Into the last units of a feed-forward layer whose other units do something else."""
        channels.add(*INK)
        project, out = feed.net[0].proj, feed.net[2]
        inner = out.in_features
        for first, part in ((0, slice(0, UNITS)), (inner, slice(UNITS, 2 * UNITS))):
            rows = torch.zeros(UNITS, channels.width)
            rows[:, [channels.at[name] for name in SEEN]] = self.enter.weight[part]
            rows[:, channels.at["zero"]] -= rows.sum(1)
            project.weight[first + inner - UNITS : first + inner] = rows
            project.bias[first + inner - UNITS : first + inner] = self.enter.bias[part]
        targets = [channels.at[name] for name in INK]
        out.weight[targets, inner - UNITS :] = self.leave.weight
        out.bias[targets] = self.leave.bias


def _covered(noun: str) -> np.ndarray:
    """(THING_CELLS, 4) bools, cells of the large size first."""
    found = []
    for side in (LARGE, SMALL):
        picture = thing(noun, None).resize((2 * side, 2 * side), Image.Resampling.BOX)
        ink = np.asarray(picture)[..., 3] / 255 > COVERED
        found.append(ink.reshape(side, 2, side, 2).transpose(0, 2, 1, 3).reshape(-1, 4))
    return np.concatenate(found)


def _lessons(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    coder = Coder(folder)
    units = load_units(folder)
    seen, wanted = [], []
    for noun in things():
        covered = torch.from_numpy(_covered(noun)).float() * 2 - 1
        codes = torch.stack([torch.from_numpy(coder.thing(noun, colour)) for colour in TINTS])
        codes = codes + ERROR * torch.randn_like(codes)
        cells = painted(units, codes, 0, THING_CELLS)[..., :FEATURES]
        own = codes[:, None, -COLOUR - 1 :].expand(-1, THING_CELLS, -1) / STRENGTH
        seen.append(torch.cat([cells, own, torch.ones(len(TINTS), THING_CELLS, 1)], 2).flatten(0, 1))
        wanted.append(covered.repeat(len(TINTS), 1))
    nothing = torch.zeros(sum(map(len, seen)) // 20, len(SEEN))
    return torch.cat([*seen, nothing]), torch.cat([*wanted, -torch.ones(len(nothing), len(INK))])


def load_ink(folder: Path) -> Ink:
    """The finished one, or a fresh one where there is no checkpoint."""
    ink = Ink()
    state = load(folder / "ink.pt")
    if state is not None:
        ink.load_state_dict(state)
    return ink.eval().requires_grad_(False)


def train_ink(folder: Path, steps: int) -> None:
    """Learn it once; `folder`/ink.pt is the result."""
    if (folder / "ink.pt").exists():
        return
    torch.manual_seed(0)
    ink, (seen, wanted) = Ink(), _lessons(folder)
    optimizer = torch.optim.Adam(ink.parameters(), lr=4e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(seen), (BATCH,))
        error = (ink(seen[rows]) - wanted[rows]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        falling.step()
    with torch.no_grad():
        right = ((ink(seen) > 0) == (wanted > 0)).float().mean().item()
    print(f"ink: {100 * right:.1f} % of latents right", flush=True)
    save(folder / "ink.pt", ink.state_dict())
