"""Stage 2: the decoder that ships, an AutoencoderTiny: convolutions without norms, fast on a processor.

It paints from latents as the denoiser makes them, with some noise, for FACTOR x FACTOR pixels a cell. Its encoder
learns the way back, roughly: previews and pictures to start from use it.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from cells import PAINTED, as_tensor, edges, latents_of, load_features
from common import Progress, device, learning_rate, load, save, share_gradients, team
from compose import FACTOR
from diffusers import AutoencoderTiny
from layout import NUMBERS, Layout, place
from stock import Pictures, scene_of

KEY = PAINTED  # channel that says "this is a picture"; the NUMBERS follow
CHANNELS = PAINTED + 1 + NUMBERS
WIDTH = 48
NOISE = 0.04  # of the latents in training
CROP = 8  # cells of a picture that are painted in training


def new_autoencoder() -> AutoencoderTiny:
    """An untrained one, 16 pixels a latent cell."""
    return AutoencoderTiny(
        latent_channels=CHANNELS,
        encoder_block_out_channels=(24,) * 5,
        decoder_block_out_channels=(WIDTH,) * 5,
        num_encoder_blocks=(1, 1, 1, 1, 1),
        num_decoder_blocks=(3, 3, 1, 0, 0),
        scaling_factor=1.0,
    )


def widened(latents: torch.Tensor) -> torch.Tensor:
    """(b, PAINTED, ...) -> (b, CHANNELS, ...), the rest 0: the decoder does not look at it."""
    return torch.cat([latents, latents.new_zeros(len(latents), CHANNELS - PAINTED, *latents.shape[2:])], 1)


def crops(
    latents: torch.Tensor, pixels: np.ndarray, layouts: list[Layout], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """CROP x CROP cells of each picture, and their pixels: mostly where a thing is, there is most to learn."""
    parts, wanted = [], []
    room = latents.shape[-1] - CROP
    for i, layout in enumerate(layouts):
        x, y = rng.integers(room + 1, size=2)
        if layout.copies and rng.random() < 0.85:
            copy = layout.copies[rng.integers(len(layout.copies))]
            spread = rng.uniform(-0.7, 0.7, 2) * copy.half
            middle = [(at + 1) * 128 / FACTOR - CROP / 2 for at in (copy.x + spread[0], copy.y + spread[1])]
            x, y = (int(min(max(round(at), 0), room)) for at in middle)
        parts.append(latents[i, :, y : y + CROP, x : x + CROP])
        wanted.append(pixels[i, y * FACTOR : (y + CROP) * FACTOR, x * FACTOR : (x + CROP) * FACTOR])
    return torch.stack(parts), as_tensor(np.stack(wanted))


def load_autoencoder(folder: Path) -> AutoencoderTiny:
    """The one of the latest checkpoint."""
    autoencoder = new_autoencoder()
    state = load(folder / "decoder.pt")
    if state is not None:
        autoencoder.load_state_dict(state["average"])
    return autoencoder.eval().requires_grad_(False)


def train_decoder(folder: Path, steps: int, batch: int = 4) -> None:
    """Train (or finish) the decoder; `folder`/decoder.pt is the checkpoint."""
    state = load(folder / "decoder.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(team()[0] if "model" in state else 0)
    where = device()
    autoencoder = new_autoencoder().to(where, memory_format=torch.channels_last)
    decoder = autoencoder.decoder
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if "model" in state:
        autoencoder.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    average = {name: v.to(where) for name, v in state.get("average", {}).items()} or {
        name: v.detach().clone() for name, v in autoencoder.state_dict().items()
    }
    features = load_features(folder)
    rank, size = team()
    share = max(1, batch // size)
    progress = Progress("decoder", steps, share * size, state["step"])
    parameters = list(decoder.parameters())
    saved = time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, 2e-3)
        if step % 50 == 0 or step == state["step"]:
            pictures = Pictures(folder / "scenes")
        rows = np.random.default_rng((step, rank)).integers(len(pictures), size=share)
        said = [scene_of(number) for number in pictures.numbers(rows)]
        layouts = [place(*pair) for pair in said]
        with torch.no_grad():
            whole = latents_of(features, [scene for scene, _ in said], layouts, (256, 256))
        made, wanted = crops(whole, pictures.pixels(rows), layouts, np.random.default_rng((step, rank, 1)))
        made = widened(made + NOISE * torch.randn_like(made))
        made, wanted = made.to(where, memory_format=torch.channels_last), wanted.to(where)
        with torch.autocast(where.type, torch.bfloat16):
            painted = decoder(made)
        painted = painted.float()
        error = painted - wanted
        loss = error.abs().mean() + edges(painted, wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            keep = min(0.995, (1 + step) / (10 + step))
            for name, value in autoencoder.state_dict().items():
                average[name].lerp_(value, 1 - keep)
        progress.tell(step + 1, {"loss": loss.item(), "mse": error.square().mean().item()})
        if rank == 0 and (time.monotonic() - saved > 120 or step + 1 == steps):
            saved = time.monotonic()
            save(
                folder / "decoder.pt",
                {"step": step + 1, "model": autoencoder.state_dict(), "average": average,
                 "optimizer": optimizer.state_dict()},
            )  # fmt: skip
