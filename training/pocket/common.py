"""What every training stage shares: checkpoints that survive a kill, the progress line, the learning rate."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


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


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None when training has not got there."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Progress:
    """One line every few seconds: stage, step, loss (moving mean), pictures a second, minutes left."""

    def __init__(self, stage: str, total: int, batch: int, start: int = 0) -> None:
        self.stage, self.total, self.batch, self.start = stage, total, batch, start
        self.began = self.spoke = time.monotonic()
        self.mean: dict[str, float] = {}

    def tell(self, step: int, values: dict[str, float], every_s: float = 15.0) -> None:
        """Take in the losses of `step` (counted from 1) and speak when it is time."""
        for name, value in values.items():
            self.mean[name] = value if name not in self.mean else 0.98 * self.mean[name] + 0.02 * value
        now = time.monotonic()
        if now - self.spoke < every_s and step != self.total:
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
