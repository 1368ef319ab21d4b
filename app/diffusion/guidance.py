"""How a pipeline takes the strength of a prompt, and what to say of a negative prompt that did nothing."""

from typing import Any

from app.diffusion.kinds import Pipeline
from app.families import EMBEDDED, Guidance, family_of

_USUAL = Guidance()


def guidance_of(pipe: Pipeline) -> Guidance:
    """How this pipeline takes guidance."""
    family = family_of(type(pipe).__name__)
    distilled = getattr(getattr(pipe, "unet", None), "config", None)
    usual = family.guidance == _USUAL and family.redraws is None  # which has other things in that place
    if usual and distilled is not None and distilled.get("time_cond_proj_dim") is not None:
        return EMBEDDED  # an LCM inside an ordinary pipeline
    return family.guidance


def takes_negative(pipe: Pipeline, scale: float) -> bool:
    """True if a negative prompt has an effect at this guidance_scale."""
    guidance = guidance_of(pipe)
    return guidance.negative and scale > guidance.threshold


def guidance_arguments(pipe: Pipeline, scale: float) -> dict[str, Any]:
    """The guidance part of a pipeline call."""
    return {guidance_of(pipe).parameter: scale}


def guidance_notes(pipe: Pipeline, negative: str, scale: float) -> list[str]:
    """What the picture's owner should know about a negative prompt that did nothing."""
    guidance = guidance_of(pipe)
    if not negative or takes_negative(pipe, scale):
        return []
    if not guidance.negative:
        return ["the negative prompt was not used: this model takes none"]
    return [
        f"the negative prompt has no effect without guidance (guidance_scale above {guidance.threshold:g})",
    ]
