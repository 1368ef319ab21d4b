"""Stage 3b: the painting half of the text encoder: from "a red apple" to the features of each of its cells.

Two layers of which each cell of a grid has its own share of hidden units, switched off at all other cells (how: see
encoder.py). Things and backgrounds share them: a cell does not know which grid it is in. There are a few thousand
things in colours and backgrounds in all, so this is learned from codes, without captions, in minutes.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from banks import backgrounds, is_natural, things
from cells import Features, colour_code, load_features
from common import Progress, device, learning_rate, load, save
from compose import GRID
from roles import CODE, COLUMNS, FEATURE_PLACES, FEATURES, FLAG, FREE, LINES, ROLE, STRONG, WIDTH, Coder
from torch import nn
from torch.nn import functional
from words import COLOURS

CELLS = GRID * GRID
UNITS = 44  # hidden units of each cell in each of the two layers
ERROR = 0.06  # of the reader, in training


class PaintingLayer(nn.Module):
    """Layer norm and MLP of a transformer layer, each cell with its own hidden units; adds to the features."""

    seen: torch.Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.down = nn.Parameter(torch.randn(CELLS, WIDTH, units) / WIDTH**0.5)
        self.bias = nn.Parameter(torch.zeros(CELLS, 1, units))
        self.up = nn.Parameter(0.02 * torch.randn(CELLS, units, FEATURES))
        seen = torch.zeros(WIDTH)
        seen[:FREE] = seen[FEATURE_PLACES] = 1
        self.register_buffer("seen", seen[:, None])

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """(CELLS, b, WIDTH) -> the same."""
        z = torch.baddbmm(self.bias, self.norm(h), self.down * self.seen)
        added = torch.bmm(z * torch.sigmoid(1.702 * z), self.up)
        return h + functional.pad(added, (FEATURE_PLACES.start, WIDTH - FEATURE_PLACES.stop))


class Painter(nn.Module):
    """What stands in the FREE dimensions (b, FREE) -> the features of every cell, (b, CELLS, FEATURES)."""

    def __init__(self, units: int = UNITS) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PaintingLayer(units) for _ in range(2))

    def forward(self, free: torch.Tensor, role: int = 0) -> torch.Tensor:
        """See the class."""
        h = torch.zeros(CELLS, len(free), WIDTH, device=free.device)
        h[..., :FREE] = free
        cells = torch.arange(CELLS)
        h[cells, :, LINES.start + cells // GRID] = STRONG
        h[cells, :, COLUMNS.start + cells % GRID] = STRONG
        h[..., FLAG] = h[..., ROLE.start + role] = STRONG
        for layer in self.layers:
            h = layer(h)
        return h[..., FEATURE_PLACES].transpose(0, 1)


def everything(coder: Coder, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (n, CODE) and features (n, CELLS, FEATURES) of all things in all colours, all backgrounds, and nothing."""
    codes, rows, own, said = [], [], [], []
    for noun, row in things().items():
        for colour in (None, *COLOURS):
            natural = is_natural(noun, colour)
            codes.append(coder.thing(noun, colour))
            rows.append(row)
            own.append(natural)
            said.append(colour_code(None if natural else colour))
    codes += [coder.background(name) for name in backgrounds()]
    made = torch.cat([features.thing(rows, own, said), features.background(list(backgrounds().values()))])
    return torch.from_numpy(np.stack(codes)), made.flatten(2).transpose(1, 2).contiguous()


def load_painter(folder: Path) -> Painter:
    """The painter of the latest checkpoint."""
    painter = Painter()
    state = load(folder / "painter.pt")
    if state is not None:
        painter.load_state_dict(state["model"])
    return painter.eval().requires_grad_(False)


def train_painter(folder: Path, steps: int, batch: int = 256) -> None:
    """Train (or finish) the painter; `folder`/painter.pt is its checkpoint.

    The reader's numbers beside the code are taken for noise of its size.
    """
    state = load(folder / "painter.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(0)
    painter = Painter()
    codes, wanted = everything(Coder(folder), load_features(folder))
    # every colour of a thing looks at the same outline: natural ones and backgrounds are seen as often as all colours
    weights = torch.ones(len(codes))
    weights[: 13 * len(things()) : 13] = 6
    weights[13 * len(things()) :] = 4
    where = device()
    painter.to(where)
    optimizer = torch.optim.AdamW(painter.parameters(), lr=3e-3, weight_decay=0.0, betas=(0.9, 0.98), fused=True)
    if "model" in state:
        painter.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    progress = Progress("painter", steps, batch, state["step"])
    saved = time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, 3e-3, warm=60)
        rows = torch.multinomial(weights, batch, generator=torch.Generator().manual_seed(step))
        free = torch.cat([codes[rows], torch.zeros(batch, FREE - CODE)], 1)
        free = free + ERROR * torch.randn_like(free)
        with torch.autocast(where.type, torch.bfloat16):
            made = painter(free.to(where))
        loss = (made.float() - wanted[rows].to(where)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            save(
                folder / "painter.pt",
                {"step": step + 1, "model": painter.state_dict(), "optimizer": optimizer.state_dict()},
            )
