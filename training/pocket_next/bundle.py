"""Checkpoints -> a folder that diffusers.DiffusionPipeline.from_pretrained loads without any code of ours."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from decoder import load_autoencoder
from denoiser import new_scheduler
from diffusers import StableDiffusionPipeline
from encoder import text_model
from mind import load_unet
from roles import LENGTH
from tokenizer import load_tokenizer


def pipeline(folder: Path, border_steps: int) -> StableDiffusionPipeline:
    """The pipeline of the latest checkpoints, in float32."""
    tokenizer = load_tokenizer(folder / "tokenizer", LENGTH)
    return StableDiffusionPipeline(
        vae=load_autoencoder(folder),
        text_encoder=text_model(folder, tokenizer),
        tokenizer=tokenizer,
        unet=load_unet(folder, border_steps),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(folder: Path, output: Path, border_steps: int) -> None:
    """Write the float16 model; a plain load gives float32 for every part."""
    pipeline(folder, border_steps).to(dtype=torch.float16).save_pretrained(output, safe_serialization=True)
    config = output / "text_encoder" / "config.json"  # transformers, unlike diffusers, loads what its config names
    settings = json.loads(config.read_text())
    settings.pop("torch_dtype", None)
    config.write_text(json.dumps(settings | {"dtype": "float32"}, indent=2) + "\n")
