"""A store of scenes on disk: drawn and encoded once, so that a training step neither draws nor encodes.

A shard holds SHARD scenes: latents (n, 16, 16, 16) float16, tokens (n, CAPTIONS, TEXT_ROOM) int16, English and Chinese
wordings mixed, and the number of its first scene. Shards are numbered, each made from its number and the seed alone;
training takes the ones it finds.
"""

from __future__ import annotations

import os
import random
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from captions import caption
from common import LATENT_CHANNELS, LATENT_SIDE, SIDE, device
from diffusers import AutoencoderKL
from scenes import Scene, draw_scene, random_scene
from tokenizer import WORDS, token_ids
from transformers import CLIPTokenizer

SHARD = 2000
CAPTIONS = 6
CHINESE_SHARE = 0.4
TEXT_ROOM = WORDS


def scene_of(number: int) -> Scene:
    """Scene `number` of the whole endless series."""
    return random_scene(random.Random(int(number)))


def _draw_one(number: int) -> tuple[np.ndarray, list[str]]:
    """Scene `number` of the whole endless series: its pixels and CAPTIONS wordings."""
    rng = random.Random(number)
    scene = random_scene(rng)
    pixels = np.asarray(draw_scene(scene, rng, SIDE))
    return pixels, [caption(scene, rng, rng.random() < CHINESE_SHARE) for _ in range(CAPTIONS)]


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: np.ndarray) -> np.ndarray:
    """(n, side, side, 3) bytes -> (n, 16, side/8, side/8) float16 latents, the middle of the VAE's belief."""
    where = next(vae.parameters()).device
    batch = 4 if where.type == "cpu" else 200  # what stays in a CPU's caches is a third faster
    rows = []
    for start in range(0, len(pixels), batch):
        part = torch.from_numpy(pixels[start : start + batch]).to(where).permute(0, 3, 1, 2).float() / 127.5 - 1
        part = part.contiguous(memory_format=torch.channels_last)
        rows.append(vae.encode(part).latent_dist.mean.half().contiguous().cpu().numpy())
    return np.concatenate(rows)


def fill_cache(
    folder: Path,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    scenes: int,
    seed: int,
    workers: int,
    rank: int = 0,
    size: int = 1,
) -> None:
    """Make this process's share of the shards that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    vae = vae.to(device(), memory_format=torch.channels_last).eval()
    shard = min(SHARD, scenes)
    for index in range(rank, max(1, scenes // shard), size):
        path = folder / f"{index:05d}.npz"
        if path.exists():
            continue
        first = seed * 100_000_000 + index * shard
        if workers > 1:
            with get_context("fork").Pool(workers) as pool:
                drawn = pool.map(_draw_one, range(first, first + shard), chunksize=50)
        else:
            drawn = [_draw_one(number) for number in range(first, first + shard)]
        latents = encode(vae, np.stack([pixels for pixels, _ in drawn]))
        ids = token_ids(tokenizer, [text for _, texts in drawn for text in texts])
        tokens = np.asarray(ids, np.int16)[:, :TEXT_ROOM].reshape(shard, CAPTIONS, TEXT_ROOM)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        with temporary.open("wb") as stream:
            np.savez(stream, latents=latents, tokens=tokens, first=np.int64(first))
        os.replace(temporary, path)
        print(f"scenes {index * shard + shard}/{scenes}", flush=True)


class Scenes:
    """The shards found on disk, as two arrays in memory."""

    def __init__(self, folder: Path, pad: int) -> None:
        shards = [np.load(path) for path in sorted(folder.glob("*.npz"))]
        self.latents = np.concatenate([shard["latents"] for shard in shards])
        self.tokens = np.concatenate([shard["tokens"] for shard in shards])
        # a scene follows from its number alone, so what it says need not be stored
        self.numbers = np.concatenate([shard["first"] + np.arange(len(shard["latents"])) for shard in shards])
        self.pad = pad
        assert self.latents.shape[1:] == (LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)

    def __len__(self) -> int:
        return len(self.latents)

    def words(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Token ids (b, TEXT_ROOM) of one random wording each."""
        return torch.from_numpy(self.tokens[rows, rng.integers(CAPTIONS, size=len(rows))].astype(np.int64))
