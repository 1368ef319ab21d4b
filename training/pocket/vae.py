"""The first stage: the autoencoder learns from random crops of pictures of anything anywhere."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from autoencoder import FINISHED, SIDE, as_tensor, finish, new_autoencoder
from backgrounds import PAINTERS, blurred, plain, unspecified
from common import Progress, device, half, learning_rate, load, save
from draw import paste
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from words import COLOURS, nouns

CROP = 64
KL_WEIGHT = 2e-4  # per latent number; large enough that the decoder forgives small errors
PEAK = 1.2e-3  # learning rate
EVERY = 200  # steps between checkpoints


def random_picture(rng: random.Random) -> np.ndarray:
    """(SIDE, SIDE, 3) bytes."""
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
                yield as_tensor(pixels[None, y : y + CROP, x : x + CROP])[0]


def picture_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Absolute error of the pixels plus that of their edges, so that outlines stay crisp."""
    error = made - real
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + 0.5 * edges + 0.5 * error.square().mean()


def train_vae(folder: Path, steps: int, batch: int, pictures: int, workers: int) -> None:
    """Train (or finish) it; `folder`/vae.pt is the checkpoint, `folder`/FINISHED the result, scaled by so many
    pictures."""
    if (folder / FINISHED).exists():
        return
    where, state = device(), load(folder / "vae.pt") or {"step": 0}
    torch.manual_seed(state["step"])
    vae = new_autoencoder()
    if "model" in state:
        vae.load_state_dict(state["model"])
    vae.to(where, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK, weight_decay=1e-4, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    feed = iter(DataLoader(Crops(state["step"]), batch, num_workers=workers))
    progress = Progress("vae", steps, batch, state["step"])
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, PEAK)
        real = next(feed).to(where, memory_format=torch.channels_last)
        with half(where):
            belief = vae.encode(real).latent_dist
            made = vae.decode(belief.sample()).sample
        kl = 0.5 * (belief.mean.float().square() + belief.var.float() - 1 - belief.logvar.float()).mean()
        loss = picture_loss(made.float(), real)
        optimizer.zero_grad(set_to_none=True)
        (loss + KL_WEIGHT * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        psnr = -10 * torch.log10(functional.mse_loss(made.float(), real) / 4)
        progress.tell(step + 1, {"loss": loss.item(), "kl": kl.item(), "psnr": psnr.item()})
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            save(folder / "vae.pt", {"step": step + 1, "model": vae.state_dict(), "optimizer": optimizer.state_dict()})
    rng = random.Random(11)
    finish(vae, np.stack([random_picture(rng) for _ in range(pictures)]), folder)
