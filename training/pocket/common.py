"""What every training stage shares: presets, seeds, checkpoints that survive a kill, the progress line."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

SIDE = 128  # pixels of a training picture
LATENT_SIDE = SIDE // 8
LATENT_CHANNELS = 16


@dataclass(frozen=True)
class Preset:
    """How long and how wide to train; all but `smoke` train the same network.

    Steps are optimizer steps; a batch is pictures (crops for the VAE).
    """

    vae_steps: int
    vae_batch: int
    scenes: int  # captioned scenes drawn and encoded before training
    feature_steps: int
    reader_steps: int
    reader_batch: int
    painter_steps: int
    painter_batch: int
    position_steps: int
    unet_steps: int
    unet_batch: int
    vae_channels: tuple[int, ...] = (32, 32, 64, 128)
    painter_units: int = 62  # hidden units of each of the 64 parts of the picture, in each of two layers
    unet_channels: tuple[int, ...] = (128, 128, 128)
    workers: int = 2


PRESETS = {
    "smoke": Preset(20, 8, 64, 10, 10, 8, 10, 8, 5, 8, 4, (16, 16, 32, 32), 8, workers=1),
    "cpu": Preset(4000, 8, 80_000, 5000, 4000, 64, 6000, 320, 400, 2200, 24),
    "gpu": Preset(
        vae_steps=30_000,
        vae_batch=64,
        scenes=400_000,
        feature_steps=8000,
        reader_steps=40_000,
        reader_batch=256,
        painter_steps=120_000,
        painter_batch=512,
        position_steps=1000,
        unet_steps=120_000,
        unet_batch=256,
        workers=16,
    ),
}


def seed_everything(seed: int) -> None:
    """Make Python, NumPy and torch repeat themselves."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def device() -> torch.device:
    """The accelerator when there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half(where: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on a GPU only: without AMX a CPU's bfloat16 convolutions ran at half of float32's speed."""
    return torch.autocast(where.type, dtype=torch.bfloat16, enabled=where.type == "cuda")


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a reader or a kill never meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def save_now_and_then(
    path: Path, step: int, total: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, **more: Any
) -> None:
    """The team's first member writes a checkpoint after every 200th step (counted from 1) and after the last."""
    if team()[0] == 0 and (step % 200 == 0 or step == total):
        save(path, {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(), **more})


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None when training has not got there."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def start_team(rank: int, size: int, meeting: Path) -> None:
    """Join `size` processes that train one model together; `meeting` is a fresh file where they find each other.

    On a shared CPU two processes of one thread each lose far less time waiting than one process of two threads:
    they meet once a step instead of after every operation.
    """
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)


def team() -> tuple[int, int]:
    """This process's rank and the number of processes: (0, 1) when alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def share_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Average the gradients over the team, in one message."""
    if team()[1] == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= team()[1]
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()


def wait_for_team() -> None:
    """Return when every process of the team has got here."""
    if team()[1] > 1:
        distributed.barrier()


class Progress:
    """One line every few seconds: stage, step, loss (moving mean), pictures a second, minutes left."""

    def __init__(self, stage: str, total: int, batch: int, start: int = 0) -> None:
        self.stage, self.total, self.batch, self.start = stage, total, batch, start
        self.quiet = team()[0] != 0
        self.began = self.spoke = time.monotonic()
        self.mean: dict[str, float] = {}

    def tell(self, step: int, values: dict[str, float], every_s: float = 15.0) -> None:
        """Take in the losses of `step` (counted from 1) and speak when it is time."""
        for name, value in values.items():
            self.mean[name] = value if name not in self.mean else 0.98 * self.mean[name] + 0.02 * value
        now = time.monotonic()
        if self.quiet or (now - self.spoke < every_s and step != self.total):
            return
        self.spoke = now
        rate = (step - self.start) / max(now - self.began, 1e-9)
        losses = " ".join(f"{name} {value:.4f}" for name, value in self.mean.items())
        left = (self.total - step) / max(rate, 1e-9) / 60
        print(f"{self.stage} {step}/{self.total}  {losses}  {rate * self.batch:.1f}/s  {left:.1f} min left", flush=True)
        sys.stdout.flush()


def learning_rate(step: int, total: int, peak: float, warm: int = 100, floor: float = 0.02) -> float:
    """Linear warm-up, then a cosine from `peak` down to `floor` x `peak` at `total`."""
    if step < warm:
        return peak * (step + 1) / warm
    along = min(1.0, (step - warm) / max(1, total - warm))
    return peak * (floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * along))))


def batches(size: int, batch: int, seed: int, start: int = 0) -> Iterator[np.ndarray]:
    """Endless shuffled index batches over `size` items; the same ones again from any `start` step."""
    per_epoch = max(1, size // batch)
    step = start
    while True:
        epoch, within = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(size)
        for i in range(within, per_epoch):
            yield order[i * batch : (i + 1) * batch]
            step += 1
