"""Pipelines of real size with random weights, for benchmarks on machines without a model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from tests.pipelines import byte_tokenizer, make_tiny_sd
from tests.tokenizers import t5_tokenizer

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def _random(cls: type, *arguments: object, **options: object) -> torch.nn.Module:
    """An object of the class with small random weights in bfloat16, made without float32 ones first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        made: torch.nn.Module = cls(*arguments, **options)
    finally:
        torch.set_default_dtype(before)
    return made.eval()


def _vae(scaling: float) -> torch.nn.Module:
    return _random(
        AutoencoderKL,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=scaling,
    )


def _clip(tokens: int, width: int, layers: int, cls: type = CLIPTextModel) -> torch.nn.Module:
    config = CLIPTextConfig(
        vocab_size=max(tokens, 1000), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=width // 64, projection_dim=width, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return _random(cls, config)


def sd15() -> StableDiffusionPipeline:
    """Stable Diffusion 1.5: UNet 860 M, VAE 84 M, text encoder 85 M without its words."""
    tokenizer = byte_tokenizer()
    return StableDiffusionPipeline(
        tokenizer=tokenizer,
        text_encoder=_clip(len(tokenizer), 768, 12),
        unet=_random(UNet2DConditionModel, sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        vae=_vae(0.18215),
        scheduler=DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> StableDiffusionXLPipeline:
    """SDXL: UNet 2.6 G, VAE 84 M, a first text encoder of its size, a second one of the first's layers."""
    tokenizer = byte_tokenizer()
    unet = _random(
        UNet2DConditionModel,
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    return StableDiffusionXLPipeline(
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        text_encoder=_clip(len(tokenizer), 768, 12),
        text_encoder_2=_clip(len(tokenizer), 1280, 12, CLIPTextModelWithProjection),
        unet=unet,
        vae=_vae(0.13025),
        scheduler=DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def pixart() -> PixArtSigmaPipeline:
    """PixArt-Sigma: a transformer of 611 M; its text encoder is a small one, for that is not what is measured."""
    tokenizer = t5_tokenizer()
    config = T5Config(vocab_size=len(tokenizer), d_model=4096, d_kv=64, d_ff=1024, num_layers=2, num_heads=64)
    return PixArtSigmaPipeline(
        tokenizer=tokenizer,
        text_encoder=_random(T5EncoderModel, config),
        transformer=_random(PixArtTransformer2DModel, sample_size=64, out_channels=8, caption_channels=4096),
        vae=_vae(0.13025),
        scheduler=DPMSolverMultistepScheduler(),
    )


MODELS: dict[str, Callable[[], DiffusionPipeline]] = {"sd15": sd15, "sdxl": sdxl, "pixart": pixart}
TINY = "tiny"


def make_large(name: str, folder: Path) -> Path:
    """The folder with this model, made if it is missing. Half made ones are made anew."""
    if name == TINY:
        return folder if folder.is_dir() else make_tiny_sd(folder)
    if not (folder / "model_index.json").is_file():
        unfinished = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            MODELS[name]().save_pretrained(unfinished, safe_serialization=True)
        unfinished.rename(folder)
    return folder
