"""How many numbers each part of a model holds, and how much memory a picture needs beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.models import ModelFacts
from app.families import family_of

MIB = 2**20
DECODE_TILE_PIXELS = 512 * 512
# Bytes for each pixel of a picture while the VAE decodes it, in 16 bit. SDXL at 1024x1024: a batch of four peaks at
# 21.7 GB decoded together and at 15.4 GB one by one, which is 2.1 GB a picture; resident peak 8.96 GB = weights + 2.0.
DECODE_BYTES = 2100
DECODE_BYTES_3D = 3000  # estimate: the VAEs of video models (Qwen-Image) keep frames of context as well
# Bytes for each pixel in a denoising step with guidance, in 16 bit. Estimates: attention itself needs next to nothing.
DENOISE_BYTES = 600
DENOISE_BYTES_TRANSFORMER = 1000
# An upscaler makes one tile at a time, whatever the picture: 5.1 KB a pixel in float32 (measured: `pocket-upscaler`).
UPSCALE_BYTES, UPSCALED_TILE_PIXELS = 2600, 224 * 224
_MOST_OF_ENCODERS = 0.6  # a share no model in the table exceeds by much; for models much smaller than their family


@dataclass(frozen=True)
class ModelParts:
    """Parameters of a model's parts, and bytes a pixel needs in 16 bit. `largest_encoder` is one of `encoders`.

    `one_file`: the denoiser comes from a single file, as it is; it cannot be kept in another number format.
    `convolves`: it is a UNet, much of which is convolutions.
    """

    encoders: int
    largest_encoder: int
    denoiser: int
    vae: int
    decode_bytes: int = DECODE_BYTES
    denoise_bytes: int = DENOISE_BYTES
    one_file: bool = False
    convolves: bool = True

    @property
    def total(self) -> int:
        """All parameters."""
        return self.encoders + self.denoiser + self.vae


def role_of(component: str) -> str:
    """`encoder`, `vae` or `denoiser`, by the name that a pipeline gives to a part with weights."""
    if component.startswith(("text_encoder", "image_encoder")):
        return "encoder"
    return "vae" if component in ("vae", "vqvae") else "denoiser"


def parts_of(components: Mapping[str, int], pipeline: str) -> ModelParts:
    """The parts by the parameters of each component."""
    by_role: dict[str, list[int]] = {"encoder": [], "vae": [], "denoiser": []}
    for name, parameters in components.items():
        by_role[role_of(name)].append(parameters)
    encoders = by_role["encoder"]
    return _parts(sum(encoders), max(encoders, default=0), sum(by_role["denoiser"]), sum(by_role["vae"]), pipeline)


def guessed_parts(parameters: int, pipeline: str) -> ModelParts:
    """The parts of a model of which only the whole is known: text encoders and VAE as its family has them."""
    family = family_of(pipeline)
    vae = min(family.vae_parameters, parameters // 10)
    encoders = min(family.encoder_parameters, int(parameters * _MOST_OF_ENCODERS))
    return _parts(encoders, encoders, parameters - encoders - vae, vae, pipeline)


def parts_of_entry(entry: ModelFacts) -> ModelParts | None:
    """The parts of a model as it is described; None if nothing is known of its size."""
    if _enlarges_as_one(entry):
        parameters = entry.parameters or entry.size_bytes // 4
        return ModelParts(0, 0, parameters, 0, 0, UPSCALE_BYTES, one_file=True, convolves=False) if parameters else None
    if entry.components:
        return parts_of(entry.components, entry.pipeline)
    # Most files hold two bytes for each number; only the catalog's own entries say how many numbers there are.
    parameters = entry.parameters or entry.size_bytes // 2
    return guessed_parts(parameters, entry.pipeline) if parameters else None


def pixels_of_entry(entry: ModelFacts) -> int:
    """How many pixels a model works on at once when it makes one picture of its own size, or one tile."""
    return UPSCALED_TILE_PIXELS if _enlarges_as_one(entry) else entry.width * entry.height


def _enlarges_as_one(entry: ModelFacts) -> bool:
    """True for an upscaler that is one model of transformers, held as it is."""
    family = family_of(entry.pipeline)
    return family.only_enlarges and not family.in_parts


def _parts(encoders: int, largest: int, denoiser: int, vae: int, pipeline: str) -> ModelParts:
    family = family_of(pipeline)
    decode = DECODE_BYTES_3D if family.video_vae else DECODE_BYTES
    denoise = DENOISE_BYTES if family.convolves else DENOISE_BYTES_TRANSFORMER
    steps = family.step_bytes or denoise
    return ModelParts(encoders, largest, denoiser, vae, decode, steps, convolves=family.convolves)
