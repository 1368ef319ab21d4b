"""Stage 4b: the painting half of the text encoder, which turns the code into 64 parts of the picture.

First the composer, one wide MLP for the whole picture, which works out what things in colours on backgrounds look like;
it is the rest of the reader's last MLP. Then two layers that paint: each layout position has its own share of each
layer's hidden units, switched off at all others (text.py says how). So training is some matrix products instead of a
transformer, a thousand scenes a second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cache import CAPTIONS, Scenes
from codes import CELLS, FEATURES, FIRST_FEATURE, FLAG, FREE, STRONG, WIDTH
from common import Preset, Progress, batches, device, learning_rate, load, save_now_and_then, share_gradients, team
from features import Features
from reader import INNER, Reader, look_at_all
from torch import nn
from torch.nn import functional

FEATURE_PLACES = slice(FIRST_FEATURE, FIRST_FEATURE + FEATURES)


class PaintingLayer(nn.Module):
    """Layer norm and MLP of a transformer layer, each position with its own hidden units; adds to the features."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.down = nn.Parameter(torch.randn(CELLS, WIDTH, units) / WIDTH**0.5)
        self.bias = nn.Parameter(torch.zeros(CELLS, 1, units))
        self.up = nn.Parameter(0.02 * torch.randn(CELLS, units, FEATURES))
        self.out = nn.Parameter(torch.zeros(FEATURES))
        with torch.no_grad():
            self.down[:, FREE:FIRST_FEATURE] = 0

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """(CELLS, b, WIDTH) -> the same."""
        z = torch.baddbmm(self.bias, self.norm(h), self.down)
        added = torch.bmm(z * torch.sigmoid(1.702 * z), self.up) + self.out
        return h + functional.pad(added, (FIRST_FEATURE, WIDTH - FEATURE_PLACES.stop))


def composer_units(units: int) -> int:
    """What the reader and `_write_means` (text.py) leave of an MLP of CELLS * units."""
    return max(8, CELLS * units - INNER - 2 * CELLS)


class Composer(nn.Module):
    """What the reader looked at, (b, WIDTH), -> what to add to what it read, (b, FREE)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, units), nn.Linear(units, FREE, bias=False)
        nn.init.normal_(self.down.weight, 0, 0.01)

    def forward(self, whole: torch.Tensor) -> torch.Tensor:
        """See the class."""
        z = self.up(self.norm(whole))
        return self.down(z * torch.sigmoid(1.702 * z))


class Painter(nn.Module):
    """A composed code (b, FREE) -> the features of every cell, (b, CELLS, FEATURES)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.composer = Composer(composer_units(units))
        self.layers = nn.ModuleList(PaintingLayer(units) for _ in range(2))
        self.mean = nn.Parameter(torch.zeros(CELLS, FEATURES))  # where the features start from

    def compose(self, reader: Reader, look: torch.Tensor) -> torch.Tensor:
        """What the reader looked at (b, FREE) -> the composed code (b, FREE)."""
        with torch.no_grad():
            read = reader.finish(look)
        return read + self.composer(reader.whole(look))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """See the class."""
        b = len(code)
        cells = STRONG * torch.eye(CELLS, device=code.device)[:, None].expand(-1, b, -1)
        flag = torch.full((CELLS, b, FIRST_FEATURE - FLAG), STRONG, device=code.device)
        mean = self.mean[:, None].expand(-1, b, -1)
        rest = torch.zeros(CELLS, b, WIDTH - FEATURE_PLACES.stop, device=code.device)
        h = torch.cat([code.expand(CELLS, -1, -1), cells, flag, mean, rest], -1)
        for layer in self.layers:
            h = layer(h)
        return h[..., FEATURE_PLACES].transpose(0, 1)


def load_painter(preset: Preset, folder: Path) -> Painter:
    """The painter of the latest checkpoint."""
    painter = Painter(preset.painter_units)
    state = load(folder / "painter.pt")
    if state is not None:
        painter.load_state_dict(state["model"])
    return painter.eval().requires_grad_(False)


@torch.no_grad()
def wanted_features(scenes: Scenes, features: Features, rows: np.ndarray) -> torch.Tensor:
    """(rows, CELLS, FEATURES) float16."""
    made = [
        features.encoder(torch.from_numpy(scenes.latents[part].astype(np.float32))).half()
        for part in np.array_split(rows, max(1, len(rows) // 500))
    ]
    return torch.cat(made).permute(0, 2, 3, 1).reshape(-1, CELLS, FEATURES)


def train_painter(preset: Preset, folder: Path, seed: int, scenes: Scenes, reader: Reader, features: Features) -> None:
    """Train (or finish) the painter on what the reader makes of captions; `folder`/painter.pt is its checkpoint.

    Each member of a team reads and paints its own share of the scenes.
    """
    state = load(folder / "painter.pt") or {"step": 0}
    if state["step"] >= preset.painter_steps:
        return
    where, (rank, size) = device(), team()
    torch.manual_seed(seed)
    painter = Painter(preset.painter_units)
    mine = np.arange(rank, len(scenes), size)
    wanted = wanted_features(scenes, features, mine)
    if "model" in state:
        painter.load_state_dict(state["model"])
    else:
        painter.mean.data.copy_(wanted_features(scenes, features, np.arange(min(4000, len(scenes)))).float().mean(0))
    painter.to(where)
    looks = look_at_all(reader.to(where), scenes, mine)
    optimizer = torch.optim.AdamW(painter.parameters(), lr=2e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    share = max(1, preset.painter_batch // size)
    order = batches(len(mine), share, seed, state["step"])
    progress = Progress("painter", preset.painter_steps, preset.painter_batch, state["step"])
    parameters = list(painter.parameters())
    yardstick = features.yardstick().to(where)
    for step in range(state["step"], preset.painter_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.painter_steps, 2e-3, warm=60)
        rows = torch.from_numpy(next(order))
        wordings = torch.from_numpy(np.random.default_rng((seed, step, rank)).integers(CAPTIONS, size=len(rows)))
        made = painter(painter.compose(reader, looks[rows, wordings].float().to(where)))
        loss = ((made - wanted[rows].float().to(where)) @ yardstick).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
        save_now_and_then(folder / "painter.pt", step + 1, preset.painter_steps, painter, optimizer)
