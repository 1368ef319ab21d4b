"""A body of `/v1/images/generations` as a request of ours, and how its sender wants the answer. Pure translation.

Parameters as in the `openai` SDK (its `types/image_generate_params.py`).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from app.catalog import ModelEntry
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest
from app.service.foreign.names import checked_request
from app.service.openai.answers import WantedAnswer

MAX_N = 10
EXTRAS = ("seed", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler")
NAMES = {"num_images": "n", "width": "size", "height": "size"}
# How many of the model's usual steps a quality takes. A `num_inference_steps` of the caller's own wins.
QUALITY: Mapping[str, float] = {
    "auto": 1, "standard": 1, "medium": 1, "low": 0.5, "high": 2, "hd": 2, "xhigh": 3, "max": 4,
}  # fmt: skip
# Parameters with the values that mean what Atelier does anyway. Any other value is refused by name.
HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "background": ("auto", "opaque"),
    "moderation": ("auto", "low"),
    "style": ("vivid", "natural"),
}
WORDS = ("user", "safety_identifier")  # who asks: text that nothing here uses
KNOWN = {"prompt", "model", "n", "size", "quality", "response_format", "output_format", "output_compression", "stream",
         "partial_images", *WORDS, *EXTRAS, *HARMLESS}  # fmt: skip
# What was asked for and is kept with the job, because it is not literally what was done.
KEPT = ("model", "quality", "style")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def to_model(body: Mapping[str, Any]) -> str | None:
    """The model's name as the caller wrote it; None = none. Raises InvalidRequest."""
    name = body.get("model")
    if name is not None and not isinstance(name, str):
        raise InvalidRequest([FieldError("model", name, "the name of a model is needed")])
    return name or None


def to_request(body: Mapping[str, Any], entry: ModelEntry) -> GenerationRequest:
    """The request of a generations body for the model that answers.

    Raises InvalidRequest naming each parameter that is wrong or unsupported.
    """
    errors = [FieldError(name, body[name], "this parameter is not supported") for name in sorted(body.keys() - KNOWN)]
    for name, allowed in HARMLESS.items():
        choice(body, name, allowed, errors)
    choice(body, "quality", tuple(QUALITY), errors)
    errors += [
        FieldError(name, body[name], "a text is needed") for name in WORDS if not isinstance(body.get(name), str | None)
    ]
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        errors.append(FieldError("prompt", prompt, "a prompt is needed"))
    width, height = _size(body.get("size"), errors)
    n = whole(body, "n", 1, MAX_N, errors)
    if errors:
        raise InvalidRequest(errors)
    values = {name: body.get(name) for name in EXTRAS} | {
        "prompt": prompt, "model": entry.key, "width": width, "height": height, "num_images": n,
        "extra": _kept(body, entry),
    }  # fmt: skip
    if values["num_inference_steps"] is None:
        values["num_inference_steps"] = _steps(body, entry)
    return checked_request(values, names=NAMES)


def said(request: GenerationRequest, entry: ModelEntry) -> list[str]:
    """Sentences about what was asked for in OpenAI's words and what was done instead."""
    asked, notes = request.extra, []
    if "model" in asked:
        notes.append(f"{asked['model']} is answered by the model {entry.key} here")
    if "quality" in asked:
        steps, usual = request.num_inference_steps, entry.num_inference_steps
        notes.append(f"quality {asked['quality']} is {steps} steps here; this model's own number is {usual}")
    if "style" in asked:
        notes.append(f"style {asked['style']} was not used: say it in the prompt")
    return notes


def to_wanted(body: Mapping[str, Any]) -> WantedAnswer:
    """How the caller wants the answer. Raises InvalidRequest."""
    errors: list[FieldError] = []
    choice(body, "output_format", ("png", "jpeg", "webp"), errors)
    choice(body, "response_format", ("url", "b64_json"), errors)
    compression = whole(body, "output_compression", 0, 100, errors)
    partial_images = whole(body, "partial_images", 0, 3, errors)
    streamed = body.get("stream")
    if not isinstance(streamed, bool | None):
        errors.append(FieldError("stream", streamed, "true or false"))
    if streamed and body.get("n") not in (None, 1):
        errors.append(FieldError("n", body.get("n"), "a stream has one image; allowed is 1"))
    if errors:
        raise InvalidRequest(errors)
    return WantedAnswer(
        output_format=body.get("output_format") or "png",
        response_format=body.get("response_format"),
        compression=100 if compression is None else compression,
        partial_images=partial_images or 0,
        stream=bool(streamed),
        quality=body.get("quality") or "auto",
    )


def choice(body: Mapping[str, Any], name: str, allowed: tuple[str, ...], errors: list[FieldError]) -> None:
    """Note an error if the field is given and is none of `allowed`."""
    if body.get(name) is not None and body[name] not in allowed:
        errors.append(FieldError(name, body[name], f"allowed is one of: {', '.join(allowed)}"))


def whole(body: Mapping[str, Any], name: str, low: int, high: int, errors: list[FieldError]) -> int | None:
    """The field's whole number, or None if absent; notes an error outside `low`..`high`."""
    value = body.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
        return value
    errors.append(FieldError(name, value, f"allowed is a whole number from {low} to {high}"))
    return None


def _kept(body: Mapping[str, Any], entry: ModelEntry) -> dict[str, str]:
    usual = {"model": entry.key, "quality": None}
    kept = {name: body[name] for name in KEPT if body.get(name) and body[name] != usual.get(name)}
    if QUALITY.get(kept.get("quality", ""), 1) == 1:
        kept.pop("quality", None)
    return kept


def _steps(body: Mapping[str, Any], entry: ModelEntry) -> int | None:
    """The model's own steps times what the quality asks for, inside the model's range; None = its own."""
    factor = QUALITY[body.get("quality") or "auto"]
    if factor == 1:
        return None
    span = entry.steps_range
    return int(min(max(math.ceil(entry.num_inference_steps * factor), span.low), span.high))


def _size(value: Any, errors: list[FieldError]) -> tuple[int | None, int | None]:
    if value in (None, "auto"):
        return None, None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        errors.append(FieldError("size", value, 'allowed is "auto" or WIDTHxHEIGHT in pixels, like "512x512"'))
        return None, None
    return int(match[1]), int(match[2])
