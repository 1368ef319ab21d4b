"""What the sheet of a grid says of its making: the grid itself as JSON, and an infotext as A1111 writes one."""

import json
from typing import Any

from app.core.axes import PROMPT_SR
from app.core.grids import GridRequest, read_grid
from app.picture import infotext

A1111_TYPES = {
    PROMPT_SR: "Prompt S/R",
    "num_inference_steps": "Steps",
    "guidance_scale": "CFG Scale",
    "seed": "Seed",
    "scheduler": "Sampler",
    "model": "Checkpoint name",
    "strength": "Denoising",
    "clip_skip": "Clip skip",
    "size": "Size",
}


def load_grid(text: str) -> tuple[dict[str, Any], GridRequest] | None:
    """A sheet's recipe and the grid in it, or None if the text is another. Never raises."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    asked = read_grid(said["grid"]) if isinstance(said, dict) and "grid" in said else None
    return None if asked is None else (said, asked)


def grid_infotext(asked: GridRequest) -> str:
    """The infotext of a sheet, with the keys of A1111's X/Y/Z plot."""
    script = {"Script": "X/Y/Z plot"}
    for place, axis in zip("XYZ", asked.axes, strict=False):
        script[f"{place} Type"] = A1111_TYPES.get(axis.name, axis.name)
        script[f"{place} Values"] = ", ".join(_csv(value) for value in axis.values)
    more = ", ".join(f"{key}: {infotext.quote(value)}" for key, value in script.items())
    return f"{infotext.build(asked.request, asked.request.seed, {})}, {more}"


def _csv(value: object) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\n') else text
