"""What a picture of another program says about how it was made, in the fields of our requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.core.schema import GenerationRequest

MAX_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Found:
    """`request` holds what a request can hold, `unusable` what it cannot, as it stands there; `model` is the model's
    name in that program."""

    request: dict[str, Any]
    unusable: dict[str, str] = field(default_factory=dict)
    model: str = ""


def found(raw: Mapping[str, Any], model: object = "") -> Found:
    """The values that are there (not None), each by itself: nothing is bent to fit."""
    there = {name: value for name, value in raw.items() if value is not None}
    request = {name: value for name, value in there.items() if _valid(name, value)}
    unusable = {name: str(value)[:MAX_SHOWN_CHARS] for name, value in there.items() if name not in request}
    return Found(request, unusable, model[:MAX_SHOWN_CHARS] if isinstance(model, str) else "")


def number(value: object, kind: type[int] | type[float]) -> int | float | None:
    """The number that a text or a number is; None for anything else. A whole number is never cut from a broken one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if kind is int and isinstance(value, float):
            return int(value) if value.is_integer() else None
        return kind(value)
    except (ValueError, OverflowError):
        return None


def loads(text: str) -> dict[str, Any]:
    """The JSON object that a text is; an empty one for anything else. Never raises."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _valid(name: str, value: object) -> bool:
    try:
        GenerationRequest.model_validate({"prompt": "", name: value})
    except ValidationError:
        return False
    return True
