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
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

SIGNALS = 48  # channels before the last convolution
CONTENT_NOISE = 0.04  # keeps the features from hiding the picture in tiny numbers


class Features(nn.Module):
    """latent (b, 16, 16, 16) -> features (b, FEATURES, 8, 8) -> latent, all of it linear."""

    weights: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    signal: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(LATENT_CHANNELS, FEATURES, 6, stride=2, padding=2)
        self.up = nn.Conv2d(FEATURES, SIGNALS, 3, padding=1)
        self.last = nn.Conv2d(SIGNALS, LATENT_CHANNELS, 3, padding=1)
        self.register_buffer("weights", torch.ones(LATENT_CHANNELS))  # how much each channel counts in the picture
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
    def yardstick(self) -> torch.Tensor:
        """(FEATURES, FEATURES): errors of one cell's features times this are as long as what they do to the picture."""
        empty = torch.zeros(FEATURES, FEATURES, 8, 8)
        one = empty.clone()
        one[torch.arange(FEATURES), torch.arange(FEATURES), 4, 4] = 1
        change = (self(one) - self(empty)) * self.weights.sqrt()[:, None, None]
        gram = change.flatten(1) @ change.flatten(1).T
        gram = gram / gram.diagonal().mean() + 0.05 * torch.eye(FEATURES)  # none is free: the denoiser sees them too
        values, vectors = torch.linalg.eigh(gram)
        return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T

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


@torch.no_grad()
def channel_weights(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """How much the decoded picture changes with each latent channel: (LATENT_CHANNELS,) of mean 1.

    A few channels carry colour and shape, the others grain; errors in these are seen ten times less.
    """
    pictures = vae.decode(latents).sample
    change = []
    for channel in range(LATENT_CHANNELS):
        other = latents.clone()
        other[:, channel] += 0.15 * torch.randn_like(other[:, channel])
        change.append((vae.decode(other).sample - pictures).square().mean())
    weights = torch.stack(change)
    return weights / weights.mean()


def train_features(preset: Preset, folder: Path, seed: int, scenes: Scenes, vae: AutoencoderKL) -> None:
    """Fit encoder and decoder together; `folder`/features.pt is the result. It takes minutes."""
    if (folder / "features.pt").exists():
        return
    torch.manual_seed(seed)
    where = device()
    model = Features()
    model.weights.copy_(channel_weights(vae.cpu(), torch.from_numpy(scenes.latents[:24].astype(np.float32))))
    model.to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    order = batches(len(scenes), 32, seed)
    progress = Progress("features", preset.feature_steps, 32)
    for step in range(preset.feature_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.feature_steps, 3e-3)
        latents = torch.from_numpy(scenes.latents[next(order)].astype(np.float32)).to(where)
        made = model.encoder(latents)
        back = model(made + CONTENT_NOISE * torch.randn_like(made))
        error = (back - latents).square() * model.weights[:, None, None]
        loss = error.mean() + 0.01 * (made.square().mean() - 1).abs()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
    model = model.cpu()
    model.measure(torch.from_numpy(scenes.latents[:8000].astype(np.float32)))
    save(folder / "features.pt", {"model": model.state_dict()})
