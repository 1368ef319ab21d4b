"""One small random control model for each family that has such, of the real classes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, FluxControlNetModel, QwenImageControlNetModel, SD3ControlNetModel


def _of_unet(pipe: Any) -> Any:
    return ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(8, 16, 32, 32))


def _of_sd3(pipe: Any) -> Any:
    return SD3ControlNetModel.from_transformer(pipe.transformer, num_layers=1, num_extra_conditioning_channels=0)


def _of_flux(pipe: Any) -> Any:
    return FluxControlNetModel.from_transformer(
        pipe.transformer, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2
    )


def _of_qwen(pipe: Any) -> Any:
    return QwenImageControlNetModel.from_transformer(
        pipe.transformer, num_layers=1, attention_head_dim=16, num_attention_heads=3
    )


CONTROLS: Mapping[str, Callable[[Any], Any]] = {
    "sd15": _of_unet, "sdxl": _of_unet, "sd3": _of_sd3, "flux": _of_flux, "qwen-image": _of_qwen,
}  # fmt: skip


def save_control(name: str, pipe: Any, folder: Path, seed: int = 0) -> Path:
    """Save a control model for the small pipeline of a family; gives the folder back."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = CONTROLS[name](pipe)
        for parameter in model.parameters():  # as it begins it has no effect: its last layers are zero
            if not parameter.any():
                parameter.normal_(std=0.2)
    model.save_pretrained(folder, safe_serialization=True)
    return folder
