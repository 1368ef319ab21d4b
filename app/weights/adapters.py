"""Which IP-Adapter a weights file holds, told from its tensors' names and shapes; none of it is read."""

from collections.abc import Mapping
from pathlib import Path

from app.core.errors import ModelRefused
from app.families import FLUX, STABLE_DIFFUSION, STABLE_DIFFUSION_3, STABLE_DIFFUSION_XL
from app.weights.header import read_header

WEIGHTS = "*.safetensors"
IMAGE_PART, ATTENTION_PART = "image_proj.", "ip_adapter."
XL_TEXT = 2048  # numbers of a token for SDXL; smaller for what was before


def adapter_file(folder: Path) -> Path | None:
    """The weights of the IP-Adapter in a folder; None if it holds none, several or others. Raises OSError."""
    files = sorted(folder.glob(WEIGHTS))
    if len(files) != 1:
        return None
    try:
        names = read_header(files[0]).shapes
    except ModelRefused:
        return None
    whole = all(any(name.startswith(part) for name in names) for part in (IMAGE_PART, ATTENTION_PART))
    return files[0] if whole else None


def adapter_base(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The pipeline class of the models that an IP-Adapter is for."""
    if any(name.endswith(".norm_ip.linear.weight") for name in shapes):
        return STABLE_DIFFUSION_3.pipeline
    if f"{ATTENTION_PART}0.to_k_ip.bias" in shapes:
        return FLUX.pipeline
    width = shapes.get(f"{ATTENTION_PART}1.to_k_ip.weight", (0, 0))[-1]
    return (STABLE_DIFFUSION_XL if width >= XL_TEXT else STABLE_DIFFUSION).pipeline
