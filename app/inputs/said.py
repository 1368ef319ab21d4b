"""What a picture's file says of its making, kept beside its pixels: a label that says "made by AI" must not be lost."""

import json
from typing import Any

from app.picture import png

MAX_SAID_BYTES = 64 * 1024  # of one picture; what is longer is left out, the labels last
_LABELS = ("digital_source_type", "ai_generated", "ai_system", "aigc")


def what_it_says(data: bytes) -> dict[str, Any]:
    """`kind`, `made_by`, `labels`, our own `recipe` and `c2pa` of a file that was decoded, each only if it is there."""
    seen = png.inspect(data)
    said: dict[str, Any] = {"kind": seen.kind, "made_by": seen.made_by, "labels": seen.labels}
    said |= {"recipe": seen.recipe, "c2pa": seen.c2pa}
    said = {name: value for name, value in said.items() if value and value != "none"}
    if _size(said) > MAX_SAID_BYTES:
        said.pop("recipe", None)
    if _size(said) > MAX_SAID_BYTES:
        said["labels"] = {name: seen.labels[name] for name in _LABELS if name in seen.labels}
    if _size(said) > MAX_SAID_BYTES:
        said["labels"] = {"ai_generated": bool(seen.labels.get("ai_generated"))}
    return said


def _size(value: object) -> int:
    return len(json.dumps(value))
