"""Drawn scenes on disk: pictures as bytes, drawn once. A scene follows from its number alone.

A shard holds SHARD pictures (fewer when fewer are asked for) of one shape, (n, height, width, 3) uint8, and is named by
its first scene's number.
"""

from __future__ import annotations

import os
import random
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from drawing import draw_scene, next_scene
from layout import NUMBERS
from scenes import Scene

SHARD = 500


def scene_of(number: int) -> tuple[Scene, np.ndarray]:
    """Scene `number` of the whole endless series, and the NUMBERS numbers that lay it out."""
    return next_scene(random.Random(int(number))), np.random.default_rng(int(number)).standard_normal(NUMBERS)


def draw(number: int, width: int = 256, height: int = 256) -> np.ndarray:
    """Scene `number` as bytes."""
    scene, numbers = scene_of(number)
    return np.asarray(draw_scene(scene, numbers, width, height, random.Random(int(number))))


def fill_cache(folder: Path, scenes: int, seed: int, workers: int) -> None:
    """Draw the shards that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    first = seed * 100_000_000
    shard = min(SHARD, scenes)
    with get_context("fork").Pool(workers) as pool:
        for start in range(first, first + scenes, shard):
            path = folder / f"{start}.npy"
            if path.exists():
                continue
            pixels = np.stack(pool.map(draw, range(start, start + shard), chunksize=25))
            temporary = path.with_suffix(f".{os.getpid()}.part")
            with temporary.open("wb") as stream:
                np.save(stream, pixels)
            os.replace(temporary, path)


class Pictures:
    """The shards found on disk, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npy"), key=lambda path: int(path.stem))
        self.shards = [np.load(path, mmap_mode="r") for path in self.paths]
        self.size = len(self.shards[0])

    def __len__(self) -> int:
        return self.size * len(self.shards)

    def numbers(self, rows: np.ndarray) -> list[int]:
        """The scenes' numbers."""
        return [int(self.paths[row // self.size].stem) + row % self.size for row in map(int, rows)]

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """(n, height, width, 3) uint8."""
        return np.stack([self.shards[row // self.size][row % self.size] for row in map(int, rows)])
