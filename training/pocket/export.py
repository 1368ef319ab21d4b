"""Training checkpoints -> a folder that StableDiffusionPipeline.from_pretrained loads without any code of ours."""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import PRESETS, Preset, load
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from text import text_model
from tokenizer import load_tokenizer
from transformers import CLIPTokenizer
from unet import new_scheduler
from unet_start import new_unet
from vae import new_vae, random_picture


@torch.no_grad()
def with_unit_latents(vae: AutoencoderKL, pictures: np.ndarray) -> AutoencoderKL:
    """The same autoencoder with latents of mean 0 and overall deviation 1, written into its 1x1 convolutions.

    Diffusion wants such latents; done in the weights, scaling_factor is 1 and no loader can get it wrong. One scale
    for all channels: the channels that carry colours and shapes keep their weight over the one that carries grain.
    """
    vae = copy.deepcopy(vae).eval()
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().to(vae.device) / 127.5 - 1
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(32)])
    mean = latents.mean((0, 2, 3))
    deviation = latents.var((0, 2, 3)).mean().sqrt().expand(len(mean)).contiguous()
    channels = len(mean)
    both = torch.cat([deviation, torch.ones_like(deviation)])
    vae.quant_conv.weight /= both[:, None, None, None]
    vae.quant_conv.bias[:channels] -= mean
    vae.quant_conv.bias /= both
    vae.quant_conv.bias[channels:] -= 2 * deviation.log()
    weight = vae.post_quant_conv.weight.clone()
    vae.post_quant_conv.weight *= deviation[None, :, None, None]
    vae.post_quant_conv.bias += (weight[..., 0, 0] * mean).sum(1)
    vae.register_to_config(scaling_factor=1.0)
    return vae


def finished_vae(preset: Preset, folder: Path) -> AutoencoderKL:
    """The trained autoencoder with unit latents; measured once, then read from `folder`/vae_unit.pt."""
    vae = new_vae(preset)
    path = folder / "vae_unit.pt"
    state = load(path)
    if state is None:
        trained = load(folder / "vae.pt")
        if trained is not None:
            vae.load_state_dict(trained["model"])
        rng = random.Random(11)
        vae = with_unit_latents(vae, np.stack([random_picture(rng) for _ in range(128)]))
        torch.save(vae.state_dict(), path)
    else:
        vae.load_state_dict(state)
    vae.register_to_config(scaling_factor=1.0)
    return vae.eval()


def build_pipeline(preset: Preset, folder: Path) -> StableDiffusionPipeline:
    """The pipeline of the latest checkpoints in `folder`, in float32."""
    tokenizer = load_tokenizer(folder / "tokenizer")
    unet = new_unet(preset)
    state = load(folder / "unet.pt")
    if state is not None:
        unet.load_state_dict(state["average"])
    return assemble(finished_vae(preset, folder), text_model(preset, folder, tokenizer), tokenizer, unet)


def assemble(
    vae: AutoencoderKL, encoder: torch.nn.Module, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """The parts as a pipeline without safety checker (nothing it was trained on calls for one)."""
    return StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _load_as_float32(config: Path) -> None:
    """transformers loads weights in the dtype its config names, diffusers in float32: make a plain load agree."""
    settings = json.loads(config.read_text())
    settings.pop("torch_dtype", None)
    config.write_text(json.dumps(settings | {"dtype": "float32"}, indent=2) + "\n")


def export(preset: Preset, folder: Path, target: Path) -> None:
    """Write the float16 model to `target`: each part is complete in a temporary folder before it is moved over."""
    pipeline = build_pipeline(preset, folder).to(dtype=torch.float16)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pocket-") as temporary:
        pipeline.save_pretrained(temporary, safe_serialization=True)
        _load_as_float32(Path(temporary) / "text_encoder" / "config.json")
        for name in ("vocab.json", "merges.txt"):  # for readers older than tokenizer.json
            shutil.copy(folder / "tokenizer" / name, Path(temporary) / "tokenizer" / name)
        for path in sorted(Path(temporary).rglob("*")):
            if path.is_file():
                place = target / path.relative_to(temporary)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.chmod(0o644)
                os.replace(path, place)


def main() -> None:
    """python training/pocket/export.py --work FOLDER --output models/pocket"""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    arguments = parser.parse_args()
    export(PRESETS[arguments.preset], arguments.work, arguments.output)
    size = sum(path.stat().st_size for path in arguments.output.rglob("*.safetensors"))
    print(f"wrote {arguments.output} ({size / 1e6:.1f} MB of weights)")


if __name__ == "__main__":
    main()
