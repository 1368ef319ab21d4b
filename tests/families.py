"""One small random pipeline of each family, of the real classes: what the big ones do, in a fraction of a second."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    KolorsPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
from transformers import (
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from tests.more_families import MORE
from tests.pipelines import (
    TEXT_WIDTH,
    byte_tokenizer,
    t5_encoder,
    tiny_text_encoder,
    tiny_unet,
    tiny_vae,
    vae_of,
)
from tests.tokenizers import gemma_tokenizer, glm_tokenizer, qwen_tokenizer, t5_tokenizer

# The shift of Qwen-Image-Lightning's model card: exp(log 3) at every size, so that 8 steps are spread as it learnt.
LIGHTNING = {
    "base_image_seq_len": 256, "base_shift": 1.0986122886681098, "invert_sigmas": False, "max_image_seq_len": 8192,
    "max_shift": 1.0986122886681098, "num_train_timesteps": 1000, "shift": 1.0, "shift_terminal": None,
    "stochastic_sampling": False, "time_shift_type": "exponential", "use_beta_sigmas": False,
    "use_dynamic_shifting": True, "use_exponential_sigmas": False, "use_karras_sigmas": False,
}  # fmt: skip


def clip_with_projection(width: int = TEXT_WIDTH) -> CLIPTextModelWithProjection:
    config = tiny_text_encoder(byte_tokenizer(), width).config
    config.projection_dim = width
    return CLIPTextModelWithProjection(config)


def sd15(folder: Path) -> Any:
    tokenizer = byte_tokenizer()
    return StableDiffusionPipeline(
        tokenizer=tokenizer, text_encoder=tiny_text_encoder(tokenizer), unet=tiny_unet(), vae=tiny_vae(),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sd21(folder: Path) -> Any:
    """v-prediction, linear projections, another width of text."""
    pipe = sd15(folder)
    tokenizer = byte_tokenizer()
    return StableDiffusionPipeline(
        tokenizer=tokenizer, text_encoder=tiny_text_encoder(tokenizer, 48), vae=pipe.vae,
        unet=tiny_unet(48, use_linear_projection=True), safety_checker=None, feature_extractor=None,
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, prediction_type="v_prediction"),
        requires_safety_checker=False,
    )  # fmt: skip


def _xl_unet(text: int, pooled: int, **more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        cross_attention_dim=text,
        attention_head_dim=(2, 4),
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + pooled,
        **more,
    )


def sdxl(folder: Path, scheduler: Any = None) -> Any:
    second = byte_tokenizer()
    second.pad_token = "!"  # as the second tokenizer of SDXL
    return StableDiffusionXLPipeline(
        vae=tiny_vae(), text_encoder=tiny_text_encoder(byte_tokenizer()), text_encoder_2=clip_with_projection(48),
        tokenizer=byte_tokenizer(), tokenizer_2=second, unet=_xl_unet(TEXT_WIDTH + 48, 48), add_watermarker=False,
        scheduler=scheduler or EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    )  # fmt: skip


def sdxl_turbo(folder: Path) -> Any:
    return sdxl(folder, EulerAncestralDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="trailing"))


def sd3(folder: Path) -> Any:
    transformer = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=2 * TEXT_WIDTH, pooled_projection_dim=2 * TEXT_WIDTH,
        out_channels=16, pos_embed_max_size=16, qk_norm="rms_norm",
    )  # fmt: skip
    t5 = T5EncoderModel(T5Config(vocab_size=128, d_model=2 * TEXT_WIDTH, d_ff=37, d_kv=8, num_layers=2, num_heads=4))
    return StableDiffusion3Pipeline(
        transformer=transformer, vae=vae_of(16), scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=clip_with_projection(), text_encoder_2=clip_with_projection(), text_encoder_3=t5,
        tokenizer=byte_tokenizer(), tokenizer_2=byte_tokenizer(), tokenizer_3=t5_tokenizer(256),
    )  # fmt: skip


def flux(folder: Path) -> Any:
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=TEXT_WIDTH, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return FluxPipeline(
        transformer=transformer, vae=vae_of(16), text_encoder=tiny_text_encoder(byte_tokenizer()),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), text_encoder_2=t5_encoder(),
        tokenizer=byte_tokenizer(), tokenizer_2=t5_tokenizer(512),
    )  # fmt: skip


def qwen_image(folder: Path, **scheduler: Any) -> Any:
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=3,
        joint_attention_dim=16, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=16, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.1] * 4, latents_std=[0.9] * 4,
    )  # fmt: skip
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                "num_key_value_heads": 2, "vocab_size": 300,
                "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            },
            image_token_id=280, video_token_id=281, vision_start_token_id=282, vision_end_token_id=283,
        )
    )  # fmt: skip
    shift = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 0.9, "max_image_seq_len": 8192} | scheduler
    return QwenImagePipeline(
        transformer=transformer, vae=vae, text_encoder=encoder, tokenizer=qwen_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(**shift),
    )  # fmt: skip


def qwen_image_lightning(folder: Path) -> Any:
    return qwen_image(folder, **LIGHTNING)


def z_image(folder: Path) -> Any:
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=16, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[1536, 512, 512],
    )  # fmt: skip
    with torch.no_grad():  # they are left as the memory was
        transformer.x_pad_token.normal_()
        transformer.cap_pad_token.normal_()
    encoder = Qwen3Model(
        Qwen3Config(
            hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
            head_dim=8, vocab_size=300, max_position_embeddings=1024,
        )
    )  # fmt: skip
    return ZImagePipeline(
        transformer=transformer, vae=vae_of(16), text_encoder=encoder, tokenizer=qwen_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def sana(folder: Path) -> Any:
    transformer = SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8,
        sample_size=32,
    )  # fmt: skip
    vae = AutoencoderDC(
        latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock",) * 6,
        decoder_block_types=("ResBlock",) * 6, encoder_block_out_channels=(8,) * 6,
        decoder_block_out_channels=(8,) * 6, encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6,
        encoder_layers_per_block=(1,) * 6, decoder_layers_per_block=(1,) * 6, downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip
    encoder = Gemma2Model(
        Gemma2Config(
            head_dim=8, hidden_size=8, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
            num_key_value_heads=2, vocab_size=400, attn_implementation="eager",
        )
    )  # fmt: skip
    return SanaPipeline(
        transformer=transformer, vae=vae, text_encoder=encoder, tokenizer=gemma_tokenizer(),
        scheduler=DPMSolverMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0, algorithm_type="dpmsolver++"
        ),
    )  # fmt: skip


def pixart_sigma(folder: Path) -> Any:
    transformer = PixArtTransformer2DModel(
        sample_size=16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, norm_type="ada_norm_single",
    )  # fmt: skip
    return PixArtSigmaPipeline(
        transformer=transformer, vae=tiny_vae(), text_encoder=t5_encoder(), tokenizer=t5_tokenizer(512),
        scheduler=DPMSolverMultistepScheduler(algorithm_type="dpmsolver++"),
    )  # fmt: skip


def kolors(folder: Path) -> Any:
    encoder = ChatGLMModel(
        ChatGLMConfig(
            num_layers=2, padded_vocab_size=200, hidden_size=32, ffn_hidden_size=16, kv_channels=8,
            num_attention_heads=4, seq_length=256, multi_query_attention=True, multi_query_group_num=2,
            add_qkv_bias=True, original_rope=True,
        )
    )  # fmt: skip
    with torch.no_grad():  # they are left as the memory was
        for weights in encoder.parameters():
            weights.normal_(std=0.1)
    unet = _xl_unet(32, 32, encoder_hid_dim_type="text_proj", encoder_hid_dim=32)
    folder.mkdir(parents=True, exist_ok=True)
    return KolorsPipeline(
        vae=tiny_vae(), text_encoder=encoder, tokenizer=glm_tokenizer(folder), unet=unet,
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"), force_zeros_for_empty_prompt=False,
    )  # fmt: skip


FAMILIES: Mapping[str, Callable[[Path], Any]] = {
    "sd15": sd15, "sd21": sd21, "sdxl": sdxl, "sdxl-turbo": sdxl_turbo, "sd3": sd3, "flux": flux, "sana": sana,
    "z-image": z_image, "pixart-sigma": pixart_sigma, "kolors": kolors, "qwen-image": qwen_image,
    "qwen-image-lightning": qwen_image_lightning, **MORE,
}  # fmt: skip


def build(name: str, work: Path, seed: int = 0) -> Any:
    """The pipeline of a family, its weights drawn from `seed`. `work` is a folder for files it needs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FAMILIES[name](work).to("cpu")


def save(name: str, folder: Path, seed: int = 0) -> Path:
    """The same, saved as a diffusers folder."""
    build(name, folder.parent / f"{folder.name}-work", seed).save_pretrained(folder, safe_serialization=True)
    return folder
