"""More of what `tests.families` has: families that are seldom used, as small, and of the real classes as well."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    ChromaPipeline,
    ChromaTransformer2DModel,
    CogVideoXDDIMScheduler,
    CogView3PlusPipeline,
    CogView3PlusTransformer2DModel,
    CogView4Pipeline,
    CogView4Transformer2DModel,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
)
from transformers import (
    Gemma2Config,
    Gemma2Model,
    GlmConfig,
    GlmModel,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.pipelines import byte_tokenizer, t5_encoder, tiny_text_encoder, tiny_unet, tiny_vae, vae_of
from tests.tokenizers import gemma_tokenizer, glm4_tokenizer, t5_tokenizer


def lcm(folder: Path) -> Any:
    tokenizer = byte_tokenizer()
    return LatentConsistencyModelPipeline(
        vae=tiny_vae(), text_encoder=tiny_text_encoder(tokenizer), tokenizer=tokenizer,
        unet=tiny_unet(time_cond_proj_dim=16), scheduler=LCMScheduler(beta_schedule="scaled_linear"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def pixart_alpha(folder: Path) -> Any:
    transformer = PixArtTransformer2DModel(
        sample_size=16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, norm_type="ada_norm_single",
        use_additional_conditions=False,
    )  # fmt: skip
    return PixArtAlphaPipeline(
        transformer=transformer, vae=tiny_vae(), text_encoder=t5_encoder(), tokenizer=t5_tokenizer(512),
        scheduler=DPMSolverMultistepScheduler(algorithm_type="dpmsolver++"),
    )  # fmt: skip


def chroma(folder: Path) -> Any:
    transformer = ChromaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_num_channels=64, approximator_hidden_dim=32,
        approximator_layers=1,
    )  # fmt: skip
    transformer.register_to_config(guidance_embeds=False)  # as the file of Chroma1-HD has it, and inpainting asks for
    return ChromaPipeline(
        transformer=transformer, vae=vae_of(4), text_encoder=t5_encoder(), tokenizer=t5_tokenizer(512),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True),
    )  # fmt: skip


def lumina2(folder: Path) -> Any:
    transformer = Lumina2Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=3, num_kv_heads=1, multiple_of=2, axes_dim_rope=(4, 2, 2), axes_lens=(512, 128, 128),
        cap_feat_dim=8,
    )  # fmt: skip
    encoder = Gemma2Model(
        Gemma2Config(
            head_dim=8, hidden_size=8, intermediate_size=16, num_attention_heads=2, num_hidden_layers=2,
            num_key_value_heads=2, vocab_size=400, attn_implementation="eager",
        )
    )  # fmt: skip
    return Lumina2Pipeline(
        transformer=transformer, vae=vae_of(4), text_encoder=encoder, tokenizer=gemma_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
    )  # fmt: skip


def aura_flow(folder: Path) -> Any:
    transformer = AuraFlowTransformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32, pos_embed_max_size=256,
    )  # fmt: skip
    with torch.no_grad():  # they are left as the memory was
        transformer.pos_embed.pos_embed.normal_()
        transformer.register_tokens.normal_()
    encoder = UMT5EncoderModel(
        UMT5Config(vocab_size=128, d_model=32, d_ff=37, d_kv=8, num_layers=2, num_heads=4)
    )  # fmt: skip
    return AuraFlowPipeline(
        transformer=transformer, vae=tiny_vae(), text_encoder=encoder, tokenizer=t5_tokenizer(512),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )  # fmt: skip


def cog_view_3(folder: Path) -> Any:
    transformer = CogView3PlusTransformer2DModel(
        patch_size=2, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=2, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=2, pos_embed_max_size=16, sample_size=8,
    )  # fmt: skip
    return CogView3PlusPipeline(
        transformer=transformer, vae=vae_of(4), text_encoder=t5_encoder(), tokenizer=t5_tokenizer(512),
        scheduler=CogVideoXDDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True),
    )  # fmt: skip


def cog_view_4(folder: Path) -> Any:
    transformer = CogView4Transformer2DModel(
        patch_size=2, in_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=4, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=4, rope_axes_dim=(8, 8),
    )  # fmt: skip
    encoder = GlmModel(
        GlmConfig(
            hidden_size=32, intermediate_size=8, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
            num_key_value_heads=4, vocab_size=300, pad_token_id=0, eos_token_id=1,
        )
    )  # fmt: skip
    return CogView4Pipeline(
        transformer=transformer, vae=vae_of(4), text_encoder=encoder, tokenizer=glm4_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True, time_shift_type="linear"
        ),
    )  # fmt: skip


MORE: Mapping[str, Callable[[Path], Any]] = {
    "lcm": lcm, "pixart-alpha": pixart_alpha, "chroma": chroma, "lumina2": lumina2, "aura-flow": aura_flow,
    "cogview3-plus": cog_view_3, "cogview4": cog_view_4,
}  # fmt: skip
