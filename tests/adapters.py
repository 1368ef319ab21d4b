"""Small random adapters for the small pipelines, and what looks at pictures for them: in the form that people share."""

from pathlib import Path
from typing import Any

import torch
from diffusers import T2IAdapter
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipVisionConfig, SiglipVisionModel

SIDE, SEEN, PARTS = 32, 16, 32  # pixels of a picture that is looked at, numbers of the whole and of each part of it
TOKENS = 4


def save_encoder(folder: Path, *, siglip: bool = False) -> Path:
    """What looks at pictures; gives the folder back."""
    sizes = {"hidden_size": PARTS, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        if siglip:
            model: Any = SiglipVisionModel(SiglipVisionConfig(image_size=SIDE, patch_size=8, **sizes))
        else:
            config = CLIPVisionConfig(image_size=SIDE, patch_size=8, projection_dim=SEEN, **sizes)
            model = CLIPVisionModelWithProjection(config)
        model.save_pretrained(folder, safe_serialization=True)
    return folder


def save_t2i_adapter(name: str, folder: Path, seed: int = 0) -> Path:
    """A T2I-Adapter for the small pipeline of a family; gives the folder back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "sdxl":
            model = T2IAdapter(
                channels=[16, 32, 32, 32], num_res_blocks=1, downscale_factor=16, adapter_type="full_adapter_xl"
            )
        else:
            model = T2IAdapter(in_channels=1, channels=[32, 64], num_res_blocks=1)
        model.save_pretrained(folder, safe_serialization=True)
    return folder


def save_ip_adapter(name: str, pipe: Any, folder: Path, *, plus: bool = False, seed: int = 0) -> Path:
    """An IP-Adapter for the small pipeline of a family, with its encoder; gives the folder back."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.3

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "sd3":
            weights = _of_sd3(pipe)
        elif name == "flux":
            weights = _of_flux(pipe, numbers)
        else:
            weights = _of_unet(pipe, numbers, plus=plus)
    save_encoder(folder / "image_encoder", siglip=name == "sd3")
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / "ip-adapter.safetensors")
    return folder


def _whole(width: int, numbers: Any) -> dict[str, torch.Tensor]:
    return {
        "image_proj.proj.weight": numbers(TOKENS * width, SEEN), "image_proj.proj.bias": numbers(TOKENS * width),
        "image_proj.norm.weight": 1 + numbers(width), "image_proj.norm.bias": numbers(width),
    }  # fmt: skip


def _in_parts(width: int, numbers: Any) -> dict[str, torch.Tensor]:
    """The projection of an IP-Adapter Plus, by the names of its own program."""
    inner, head = 32, 64
    said: dict[str, torch.Tensor] = {
        "latents": numbers(1, TOKENS, inner), "proj_in.weight": numbers(inner, PARTS), "proj_in.bias": numbers(inner),
        "proj_out.weight": numbers(width, inner), "proj_out.bias": numbers(width),
        "norm_out.weight": 1 + numbers(width), "norm_out.bias": numbers(width),
    }  # fmt: skip
    for layer in range(4):  # as many as diffusers makes
        each = {
            "0.norm1.weight": 1 + numbers(inner), "0.norm1.bias": numbers(inner), "0.norm2.weight": 1 + numbers(inner),
            "0.norm2.bias": numbers(inner), "0.to_q.weight": numbers(head, inner),
            "0.to_kv.weight": numbers(2 * head, inner), "0.to_out.weight": numbers(inner, head),
            "1.0.weight": 1 + numbers(inner), "1.0.bias": numbers(inner), "1.1.weight": numbers(4 * inner, inner),
            "1.3.weight": numbers(inner, 4 * inner),
        }  # fmt: skip
        said |= {f"layers.{layer}.{key}": value for key, value in each.items()}
    return {f"image_proj.{key}": value for key, value in said.items()}


def _of_unet(pipe: Any, numbers: Any, *, plus: bool) -> dict[str, torch.Tensor]:
    config = pipe.unet.config
    width, channels = config.cross_attention_dim, config.block_out_channels
    found = _in_parts(width, numbers) if plus else _whole(width, numbers)
    number = 1
    for name in pipe.unet.attn_processors:
        if name.endswith("attn2.processor"):
            part, place = name.split(".")[:2]
            hidden = {"mid_block": channels[-1]}.get(part)
            hidden = hidden or (channels if part == "down_blocks" else channels[::-1])[int(place)]
            for which in "kv":
                found[f"ip_adapter.{number}.to_{which}_ip.weight"] = numbers(hidden, width)
            number += 2
    return found


def _of_flux(pipe: Any, numbers: Any) -> dict[str, torch.Tensor]:
    width, hidden = pipe.transformer.config.joint_attention_dim, pipe.transformer.inner_dim
    found = _whole(width, numbers)
    for number in range(pipe.transformer.config.num_layers):
        for which in "kv":
            found[f"ip_adapter.{number}.to_{which}_ip.weight"] = numbers(hidden, width)
            found[f"ip_adapter.{number}.to_{which}_ip.bias"] = numbers(hidden)
    return found


def _of_sd3(pipe: Any) -> dict[str, torch.Tensor]:
    config = pipe.transformer.config
    hidden, inner = config.attention_head_dim * config.num_attention_heads, 32
    looks = IPAdapterTimeImageProjection(
        embed_dim=PARTS, output_dim=hidden, hidden_dim=inner, heads=1, num_queries=TOKENS, timestep_in_dim=16
    )
    found = {f"image_proj.{key}": value for key, value in looks.state_dict().items()}
    for number in range(len(pipe.transformer.attn_processors)):
        attends = SD3IPAdapterJointAttnProcessor2_0(hidden, hidden, config.attention_head_dim, inner)
        found |= {f"ip_adapter.{number}.{key}": value for key, value in attends.state_dict().items()}
    return found
