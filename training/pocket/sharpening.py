"""The last stage: the autoencoder's decoder learns once more, from latents as the finished model makes them.

It first learned from latents of drawn pictures (vae.py). What the denoiser says of a cell is a mean over all that its
words leave open, so its pictures came out soft. Here the decoder sees both and learns what was drawn; how strong edges
are counts beside where they are, or the mean would be soft again.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import torch
from autoencoder import as_tensor, encode, load_autoencoder
from common import Progress, device, half, learning_rate, load, save
from diffusers import AutoencoderKL
from drawing import numbered, shape_of
from geometry import PATCH
from layout import UNIT
from stock import draw
from torch.nn import functional
from touching import Touch, World, load_touch
from vae import picture_loss
from words import BAD_QUALITIES

FIRST = 1_000_000_000  # number of the first scene: no other stage sees these
AT_ONCE = 16  # scenes
CROP = 12  # latents
DRAWN = 0.3  # share of latents that are of the drawn picture: pictures to start from are encoded, too
EDGES, NEAR = 0.5, 4  # what the strength of edges counts, in pixels around which it is compared
PEAK, KEPT = 4e-4, 0.98  # learning rate; of the average of the weights, once it is warm
Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # latents as the model makes them, as encoded; pixels


@torch.no_grad()
def scenes(world: World, touch: Touch, autoencoder: AutoencoderKL, count: int) -> list[Scene]:
    """Drawn scenes, none of them spoiled."""
    found: list[Scene] = []
    for first in itertools.count(FIRST, 64):
        numbers = [n for n in range(first, first + min(AT_ONCE, count)) if numbered(n)[0].quality not in BAD_QUALITIES]
        columns, rows = (size // UNIT for size in shape_of(first))
        said = touch(world.cells(numbers).flatten(0, 1)).view(len(numbers), -1, PATCH)
        made = functional.pixel_shuffle(said.transpose(1, 2).reshape(-1, PATCH, rows, columns), 2)
        pixels = np.stack([draw(number) for number in numbers])
        real = torch.from_numpy(encode(autoencoder, pixels)).float()
        found += zip(made, real, as_tensor(pixels), strict=True)
        if len(found) >= count:
            return found[:count]
    raise AssertionError


def edges(pixels: torch.Tensor) -> torch.Tensor:
    """How strong edges are near each place: (n, 3, h, w) -> (n, 1, h / NEAR, w / NEAR)."""
    across, down = pixels.diff(dim=-1)[..., :-1, :].square(), pixels.diff(dim=-2)[..., :-1].square()
    return functional.avg_pool2d((across + down).mean(1, keepdim=True), NEAR).add(1e-4).sqrt()


def _crops(found: list[Scene], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    latents, pixels = [], []
    for number in torch.randint(len(found), (count,)).tolist():
        made, real, drawn = found[number]
        y, x = (int(torch.randint(size - CROP + 1, ())) for size in made.shape[-2:])
        seen = real if torch.rand(()) < DRAWN else made
        latents.append(seen[:, y : y + CROP, x : x + CROP])
        pixels.append(drawn[:, 8 * y : 8 * (y + CROP), 8 * x : 8 * (x + CROP)])
    return torch.stack(latents), torch.stack(pixels)


def load_sharp(folder: Path) -> AutoencoderKL:
    """The autoencoder with the decoder of the latest checkpoint, to paint with."""
    vae = load_autoencoder(folder)
    state = load(folder / "decoder.pt")
    if state is not None:
        vae.load_state_dict(state["average"])
    return vae


def train_sharp(folder: Path, steps: int, batch: int, count: int) -> None:
    """Train (or finish) with so many drawn scenes; `folder`/decoder.pt is the checkpoint."""
    state = load(folder / "decoder.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(state["step"])
    where, vae = device(), load_autoencoder(folder)
    found = scenes(World(folder), load_touch(folder), vae, count)
    if "model" in state:
        vae.load_state_dict(state["model"])
    vae.to(where)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=PEAK, weight_decay=1e-4, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    average = state.get("average") or {name: value.detach().clone() for name, value in vae.state_dict().items()}
    progress, saved = Progress("sharp", steps, batch, state["step"]), time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, PEAK, warm=20)
        latents, real = (part.to(where, memory_format=torch.channels_last) for part in _crops(found, batch))
        with half(where):
            made = vae.decode(latents).sample
        strength = (edges(made.float()) - edges(real)).abs().mean()
        loss = picture_loss(made.float(), real) + EDGES * strength
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        keep = min(KEPT, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in vae.state_dict().items():
                average[name].lerp_(value.cpu(), 1 - keep)
        psnr = -10 * torch.log10(functional.mse_loss(made.float(), real) / 4)
        progress.tell(step + 1, {"loss": loss.item(), "strength": strength.item(), "psnr": psnr.item()})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            kept = {"model": vae.state_dict(), "average": average, "optimizer": optimizer.state_dict()}
            save(folder / "decoder.pt", {"step": step + 1, **kept})
