"""How strongly a prompt pulls: the same `guidance_scale` is another parameter in some pipelines, and some take no
negative prompt. One table says which.

Source: the `__call__` of each class in diffusers 0.42.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.diffusion.kinds import Pipeline


@dataclass(frozen=True)
class Guidance:
    """`parameter` takes the request's guidance_scale; above `threshold` each step runs with and without the prompt.

    `negative` is false where no negative prompt can work. `empty` stands for an empty negative prompt where the
    pipeline would otherwise not guide at all.
    """

    parameter: str = "guidance_scale"
    threshold: float = 1.0
    negative: bool = True
    empty: str | None = None


_USUAL = Guidance()
# The scale is an input of the network here, and there is no second pass that a negative prompt could steer.
_EMBEDDED = Guidance(negative=False)
_SPECIAL: Mapping[str, Guidance] = {
    # Its `guidance_scale` is for distilled models only; without a negative prompt it silently does not guide.
    "QwenImagePipeline": Guidance("true_cfg_scale", empty=" "),
    "ZImagePipeline": Guidance(threshold=0.0),
    "FluxPipeline": _EMBEDDED,
    "Flux2Pipeline": _EMBEDDED,
    "LatentConsistencyModelPipeline": _EMBEDDED,
    "Flux2KleinPipeline": Guidance(negative=False),  # guides against the empty prompt only
}


def guidance_of(pipe: Pipeline) -> Guidance:
    """How this pipeline takes guidance."""
    known = _SPECIAL.get(type(pipe).__name__, _USUAL)
    distilled = getattr(getattr(pipe, "unet", None), "config", None)
    if known is _USUAL and distilled is not None and distilled.get("time_cond_proj_dim") is not None:
        return _EMBEDDED  # an LCM inside an ordinary pipeline
    return known


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
