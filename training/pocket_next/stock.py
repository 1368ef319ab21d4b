"""Drawn scenes on disk, as latents of the shipped autoencoder. A scene follows from its number alone.

A shard holds SHARD latents of one shape, (n, 16, height / 8, width / 8) float16, and is named by its first number.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import torch
from common import Progress, device
from diffusers import AutoencoderKL
from drawing import draw_scene, numbered, shape_of

SHARD = 64
SHIPPED = Path(__file__).parents[2] / "models" / "pocket" / "vae"
LATENTS = 16  # of the shipped autoencoder's channels, those that show pictures
HELD_BACK = 900_000_000  # scenes from here on are for measuring


def load_autoencoder(folder: Path = SHIPPED) -> AutoencoderKL:
    """An f8 autoencoder with 16 latent channels, to look with."""
    loaded = narrowed(AutoencoderKL.from_pretrained(folder))
    return loaded.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def narrowed(wide: AutoencoderKL) -> AutoencoderKL:
    """The same autoencoder without the latent channels that show nothing: what `bundle.widened` began with."""
    channels = wide.config.latent_channels
    if channels == LATENTS:
        return wide
    plain = AutoencoderKL.from_config({**wide.config, "latent_channels": LATENTS, "scaling_factor": 1.0})
    halves = torch.cat([torch.arange(LATENTS), channels + torch.arange(LATENTS)])  # means, then logarithms
    known, kept = wide.state_dict(), plain.state_dict()
    for name, value in kept.items():
        full = known[name]
        if full.shape != value.shape and name.startswith(("encoder.conv_out", "quant_conv")):
            full = full[halves]
        elif full.shape != value.shape and name.startswith("post_quant_conv"):
            full = full[:LATENTS]
        if full.shape != value.shape:  # what is read is channels, too
            full = full[:, halves] if name.startswith("quant_conv") else full[:, :LATENTS]
        value.copy_(full)
    plain.load_state_dict(kept)
    return plain


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """(n, height, width, 3) bytes -> (n, 3, height, width) in -1..1."""
    return torch.tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def encode(autoencoder: AutoencoderKL, pixels: np.ndarray, batch: int = 8) -> np.ndarray:
    """(n, height, width, 3) bytes -> (n, 16, height / 8, width / 8) float16."""
    where = next(autoencoder.parameters()).device
    made = []
    for start in range(0, len(pixels), batch):
        part = as_tensor(pixels[start : start + batch]).to(where, memory_format=torch.channels_last)
        with torch.autocast(where.type, torch.bfloat16):
            made.append(autoencoder.encode(part).latent_dist.mean.half().cpu())
    return torch.cat(made).numpy()


def draw(number: int) -> np.ndarray:
    """Scene `number` as bytes."""
    scene, numbers = numbered(number)
    return np.asarray(draw_scene(scene, numbers, *shape_of(number), random.Random(number)))


def fill_stock(folder: Path, scenes: int, first: int = 0) -> None:
    """Draw and encode the shards that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    autoencoder = load_autoencoder().to(device())
    starts = [start for start in range(first, first + scenes, SHARD) if not (folder / f"{start}.npy").exists()]
    progress = Progress("scenes", len(starts), SHARD)
    for done, start in enumerate(starts):
        latents = encode(autoencoder, np.stack([draw(number) for number in range(start, start + SHARD)]))
        temporary = folder / f"{start}.{os.getpid()}.part"
        with temporary.open("wb") as stream:
            np.save(stream, latents)
        os.replace(temporary, folder / f"{start}.npy")
        progress.tell(done + 1, {})


class Stock:
    """The shards found on disk, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npy"), key=lambda path: int(path.stem))
        self.shards = [np.load(path, mmap_mode="r") for path in self.paths]

    def some(self, rng: np.random.Generator, count: int) -> tuple[list[int], torch.Tensor]:
        """`count` scenes of one shape, their numbers and latents."""
        kept = int(rng.integers(len(self.shards)))
        rows = rng.choice(SHARD, size=count, replace=False)
        first = int(self.paths[kept].stem)
        return [first + int(row) for row in rows], torch.from_numpy(self.shards[kept][rows]).float()
