"""Drawn scenes on disk, as latents of the autoencoder. A scene follows from its number alone.

A shard holds latents of one shape, (n, 16, height / 8, width / 8) float16, and is named by its first number.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
from autoencoder import encode, faithful, load_autoencoder
from common import Progress, device
from drawing import draw_scene, numbered, shape_of

SHARD = 64  # at most


def draw(number: int) -> np.ndarray:
    """Scene `number` as bytes."""
    scene, numbers = numbered(number)
    return np.asarray(draw_scene(scene, numbers, *shape_of(number), random.Random(number)))


def fill_stock(folder: Path, scenes: int) -> None:
    """Draw and encode the shards that are missing in `folder`/scenes."""
    stock, shard = folder / "scenes", min(SHARD, scenes)
    stock.mkdir(parents=True, exist_ok=True)
    starts = [start for start in range(0, scenes, shard) if not (stock / f"{start}.npy").exists()]
    if not starts:
        return
    autoencoder = load_autoencoder(folder).to(device())
    progress = Progress("scenes", len(starts), shard)
    for done, start in enumerate(starts):
        drawn = np.stack([draw(number) for number in range(start, start + shard)])
        latents = faithful(autoencoder, encode(autoencoder, drawn))
        temporary = stock / f"{start}.{os.getpid()}.part"
        with temporary.open("wb") as stream:
            np.save(stream, latents)
        os.replace(temporary, stock / f"{start}.npy")
        progress.tell(done + 1, {})


class Stock:
    """The shards found on disk, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npy"), key=lambda path: int(path.stem))
        self.shards = [np.load(path, mmap_mode="r") for path in self.paths]
