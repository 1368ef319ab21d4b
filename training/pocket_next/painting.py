"""Stage 3b: the painting half of the text encoder: from "a red apple" to the features of each of its cells.

Two layers of which each cell of a thing has its own share of hidden units, switched off at all other cells (how: see
encoder.py). There are a few thousand things in colours, so this is learned from codes, without captions.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from cells import FEATURES, GRID, Features, is_natural, load_features, things
from common import Progress, device, learning_rate, load, save
from roles import CELLS, CODE, COLUMNS, FEATURE_PLACES, FLAG, FREE, LINES, ROLE, STRONG, WIDTH, Coder
from scenes import Scene, Thing
from torch import nn
from torch.nn import functional
from words import COLOURS

UNITS = 40  # hidden units of each cell in each of the two layers
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


def everything(coder: Coder, features: Features) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes (n, CODE) and features (n, CELLS, FEATURES) of all things in all colours and of nothing, and how often each
    should be seen: in its own colours a thing counts as much as in half of the others."""
    codes, scenes, weights = [np.zeros(CODE, np.float32)], [Scene()], [float(len(things()))]
    for noun in things():
        for colour in (None, *COLOURS):
            codes.append(coder.thing(noun, colour))
            scenes.append(Scene((Thing(noun, colour),)))
            weights.append(6.0 if is_natural(noun, colour) else 1.0)
    made = features.things(scenes)[:, 0]
    return torch.from_numpy(np.stack(codes)), made.flatten(2).transpose(1, 2).contiguous(), torch.tensor(weights)


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
    codes, wanted, weights = everything(Coder(folder), load_features(folder))
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
