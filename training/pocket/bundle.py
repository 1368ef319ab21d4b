"""Checkpoints -> a folder that diffusers.DiffusionPipeline.from_pretrained loads without any code of ours."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from denoiser import CHANNELS, GAIN, LARGEST, PAINTED, build_unet
from diffusers import AutoencoderKL, StableDiffusionPipeline
from encoder import text_model
from ink import load_ink
from schedule import new_scheduler
from sharpening import load_sharp
from tables import load_tables
from tokenizer import load_tokenizer
from touching import load_touch

SURELY = -30.0  # log of the spread of the numbers that an encoded picture gets: always 0


@torch.no_grad()
def widened(plain: AutoencoderKL) -> AutoencoderKL:
    """The same autoencoder with more latent channels, which it does not read: the gain, which it writes as 1, and the
    numbers, which it writes as 0."""
    config = {**plain.config, "latent_channels": CHANNELS, "scaling_factor": 1 / LARGEST, "sample_size": 256}
    wide = AutoencoderKL.from_config(config)
    known, kept = wide.state_dict(), plain.state_dict()
    halves = torch.cat([torch.arange(PAINTED), CHANNELS + torch.arange(PAINTED)])  # means, then logarithms
    for name, value in kept.items():
        if known[name].shape == value.shape:
            known[name].copy_(value)
            continue
        known[name].zero_()
        if name.startswith("encoder.conv_out"):
            known[name][halves] = value
        elif name.startswith("quant_conv"):
            rows = halves[:, None] if value.ndim > 1 else halves
            known[name][(rows, halves) if value.ndim > 1 else rows] = value
        elif name == "post_quant_conv.bias":
            known[name][:PAINTED] = value
        else:  # post_quant_conv.weight, decoder.conv_in.weight
            known[name][: value.shape[0], :PAINTED] = value
    known["quant_conv.bias"][CHANNELS + PAINTED :] = SURELY
    known["quant_conv.bias"][GAIN] = LARGEST
    wide.load_state_dict(known)
    return wide.eval().requires_grad_(False)


def pipeline(folder: Path) -> StableDiffusionPipeline:
    """The pipeline of the latest checkpoints, in float32."""
    tokenizer = load_tokenizer(folder / "tokenizer")
    return StableDiffusionPipeline(
        vae=widened(load_sharp(folder)),
        text_encoder=text_model(folder, tokenizer),
        tokenizer=tokenizer,
        unet=build_unet(load_tables(folder).decode, load_touch(folder), load_ink(folder))[0],
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(folder: Path, output: Path) -> None:
    """Write the float16 model; a plain load gives float32 for every part."""
    pipeline(folder).to(dtype=torch.float16).save_pretrained(output, safe_serialization=True)
    config = output / "text_encoder" / "config.json"  # transformers, unlike diffusers, loads what its config names
    settings = json.loads(config.read_text())
    settings.pop("torch_dtype", None)
    config.write_text(json.dumps(settings | {"dtype": "float32"}, indent=2) + "\n")
