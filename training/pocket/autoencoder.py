"""The autoencoder, 8 x 8 pixels to a latent of 16 numbers: untrained, finished, and as a finished model carries it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from common import load, save
from diffusers import AutoencoderKL
from vae_start import start_as_thumbnail

LATENTS = 16  # channels that show pictures
WIDTHS = (32, 32, 64, 128)
SIDE = 128  # pixels of the pictures it learns from
FINISHED = "autoencoder.pt"


def new_autoencoder() -> AutoencoderKL:
    """Untrained; without attention, so that any size is cheap."""
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=1,
        sample_size=SIDE,
        mid_block_add_attention=False,
        force_upcast=False,
        scaling_factor=1.0,
    )
    start_as_thumbnail(vae)
    return vae


def load_autoencoder(folder: Path) -> AutoencoderKL:
    """The finished one of this work folder, to look with; FileNotFoundError where there is none."""
    state = load(folder / FINISHED)
    if state is None:
        raise FileNotFoundError(f"{folder / FINISHED}: run the stage vae, or begin with --init MODEL")
    vae = new_autoencoder()
    vae.load_state_dict(state)
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def finish(vae: AutoencoderKL, pictures: np.ndarray, folder: Path) -> None:
    """Keep the trained autoencoder in `folder`, its latents having mean 0 and overall deviation 1 on these pictures.

    Written into its 1x1 convolutions, so that no loader can get it wrong. One scale for all channels: those that carry
    colours and shapes keep their weight over the one that carries grain.
    """
    vae = copy.deepcopy(vae).eval().cpu()
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(32)])
    mean, deviation = latents.mean((0, 2, 3)), latents.var((0, 2, 3)).mean().sqrt()
    both = torch.cat([deviation.expand(LATENTS), torch.ones(LATENTS)])
    vae.quant_conv.weight /= both[:, None, None, None]
    vae.quant_conv.bias[:LATENTS] -= mean
    vae.quant_conv.bias /= both
    vae.quant_conv.bias[LATENTS:] -= 2 * deviation.log()
    weight = vae.post_quant_conv.weight.clone()
    vae.post_quant_conv.weight *= deviation
    vae.post_quant_conv.bias += (weight[..., 0, 0] * mean).sum(1)
    save(folder / FINISHED, vae.state_dict())


def autoencoder_of(model: Path) -> AutoencoderKL:
    """That of a finished model, without the latent channels that show nothing."""
    return narrowed(AutoencoderKL.from_pretrained(model / "vae").float()).eval().requires_grad_(False)


@torch.no_grad()
def narrowed(wide: AutoencoderKL) -> AutoencoderKL:
    """What `bundle.widened` began with."""
    channels = wide.config.latent_channels
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


@torch.no_grad()
def faithful(autoencoder: AutoencoderKL, latents: np.ndarray, batch: int = 4) -> np.ndarray:
    """These latents of pictures, to which is added what is missing when they are painted and looked at again."""
    first = torch.from_numpy(latents).float()
    where = next(autoencoder.parameters()).device
    again = []
    for part in first.split(batch):
        painted = autoencoder.decode(part.to(where, memory_format=torch.channels_last)).sample.clamp(-1, 1)
        pixels = ((painted + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        again.append(torch.from_numpy(encode(autoencoder, pixels)).float())
    return (2 * first - torch.cat(again)).half().numpy()
