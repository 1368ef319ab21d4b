"""What is known of each family of models: one row each, and the only place where a diffusers pipeline's name stands.

A family is told by the class that turns a prompt alone into a picture, which is the class that a model's
`model_index.json` names.
"""

from collections.abc import Mapping

from app.core.task import Task
from app.families.drawing import (
    EMBEDDED,
    FAMILIES,
    FLUX,
    LATENT_CONSISTENCY,
    LORA_FLUX,
    LORA_QWEN,
    LORA_SD1,
    LORA_SD2,
    LORA_SDXL,
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_3,
    STABLE_DIFFUSION_XL,
)
from app.families.family import IP_ADAPTER, OF_TOKENS, T2I_ADAPTER, Family, Guidance, Redraws
from app.families.others import CONTROL_MODELS, OF_TRANSFORMERS, REDRAWERS, TOKEN_MODELS

__all__ = [
    "CONTROL_MODELS",
    "EMBEDDED",
    "FAMILIES",
    "FLUX",
    "IP_ADAPTER",
    "LATENT_CONSISTENCY",
    "LORA_FLUX",
    "LORA_QWEN",
    "LORA_SD1",
    "LORA_SD2",
    "LORA_SDXL",
    "OF_TOKENS",
    "OF_TRANSFORMERS",
    "REDRAWERS",
    "STABLE_DIFFUSION",
    "STABLE_DIFFUSION_3",
    "STABLE_DIFFUSION_XL",
    "T2I_ADAPTER",
    "TOKEN_MODELS",
    "Family",
    "Guidance",
    "Redraws",
    "family_of",
    "is_known",
]

_BY_PIPELINE: Mapping[str, Family] = {
    family.pipeline: family for family in (*FAMILIES, *TOKEN_MODELS, *OF_TRANSFORMERS, *REDRAWERS, *CONTROL_MODELS)
}


def is_known(pipeline: str) -> bool:
    """True for the class of a family that can be run here."""
    return pipeline in _BY_PIPELINE


def family_of(pipeline: str | None) -> Family:
    """The family that a class belongs to; for a class that nothing is known of, a row that claims nothing."""
    return _BY_PIPELINE.get(pipeline or "") or Family("of no known kind", {Task.TEXT: pipeline or ""})
