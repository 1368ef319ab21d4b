"""What a memory plan is: the tier, what it switches on, and what it is expected to need."""

from dataclasses import dataclass

from app.core.settings import Tier

LOSSY = frozenset({Tier.INT8, Tier.FP8, Tier.FP8_OFFLOAD, Tier.INT4})
# The optional package that a tier needs.
PACKAGES = {Tier.INT8: "torchao", Tier.INT4: "bitsandbytes"}
REQUIREMENTS_FILE = "requirements-quantized.txt"
WORDS = {
    Tier.RESIDENT: "everything stays in memory",
    Tier.RELEASED: "text encoders leave memory after encoding",
    Tier.MODEL_OFFLOAD: "one part at a time on the GPU",
    Tier.GROUP_OFFLOAD: "layers are streamed to the GPU one by one",
    Tier.INT8: "denoiser quantized to 8 bit, text encoders leave memory after encoding",
    Tier.FP8: "denoiser kept in fp8, text encoders leave memory after encoding",
    Tier.FP8_OFFLOAD: "denoiser kept in fp8, layers are streamed to the GPU one by one",
    Tier.INT4: "denoiser quantized to 4 bit, text encoders leave memory after encoding",
}
_TILED = "VAE decodes in tiles"


@dataclass(frozen=True)
class Plan:
    """What is switched on for one model. `expected_*` are peak bytes for one picture of the model's default size.

    `expected_vram` is None where there is no GPU. `pinned`: the streamed denoiser is held in page-locked RAM,
    which makes the transfer fast and cannot be swapped out. `half`: a CPU computes in bfloat16 to save memory, though
    float32 would be its choice. `fits` is False for what would not run; then `hint` says what would
    help. `reason` is why it was chosen.
    """

    tier: Tier
    vae_tiling: bool = False
    pinned: bool = False
    half: bool = False
    expected_vram: int | None = None
    expected_ram: int = 0
    fits: bool = True
    reason: str = ""
    hint: str = ""

    @property
    def lossless(self) -> bool:
        """True if the pixels are those of the resident tier without tiles."""
        return self.tier not in LOSSY and not self.vae_tiling

    @property
    def releases_encoders(self) -> bool:
        """True if the text encoders are in memory only while a prompt is encoded."""
        return self.tier in (Tier.RELEASED, Tier.FP8, Tier.INT8, Tier.INT4)

    def name(self) -> str:
        """`resident`, `fp8, VAE tiling`."""
        return f"{self.tier}, VAE tiling" if self.vae_tiling else self.tier.value

    def words(self) -> str:
        """The plan as the recipe has it: `released: text encoders leave memory after encoding`."""
        text = f"{self.tier}: {WORDS[self.tier]}"
        if self.vae_tiling:
            text += f", {_TILED}"
        return text if self.lossless else f"{text} (changes pixels slightly)"
