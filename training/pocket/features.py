"""Stage 3: a linear way from the denoiser's 8x8 grid up to the latent, and what to put on the grid for it.

The denoiser cannot learn within hours of CPU time to copy a picture from its text. So it is built to: its last
upsampling convolution and 1x1 shortcuts start as this decoder (unet_start.py), and the text encoder writes the
features this encoder makes (painter.py). A patch of 2x2x16 latent numbers would not do: nearest-neighbour upsampling
with 3x3 convolutions cannot place four pixels by itself, but it nearly can from features that know their
neighbourhood.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cache import Scenes
from codes import FEATURES
from common import LATENT_CHANNELS, Preset, Progress, batches, device, learning_rate, load, save
from torch import nn
from torch.nn import functional

SIGNALS = 48  # channels before the last convolution
CONTENT_NOISE = 0.04  # keeps the features from hiding the picture in tiny numbers


class Features(nn.Module):
    """latent (b, 16, 16, 16) -> features (b, FEATURES, 8, 8) -> latent, all of it linear."""

    mean: torch.Tensor
    deviation: torch.Tensor
    signal: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(LATENT_CHANNELS, FEATURES, 6, stride=2, padding=2)
        self.up = nn.Conv2d(FEATURES, SIGNALS, 3, padding=1)
        self.last = nn.Conv2d(SIGNALS, LATENT_CHANNELS, 3, padding=1)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.register_buffer("signal", torch.ones(SIGNALS))  # deviation of each channel before the last convolution

    def signals(self, features: torch.Tensor) -> torch.Tensor:
        """(b, FEATURES, 8, 8) -> (b, SIGNALS, 16, 16), upsampled as the denoiser does it."""
        return self.up(functional.interpolate(features, scale_factor=2.0, mode="nearest"))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features back to the latent."""
        return self.last(self.signals(features))

    @torch.no_grad()
    def measure(self, latents: torch.Tensor) -> None:
        """Set mean, deviation and signal from latents (n, 16, 16, 16)."""
        features = torch.cat([self.encoder(part) for part in latents.split(250)])
        self.mean.copy_(features.mean((0, 2, 3)))
        self.deviation.copy_(features.std((0, 2, 3)))
        signals = torch.cat([self.signals(part) for part in features[:1000].split(250)])
        self.signal.copy_(signals.std((0, 2, 3)))


def load_features(folder: Path) -> Features:
    """The finished ones, or fresh ones where there is no checkpoint."""
    features = Features()
    state = load(folder / "features.pt")
    if state is not None:
        features.load_state_dict(state["model"])
    return features.eval().requires_grad_(False)


def train_features(preset: Preset, folder: Path, seed: int, scenes: Scenes) -> None:
    """Fit encoder and decoder together; `folder`/features.pt is the result. It takes minutes."""
    if (folder / "features.pt").exists():
        return
    torch.manual_seed(seed)
    where = device()
    model = Features().to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    order = batches(len(scenes), 32, seed)
    progress = Progress("features", preset.feature_steps, 32)
    for step in range(preset.feature_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.feature_steps, 3e-3)
        latents = torch.from_numpy(scenes.latents[next(order)].astype(np.float32)).to(where)
        made = model.encoder(latents)
        back = model(made + CONTENT_NOISE * torch.randn_like(made))
        loss = functional.mse_loss(back, latents) + 0.01 * (made.square().mean() - 1).abs()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
    model = model.cpu()
    model.measure(torch.from_numpy(scenes.latents[:8000].astype(np.float32)))
    save(folder / "features.pt", {"model": model.state_dict()})
