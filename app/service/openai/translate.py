"""A body of `/v1/images/generations` as a request of ours, and how its sender wants the answer. Pure translation.

Parameters as in the `openai` SDK (its `types/image_generate_params.py`).
"""

import math
from collections.abc import Mapping
from typing import Any

from app.catalog import ModelEntry
from app.core.schema import GenerationRequest
from app.service.foreign.names import request_of
from app.service.openai.answers import WantedAnswer
from app.service.openai.bodies import OpenAIGeneration

NAMES = {"num_images": "n", "width": "size", "height": "size", "inputs": "image"}
# How many of the model's usual steps a quality takes. A `num_inference_steps` of the caller's own wins.
QUALITY: Mapping[str, float] = {
    "auto": 1, "standard": 1, "medium": 1, "low": 0.5, "high": 2, "hd": 2, "xhigh": 3, "max": 4,
}  # fmt: skip
# What was asked for and is kept with the job, because it is not literally what was done.
KEPT = ("model", "quality", "style", "input_fidelity")


def to_request(body: OpenAIGeneration, entry: ModelEntry, start: Mapping[str, Any] | None = None) -> GenerationRequest:
    """The request of a body for the model that answers. `start` are fields of ours: what it starts from."""
    width, height = body.sides()
    return request_of(
        {
            "prompt": body.prompt,
            "negative_prompt": body.negative_prompt,
            "model": entry.key,
            "num_inference_steps": body.num_inference_steps or _steps(body, entry),
            "guidance_scale": body.guidance_scale,
            "width": width,
            "height": height,
            "seed": body.seed,
            "num_images": body.n,
            "scheduler": body.scheduler,
            "extra": _kept(body, entry),
            **(start or {}),
        }
    )


def said(request: GenerationRequest, entry: ModelEntry) -> list[str]:
    """Sentences about what was asked for in OpenAI's words and what was done instead."""
    asked, notes = request.extra, []
    if "model" in asked:
        notes.append(f"{asked['model']} is answered by the model {entry.key} here")
    if "quality" in asked:
        steps, usual = request.num_inference_steps, entry.num_inference_steps
        notes.append(f"quality {asked['quality']} is {steps} steps here; this model's own number is {usual}")
    if "input_fidelity" in asked:
        notes.append(f"input_fidelity {asked['input_fidelity']} was not used: say a `strength` from 0 (as it is) to 1")
    if "style" in asked:
        notes.append(f"style {asked['style']} was not used: say it in the prompt")
    return notes


def to_wanted(body: OpenAIGeneration) -> WantedAnswer:
    """How the caller wants the answer."""
    return WantedAnswer(
        output_format=body.output_format or "png",
        response_format=body.response_format,
        compression=100 if body.output_compression is None else body.output_compression,
        partial_images=body.partial_images or 0,
        stream=bool(body.stream),
        quality=body.quality or "auto",
    )


def _kept(body: OpenAIGeneration, entry: ModelEntry) -> dict[str, str]:
    kept = {name: value for name in KEPT if (value := getattr(body, name, None))}
    if body.model == entry.key:
        del kept["model"]
    if QUALITY[body.quality or "auto"] == 1:
        kept.pop("quality", None)
    return kept


def _steps(body: OpenAIGeneration, entry: ModelEntry) -> int | None:
    """The model's own steps times what the quality asks for, inside the model's range; None = its own."""
    factor = QUALITY[body.quality or "auto"]
    if factor == 1:
        return None
    span = entry.steps_range
    return int(min(max(math.ceil(entry.num_inference_steps * factor), span.low), span.high))
