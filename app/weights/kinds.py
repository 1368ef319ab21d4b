"""Which kind of model a single weights file holds, told from its tensors' names and shapes and never from its name.

The names are those of the original training code ("LDM layout"), which all single-file checkpoints keep.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.families import STABLE_DIFFUSION, STABLE_DIFFUSION_XL, Family

Shapes = Mapping[str, tuple[int, ...]]

UNET_INPUT = "model.diffusion_model.input_blocks.0.0.weight"
TEXT_CLIP_L = "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"
TEXT_OPEN_CLIP = "cond_stage_model.model.token_embedding.weight"
TEXT_XL = "conditioner.embedders.1.model.positional_embedding"
TEXT_REFINER = "conditioner.embedders.0.model.positional_embedding"
VAE = "first_stage_model.decoder.conv_in.weight"
V_PREDICTION = "v_pred"  # an empty tensor by which SDXL finetunes with v-prediction say so
ZERO_SNR = "ztsnr"
LATENT_CHANNELS = 4
_LORA_MARKS = (".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.", ".hada_w1_a", ".lokr_w1")
_TRANSFORMERS = {
    "double_blocks.0.img_attn.norm.key_norm.scale": "a FLUX transformer",
    "joint_blocks.0.context_block.adaLN_modulation.1.bias": "a Stable Diffusion 3 transformer",
    "transformer_blocks.0.img_mod.1.weight": "a Qwen-Image transformer",
    "layers.0.adaLN_modulation.0.weight": "a Z-Image transformer",
}
ALONE = "Put it beside a folder of its family, as `transformer` of a catalog entry."


class Layout(StrEnum):
    """The single files that are whole pipelines; the value names the folder with their configuration."""

    SD1 = "stable-diffusion-v1"
    SD2 = "stable-diffusion-v2"
    SDXL = "stable-diffusion-xl"

    @property
    def family(self) -> Family:
        """The family that it is a model of."""
        return STABLE_DIFFUSION_XL if self is Layout.SDXL else STABLE_DIFFUSION


@dataclass(frozen=True)
class Kind:
    """What a file holds. `layout` is None for what cannot be run by itself; `words` says what it is then."""

    words: str
    layout: Layout | None = None
    hint: str | None = None
    v_prediction: bool = False
    zero_snr: bool = False


def kind_of(shapes: Shapes) -> Kind:
    """What the tensors of a file are."""
    if any(mark in name for name in shapes for mark in _LORA_MARKS):
        return Kind("a LoRA, not a model", hint="It is used together with a model, not instead of one.")
    if UNET_INPUT not in shapes:
        return _part_of(shapes)
    channels = shapes[UNET_INPUT][1] if len(shapes[UNET_INPUT]) == 4 else 0
    if channels == 2 * LATENT_CHANNELS + 1:
        return Kind("an inpainting model, which needs a picture to start from")
    if channels == 2 * LATENT_CHANNELS:
        return Kind("an editing model, which needs a picture to start from")
    if channels != LATENT_CHANNELS:
        return Kind(f"a UNet with {channels} input channels, which no text-to-image pipeline has")
    if TEXT_REFINER in shapes and TEXT_XL not in shapes:
        return Kind("an SDXL refiner, which needs a picture to start from")
    if "edm_mean" in shapes:
        return Kind("a Playground v2.5 model, which runs as a folder only")
    if VAE not in shapes:
        return Kind("a model without its VAE", hint="A file of the whole model is needed, or a diffusers folder.")
    for mark, layout in ((TEXT_XL, Layout.SDXL), (TEXT_OPEN_CLIP, Layout.SD2), (TEXT_CLIP_L, Layout.SD1)):
        if mark in shapes:
            words = layout.value.replace("-", " ")
            return Kind(words, layout, v_prediction=V_PREDICTION in shapes, zero_snr=ZERO_SNR in shapes)
    return Kind("a model without its text encoder", hint="A file of the whole model is needed, or a diffusers folder.")


def _part_of(shapes: Shapes) -> Kind:
    """Names for the parts of models that people keep as single files."""
    if any(name.startswith("control_model.") for name in shapes):
        return Kind("a ControlNet, not a model")
    for mark, words in _TRANSFORMERS.items():
        if mark in shapes or f"model.diffusion_model.{mark}" in shapes:
            return Kind(f"{words} without text encoder and VAE", hint=ALONE)
    if "decoder.conv_in.weight" in shapes:
        return Kind("a VAE alone")
    if "down_blocks.0.resnets.0.conv1.weight" in shapes:
        return Kind("a UNet alone")
    if any(name.endswith("embeddings.position_embedding.weight") for name in shapes):
        return Kind("a text encoder alone")
    return Kind("of no known kind")
