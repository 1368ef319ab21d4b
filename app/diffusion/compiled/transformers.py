"""The transformers that OpenVINO can compute: those of PixArt, Stable Diffusion 3 and FLUX.1."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, PixArtTransformer2DModel, SD3Transformer2DModel
from diffusers.models.modeling_outputs import Transformer2DModelOutput

from app.diffusion.compiled.part import Part
from app.diffusion.compiled.replace import Inputs

# Of the examples that are traced. No size that a model was made for: the positions of that one are kept as a table.
LONG, WIDE, TOKENS = 20, 12, 16
NO_SIZE = {"resolution": None, "aspect_ratio": None}


def transformer_part(transformer: Any) -> Part | None:
    """The transformer as a part, or None for a kind that is not known here."""
    if type(transformer) is PixArtTransformer2DModel and not transformer.use_additional_conditions:
        return _pixart(transformer)
    if type(transformer) is SD3Transformer2DModel:
        return _sd3(transformer)
    if type(transformer) is FluxTransformer2DModel:
        return _flux(transformer)
    return None


class _Called(torch.nn.Module):  # type: ignore[misc]
    """The transformer, called with tensors alone."""

    def __init__(self, transformer: torch.nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.transformer = transformer
        self._call = call

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self._call(self.transformer, *tensors)[0]


def _part(transformer: torch.nn.Module, example: Inputs, names: tuple[str, ...], **fixed: Any) -> Part:
    """`names`: the arguments of the tensors, in order; `fixed`: what all others that are not empty must be."""

    def call(module: torch.nn.Module, *tensors: torch.Tensor) -> Any:
        return module(**dict(zip(names, tensors, strict=True)), **fixed, return_dict=False)

    def arrange(*args: Any, return_dict: bool = True, **given: Any) -> Inputs | None:
        known = dict(zip(("hidden_states",), args, strict=False)) | given
        tensors = [known.pop(name, None) for name in names]
        if len(args) > 1 or any(not isinstance(tensor, torch.Tensor) for tensor in tensors):
            return None
        if any(value not in (None, {}, fixed.get(name)) for name, value in known.items()):
            return None
        return tuple(tensors) if tensors[0].dtype == transformer.dtype else None

    def answer(made: torch.Tensor, *args: Any, return_dict: bool = True, **given: Any) -> Any:
        return Transformer2DModelOutput(sample=made) if return_dict else (made,)

    return Part("transformer", transformer, _Called(transformer, call), example, arrange, answer)


def _pixart(transformer: PixArtTransformer2DModel) -> Part:
    config, dtype = transformer.config, transformer.dtype
    long, wide = (side if side != config.sample_size else side + 2 * config.patch_size for side in (LONG, WIDE))
    example = (
        torch.zeros(2, config.in_channels, long, wide, dtype=dtype),
        torch.zeros(2, TOKENS, config.caption_channels, dtype=dtype),
        torch.ones(2, TOKENS),
        torch.full((2,), 500.0),
    )
    names = ("hidden_states", "encoder_hidden_states", "encoder_attention_mask", "timestep")
    return _part(transformer, example, names, added_cond_kwargs=NO_SIZE)


def _sd3(transformer: SD3Transformer2DModel) -> Part:
    config, dtype = transformer.config, transformer.dtype
    example = (
        torch.zeros(2, config.in_channels, LONG, WIDE, dtype=dtype),
        torch.zeros(2, TOKENS, config.joint_attention_dim, dtype=dtype),
        torch.zeros(2, config.pooled_projection_dim, dtype=dtype),
        torch.full((2,), 500.0),
    )
    return _part(transformer, example, ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep"))


def _flux(transformer: FluxTransformer2DModel) -> Part:
    config, dtype = transformer.config, transformer.dtype
    axes = len(config.axes_dims_rope)
    example = (
        torch.zeros(2, LONG * WIDE, config.in_channels, dtype=dtype),
        torch.zeros(2, TOKENS, config.joint_attention_dim, dtype=dtype),
        torch.zeros(2, config.pooled_projection_dim, dtype=dtype),
        torch.full((2,), 0.5),
        torch.zeros(LONG * WIDE, axes),
        torch.zeros(TOKENS, axes),
    )
    names = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "img_ids", "txt_ids")
    if config.guidance_embeds:
        return _part(transformer, (*example, torch.full((2,), 3.5)), (*names, "guidance"))
    return _part(transformer, example, names)
