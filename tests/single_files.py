"""Checkpoints of one file, in the layout of the original training code: diffusers' weights under their old names."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
    "conv_out": "out.2",
}  # fmt: skip
_OPEN_CLIP = {
    "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "layer_norm1": "ln_1", "layer_norm2": "ln_2",
}  # fmt: skip


def save_single_file(pipe: Any, file: Path, **more: torch.Tensor) -> Path:
    """Save a StableDiffusionPipeline or StableDiffusionXLPipeline as one file; `more` are further tensors."""
    tensors = original_layout(pipe) | more
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, file)
    return file


def original_layout(pipe: Any) -> Tensors:
    """The weights of a pipeline under their names in the original training code."""
    tensors = {UNET + name: tensor for name, tensor in _unet(pipe.unet)}
    tensors |= {"first_stage_model." + name: tensor for name, tensor in vae_tensors(pipe.vae)}
    if hasattr(pipe, "text_encoder_2"):
        tensors |= _clip(pipe.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        tensors |= _open_clip(pipe.text_encoder_2, "conditioner.embedders.1.model.")
    else:
        tensors |= _clip(pipe.text_encoder, "cond_stage_model.transformer.text_model.")
    return tensors


def save_other_vae(model: Path, file: Path) -> AutoencoderKL:
    """Save a VAE like that of a diffusers folder, with weights of its own, as a file under the old names; gives it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(model, subfolder="vae")).eval()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.clone().contiguous() for name, tensor in vae_tensors(vae)}, file)
    return vae


def _unet(unet: Any) -> Iterator[tuple[str, torch.Tensor]]:
    state, names = unet.state_dict(), dict(_UNET_ENDS)
    number = 1
    for i, block in enumerate(unet.down_blocks):
        for layer in range(len(block.resnets)):
            names[f"down_blocks.{i}.resnets.{layer}"] = f"input_blocks.{number}.0"
            names[f"down_blocks.{i}.attentions.{layer}"] = f"input_blocks.{number}.1"
            number += 1
        if block.downsamplers:
            names[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    names |= {f"mid_block.resnets.{i}": f"middle_block.{2 * i}" for i in range(2)}
    names["mid_block.attentions.0"] = "middle_block.1"
    number = 0
    for i, block in enumerate(unet.up_blocks):
        for layer in range(len(block.resnets)):
            names[f"up_blocks.{i}.resnets.{layer}"] = f"output_blocks.{number}.0"
            names[f"up_blocks.{i}.attentions.{layer}"] = f"output_blocks.{number}.1"
            number += 1
        if block.upsamplers:
            place = 2 if hasattr(block, "attentions") else 1
            names[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{number - 1}.{place}.conv"
    for name, tensor in state.items():
        [start] = [start for start in names if name.startswith(start + ".")]
        rest = name.removeprefix(start + ".")
        if ".resnets." in name:
            part, _, kind = rest.rpartition(".")
            rest = f"{_RESNET[part]}.{kind}"
        yield f"{names[start]}.{rest}", tensor


def vae_tensors(vae: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a VAE of diffusers under the names of the training code."""
    last = len(vae.decoder.up_blocks) - 1
    changes = [
        (r"down_blocks\.(\d+)\.resnets", r"down.\1.block"),
        (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{last - int(found[1])}.block"),
        (r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{last - int(found[1])}.upsample"),
        (r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}"),
        (r"mid_block\.attentions\.0", "mid.attn_1"),
        (r"\.group_norm\.", ".norm."), (r"\.to_([qkv])\.", r".\1."), (r"\.to_out\.0\.", ".proj_out."),
        ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out"),
    ]  # fmt: skip
    for name, tensor in vae.state_dict().items():
        attention = ".attentions." in name and name.endswith("weight") and "norm" not in name
        for old, new in changes:
            name = re.sub(old, new, name)
        yield name, tensor[:, :, None, None] if attention else tensor


def _clip(encoder: Any, prefix: str) -> Tensors:
    state = encoder.state_dict()
    return {prefix + name.removeprefix("text_model."): tensor for name, tensor in state.items()}


def _open_clip(encoder: Any, prefix: str) -> Tensors:
    state = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    made: Tensors = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
    }
    for layer in range(encoder.config.num_hidden_layers):
        old, new = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{old}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            made[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
            made |= {f"{new}{there}.{kind}": state[f"{old}{here}.{kind}"] for here, there in _OPEN_CLIP.items()}
    return {prefix + name: tensor for name, tensor in made.items()}
