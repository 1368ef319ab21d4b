"""The recipe: the exact JSON, under the PNG keyword `atelier`, of what was asked for and how it ran."""

import json
from typing import Any

from pydantic import ValidationError

from app.core.errors import UnreadablePicture
from app.core.picture import Picture
from app.core.schema import GenerationRequest, alone

KEYWORD = "atelier"
FIELDS = ("image_id", "job_id", "index", "seed", "origin", "created_at", "request", "how")


def dump(recipe: dict[str, Any]) -> str:
    """The recipe as UTF-8 writable JSON. Text that is not valid Unicode is kept as JSON's own `\\uXXXX` escape."""
    text = json.dumps(recipe, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()


def load(text: str) -> dict[str, Any] | None:
    """The recipe that `dump` wrote, or None if the text is something else. Never raises."""
    try:
        recipe = json.loads(text)
        if not isinstance(recipe, dict) or any(name not in recipe for name in FIELDS):
            return None
        request_of(recipe)
    except (ValueError, RecursionError, UnreadablePicture):
        return None
    return recipe


def stated(request: GenerationRequest, picture: Picture) -> GenerationRequest:
    """The request as the recipe of its picture tells it: what was only made larger names no steps, no size that was not
    asked for, and no model that did not run. What was drawn anew for that keeps its steps and guidance."""
    if "upscaler" not in picture.how:
        return request
    of_steps = () if "redrawn" in picture.how else ("num_inference_steps", "guidance_scale")
    nothing = dict.fromkeys((*of_steps, "scheduler", "width", "height"))
    return request.model_copy(update={**nothing, "model": picture.how.get("model")})


def request_of(recipe: dict[str, Any]) -> GenerationRequest:
    """The request that makes this one picture again: `num_images` is 1 and `seed` is the picture's own.

    Raises UnreadablePicture if the recipe is not one of ours.
    """
    try:
        request = GenerationRequest.model_validate(recipe["request"])
        seed, index = recipe["seed"], recipe["index"]
    except (KeyError, TypeError, ValidationError) as error:
        raise UnreadablePicture(f"The recipe in this file is not valid: {error}") from error
    if not isinstance(seed, int) or not isinstance(index, int) or not isinstance(recipe.get("how"), dict):
        raise UnreadablePicture("The recipe in this file is not valid: seed, index or how is missing.")
    return request.model_copy(update=alone(dict(request), seed, index))
