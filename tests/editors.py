"""One small random pipeline of each kind that reads instructions, of the real classes."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLFlux2,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.pipelines.flux import pipeline_flux_kontext
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from app.diffusion.picture_words import FOR_PICTURES, FOR_WORDS, PictureProcessor, WordProcessor
from tests.families import flux, qwen_image, sd15
from tests.pipelines import tiny_unet
from tests.tokenizers import mistral_tokenizer, qwen_tokenizer

LOOKED_AT = 128  # pixels along a side; the real ones look at 1024
_TOKENS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]


def pix2pix(folder: Path) -> Any:
    parts = sd15(folder).components | {"unet": tiny_unet(in_channels=8)}
    parts["scheduler"] = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False)
    return StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)


def kontext(folder: Path) -> Any:
    return FluxKontextPipeline(**flux(folder).components)


def _flux2_parts(text: int, *, guided: bool) -> dict[str, Any]:
    vae = AutoencoderKLFlux2(
        block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=4, norm_num_groups=2,
        sample_size=1024, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * text, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=guided,
    )  # fmt: skip
    return {"vae": vae, "transformer": transformer,
            "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)}  # fmt: skip


def klein(folder: Path) -> Any:
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            hidden_size=16, intermediate_size=16, num_hidden_layers=28, num_attention_heads=2, num_key_value_heads=2,
            head_dim=8, vocab_size=300, max_position_embeddings=1024,
        )
    )  # fmt: skip
    return Flux2KleinPipeline(text_encoder=encoder, tokenizer=qwen_tokenizer(), **_flux2_parts(16, guided=False))


def flux2(folder: Path) -> Any:
    tokenizer = mistral_tokenizer()
    reads = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 31, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 300, "max_position_embeddings": 1024,
        "model_type": "mistral",
    }  # fmt: skip
    looks = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 56,
        "patch_size": 14, "model_type": "pixtral",
    }  # fmt: skip
    config = Mistral3Config(text_config=reads, vision_config=looks, image_token_index=tokenizer.vocab["[IMG]"])
    encoder = Mistral3ForConditionalGeneration(config)
    words = WordProcessor(tokenizer, tokenizer.chat_template)
    return Flux2Pipeline(text_encoder=encoder, tokenizer=words, **_flux2_parts(16, guided=True))


def _qwen_parts(folder: Path) -> dict[str, Any]:
    parts: dict[str, Any] = qwen_image(folder).components
    tokenizer = qwen_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", *_TOKENS]})
    config = parts["text_encoder"].config
    ids = tokenizer.convert_tokens_to_ids(_TOKENS)
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    for name, number in zip(names, ids, strict=True):
        setattr(config, name, number)
    processor = PictureProcessor(Qwen2VLImageProcessorPil(), tokenizer)
    return parts | {"tokenizer": tokenizer, "processor": processor}


def qwen_edit(folder: Path) -> Any:
    return QwenImageEditPipeline(**_qwen_parts(folder))


def qwen_edit_plus(folder: Path) -> Any:
    return QwenImageEditPlusPipeline(**_qwen_parts(folder))


EDITORS: Mapping[str, Callable[[Path], Any]] = {
    "pix2pix": pix2pix, "kontext": kontext, "flux2": flux2, "klein": klein, "qwen-edit": qwen_edit,
    "qwen-edit-plus": qwen_edit_plus,
}  # fmt: skip


def save_editor(name: str, folder: Path, seed: int = 0) -> Path:
    """Save a small pipeline that reads instructions; gives the folder back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = EDITORS[name](folder.parent / f"{folder.name}-work").to("cpu")
    pipe.save_pretrained(folder, safe_serialization=True)
    index = folder / "model_index.json"
    said = json.loads(index.read_text())
    for part, cls in (FOR_PICTURES, FOR_WORDS):
        if said.get(part, [""])[0] not in ("transformers", ""):
            said[part] = ["transformers", cls]  # as the real ones name it
    index.write_text(json.dumps(said))
    return folder


@contextmanager
def looking_at_little() -> Iterator[None]:
    """While open, the pipelines bring pictures to 128 pixels along a side, and not to 1024."""
    area = LOOKED_AT**2
    own = pipeline_qwenimage_edit.calculate_dimensions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", [(96, 160), (128, 128), (160, 96)])
        patch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda _, ratio: own(area, ratio))
        patch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", area)
        patch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", area)
        yield
