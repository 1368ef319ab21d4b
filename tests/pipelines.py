"""Small pipelines with random weights, of the real classes: built and saved in a second, no network.

They draw coloured noise, but load, schedule, guide, decode and cancel exactly as the big ones do.
"""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    Swin2SRConfig,
    Swin2SRForImageSuperResolution,
    T5Config,
    T5EncoderModel,
)

TEXT_WIDTH = 32


def byte_tokenizer(max_length: int = 77) -> CLIPTokenizer:
    """A CLIP tokenizer without merges: one token for each byte (and for each byte at a word's end)."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [chr(byte) for byte in visible] + [chr(256 + i) for i in range(len(hidden))]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=max_length)


def tiny_text_encoder(tokenizer: CLIPTokenizer, width: int = TEXT_WIDTH) -> CLIPTextModel:
    """Two layers of a CLIP text encoder that fits the tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def tiny_unet(text_width: int = TEXT_WIDTH, in_channels: int = 4, **more: object) -> UNet2DConditionModel:
    """An SD-shaped UNet of about half a million parameters."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=8,
        **more,
    )


def tiny_vae() -> AutoencoderKL:
    """A VAE with 4 latent channels and a factor of 8, as Stable Diffusion has it."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=128,
    )


def vae_of(channels: int) -> AutoencoderKL:
    """A VAE as FLUX, SD3 and Z-Image have it: more latent channels, a shift, a factor of 8."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=1024,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def t5_encoder() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=128, d_model=32, d_ff=37, d_kv=8, num_layers=2, num_heads=4))


def make_tiny_sd(folder: Path, seed: int = 0, words: float = 1) -> Path:
    """Save a StableDiffusionPipeline of about a million random parameters as safetensors; gives the folder back.

    Its pictures are 128x128 by default. The same `seed` gives the same weights. `words` is how many times as much the
    prompt has to say in them.
    """
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = StableDiffusionPipeline(
            tokenizer=tokenizer,
            text_encoder=tiny_text_encoder(tokenizer),
            unet=tiny_unet(),
            vae=tiny_vae(),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    for name, weight in pipe.unet.named_parameters():
        if "attn2.to_out.0.weight" in name:
            weight.data.mul_(words)
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def make_tiny_upscaler(folder: Path, factor: int = 2) -> Path:
    """Save a Swin2SR of a few thousand random parameters; gives the folder back."""
    config = Swin2SRConfig(
        image_size=16, embed_dim=12, depths=[1], num_heads=[2], window_size=8, upscale=factor,
        upsampler="pixelshuffledirect",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Swin2SRForImageSuperResolution(config).save_pretrained(folder)
    return folder


def make_tiny_redrawer(folder: Path) -> Path:
    """Save a StableDiffusionUpscalePipeline of random parameters, shaped as that of the x4 upscaler."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe = StableDiffusionUpscalePipeline(
            tokenizer=tokenizer,
            text_encoder=tiny_text_encoder(tokenizer),
            unet=tiny_unet(in_channels=7, num_class_embeds=1000),
            vae=AutoencoderKL(
                block_out_channels=(16, 16, 32),
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                layers_per_block=1,
                latent_channels=4,
                norm_num_groups=8,
                scaling_factor=0.08333,
            ),
            low_res_scheduler=DDPMScheduler(beta_schedule="scaled_linear"),
            scheduler=DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction", clip_sample=False),
        )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def make_tiny_latent_redrawer(folder: Path) -> Path:
    """Save a StableDiffusionLatentUpscalePipeline of random parameters, shaped as that of the x2 latent upscaler."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            in_channels=8, out_channels=5, block_out_channels=(32, 32, 64, 64), cross_attention_dim=TEXT_WIDTH,
            down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3), mid_block_type=None,
            up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"), attention_head_dim=8, norm_num_groups=None,
            act_fn="gelu", time_embedding_type="fourier", timestep_post_act="gelu", only_cross_attention=False,
            resnet_time_scale_shift="scale_shift", conv_in_kernel=1, conv_out_kernel=1,
            time_cond_proj_dim=128 + TEXT_WIDTH,
        )  # fmt: skip
        pipe = StableDiffusionLatentUpscalePipeline(
            tokenizer=tokenizer,
            text_encoder=tiny_text_encoder(tokenizer),
            unet=unet,
            vae=tiny_vae(),
            scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", prediction_type="sample"),
        )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def plain_upscaled(folder: Path, picture: Image.Image) -> Image.Image:
    """A picture made larger as the documentation of Swin2SR does it."""
    model = Swin2SRForImageSuperResolution.from_pretrained(folder).eval()
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(picture.height, picture.width, 3)
    with torch.no_grad():
        made = model(values.permute(2, 0, 1)[None].float() / 255).reconstruction[0].clamp(0, 1)
    pixels = (made * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    return Image.frombytes("RGB", (pixels.shape[1], pixels.shape[0]), pixels.numpy().tobytes())


def catalog_toml(models_folder: Path, **models: dict[str, object]) -> Path:
    """Write a `catalog.toml` into a test's models folder: one table for each model."""
    lines = []
    for key, values in models.items():
        lines.append(f"[{key}]")
        lines.extend(f"{name} = {json.dumps(value)}" for name, value in values.items())
    file = models_folder / "catalog.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
