"""What of a pipeline OpenVINO can compute: its denoiser, if that is of a known kind, and the decoder of its VAE."""

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

from app.diffusion.compiled.part import Part
from app.diffusion.compiled.replace import Inputs
from app.diffusion.compiled.transformers import transformer_part
from app.diffusion.kinds import Pipeline

TOKENS = 77
TIME_IDS = 6
SDXL = ("text_embeds", "time_ids")


def parts_for(pipe: Pipeline) -> list[Part]:
    """What can be translated of this pipeline, the denoiser first; nothing of one whose denoiser is not known here."""
    unet, vae = getattr(pipe, "unet", None), getattr(pipe, "vae", None)
    plain = type(unet) is UNet2DConditionModel and _is_plain(unet)
    denoiser = _unet(unet) if plain else transformer_part(getattr(pipe, "transformer", None))
    if denoiser is None:
        return []
    return [denoiser, _decoder(vae)] if type(vae) is AutoencoderKL else [denoiser]


def _is_plain(unet: UNet2DConditionModel) -> bool:
    kind = unet.config.addition_embed_type
    return kind in (None, "text_time") and not (
        unet.config.class_embed_type or unet.config.num_class_embeds or unet.config.encoder_hid_dim_type
        or unet.config.time_cond_proj_dim
    )  # fmt: skip


class _Unet(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, words: torch.Tensor, *added: torch.Tensor) -> Any:
        conditions = dict(zip(SDXL, added, strict=True)) if added else None
        return self.unet(sample, timestep, words, added_cond_kwargs=conditions, return_dict=False)[0]


def _unet(unet: UNet2DConditionModel) -> Part:
    config, dtype = unet.config, unet.dtype
    size = config.sample_size if isinstance(config.sample_size, int) else 32
    example = [
        torch.zeros(2, config.in_channels, size, size, dtype=dtype),
        torch.tensor(500.0),
        torch.zeros(2, TOKENS, config.cross_attention_dim, dtype=dtype),
    ]
    with_size = config.addition_embed_type == "text_time"
    if with_size:
        words = config.projection_class_embeddings_input_dim - TIME_IDS * config.addition_time_embed_dim
        example += [torch.zeros(2, words, dtype=dtype), torch.zeros(2, TIME_IDS, dtype=dtype)]

    def arrange(
        sample: torch.Tensor,
        timestep: Any,
        encoder_hidden_states: torch.Tensor,
        *more: Any,
        added_cond_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
        **others: Any,
    ) -> Inputs | None:
        if more or any(value is not None and value != {} for value in others.values()):
            return None
        time = torch.as_tensor(timestep, dtype=torch.float32)
        added = dict(added_cond_kwargs or {})
        if time.numel() != 1 or tuple(added) != (SDXL if with_size else ()) or sample.dtype != dtype:
            return None
        return sample, time.reshape(()), encoder_hidden_states, *added.values()

    def answer(made: torch.Tensor, *, return_dict: bool = True, **others: Any) -> Any:
        return UNet2DConditionOutput(sample=made) if return_dict else (made,)

    return Part("unet", unet, _Unet(unet), tuple(example), arrange, answer)


def _decoder(vae: AutoencoderKL) -> Part:
    decoder, dtype = vae.decoder, vae.dtype

    def arrange(sample: torch.Tensor, latent_embeds: torch.Tensor | None = None) -> Inputs | None:
        return (sample,) if latent_embeds is None and sample.dtype == dtype else None

    def answer(made: torch.Tensor, **others: Any) -> Any:
        return made

    example = (torch.zeros(1, vae.config.latent_channels, 32, 32, dtype=dtype),)
    return Part("decoder", decoder, decoder, example, arrange, answer)
