"""Stage 1: the autoencoder, 128x128x3 pixels <-> 16x16x16 latents, trained on random crops of random scenes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from backgrounds import PAINTERS, blurred, plain, unspecified
from common import (
    LATENT_CHANNELS,
    SIDE,
    Preset,
    Progress,
    device,
    half,
    learning_rate,
    load,
    save_now_and_then,
    share_gradients,
    team,
)
from diffusers import AutoencoderKL
from draw import paste
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from vae_start import start_as_thumbnail
from words import COLOURS, nouns

CROP = 64
KL_WEIGHT = 2e-4  # per latent number; large enough that the decoder forgives a diffusion model's small errors


def new_vae(preset: Preset) -> AutoencoderKL:
    """An untrained f8 autoencoder with 16 latent channels and no attention, so that any size up to 512 is cheap."""
    levels = len(preset.vae_channels)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=preset.vae_channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,
        sample_size=SIDE,
        mid_block_add_attention=False,
        force_upcast=False,
    )
    start_as_thumbnail(vae)
    return vae


def random_picture(rng: random.Random) -> np.ndarray:
    """A picture of anything anywhere, for learning to see: (SIDE, SIDE, 3) bytes."""
    painter = rng.choice((None, None, *PAINTERS.values()))
    if painter is None:
        picture = plain(SIDE, rng.choice(list(COLOURS)), rng) if rng.random() < 0.7 else unspecified(SIDE, rng)
    else:
        picture = painter(SIDE, rng)
    keys = list(nouns())
    for _ in range(rng.choice((1, 1, 2, 4))):
        colour = rng.choice(list(COLOURS)) if rng.random() < 0.4 else None
        side = SIDE * rng.uniform(0.25, 0.85)
        centre = SIDE * rng.uniform(0.3, 0.7), SIDE * rng.uniform(0.3, 0.7)
        paste(picture, rng.choice(keys), colour, centre, side)
    if rng.random() < 0.1:
        picture = blurred(picture, rng.uniform(0.5, 3))
    return np.asarray(picture)


class Crops(IterableDataset):
    """Endless 64-pixel crops, four from each drawn picture, as float tensors in -1..1."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self):
        worker = get_worker_info()
        rng = random.Random(self.seed * 1000 + (worker.id if worker else 0))
        while True:
            pixels = random_picture(rng)
            for _ in range(4):
                y, x = rng.randint(0, SIDE - CROP), rng.randint(0, SIDE - CROP)
                crop = torch.from_numpy(pixels[y : y + CROP, x : x + CROP].copy())
                yield crop.permute(2, 0, 1).float() / 127.5 - 1


def picture_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Absolute error of the pixels plus that of their edges, so that outlines stay crisp."""
    error = made - real
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + 0.5 * edges + 0.5 * error.square().mean()


def train_vae(preset: Preset, folder: Path, seed: int, init: AutoencoderKL | None = None) -> AutoencoderKL:
    """Train (or finish, or load) the autoencoder; `folder`/vae.pt is its checkpoint."""
    where = device()
    vae = init or new_vae(preset)
    path = folder / "vae.pt"
    state = load(path) or {"step": 0}
    if "model" in state:
        vae.load_state_dict(state["model"])
    vae.to(where, memory_format=torch.channels_last)
    if state["step"] >= preset.vae_steps:
        return vae.eval()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3, weight_decay=1e-4, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    rank, size = team()
    crops = Crops(seed + state["step"] + 100_000 * rank)
    feed = iter(DataLoader(crops, preset.vae_batch // size, num_workers=max(1, preset.workers // size)))
    parameters = list(vae.parameters())
    progress = Progress("vae", preset.vae_steps, preset.vae_batch, state["step"])
    for step in range(state["step"], preset.vae_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.vae_steps, 1.2e-3)
        real = next(feed).to(where, memory_format=torch.channels_last)
        with half(where):
            belief = vae.encode(real).latent_dist
            made = vae.decode(belief.sample()).sample
        loss = picture_loss(made.float(), real)
        kl = 0.5 * (belief.mean.float().square() + belief.var.float() - 1 - belief.logvar.float()).mean()
        optimizer.zero_grad(set_to_none=True)
        (loss + KL_WEIGHT * kl).backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        psnr = -10 * torch.log10(functional.mse_loss(made.float(), real) / 4)
        progress.tell(step + 1, {"loss": loss.item(), "kl": kl.item(), "psnr": psnr.item()})
        save_now_and_then(path, step + 1, preset.vae_steps, vae, optimizer)
    return vae.eval()
