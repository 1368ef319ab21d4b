"""Control in A1111's infotext: `ControlNet 0: "Module: canny, Model: name, Weight: 0.8, …"`, written and read.

The words are those of the extension sd-webui-controlnet. Its infotext does not say which picture was used; ours does,
by its SHA-256 under `Control hash 0`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.core.control import MAX_UNITS, ControlUnit, Preprocessor
from app.core.schema import GenerationRequest

UNIT, HASH = "ControlNet", "Control hash"
# Our preprocessors by the names that the extension has for the same; it has none for our soft edges.
MODULES: Mapping[str, Preprocessor] = {
    "none": Preprocessor.NONE,
    "canny": Preprocessor.CANNY,
    "scribble_xdog": Preprocessor.SCRIBBLE,
    "softedge": Preprocessor.SOFT_EDGE,
    "depth_anything_v2": Preprocessor.DEPTH,
    "openpose": Preprocessor.OPENPOSE,
}


def module_of(preprocessor: Preprocessor) -> str:
    """The extension's name of a preprocessor."""
    return next(name for name, known in MODULES.items() if known is preprocessor)


def control_values(request: GenerationRequest) -> dict[str, str]:
    """The keys of an infotext that say what holds the picture."""
    values = {}
    for place, unit in enumerate(request.control):
        said = {
            "Module": module_of(unit.preprocessor), "Model": unit.model, "Weight": f"{unit.weight:g}",
            "Resize Mode": "Crop and Resize", "Guidance Start": f"{unit.start:g}", "Guidance End": f"{unit.end:g}",
            "Pixel Perfect": "True", "Control Mode": "Balanced",
        }  # fmt: skip
        values[f"{UNIT} {place}"] = ", ".join(f"{key}: {value}" for key, value in said.items())
        values[f"{HASH} {place}"] = unit.image
    return values


def control_of(parsed: Mapping[str, str]) -> list[dict[str, Any]] | str | None:
    """The units of an infotext as a request has them; the text of the first that no request can hold; None for none."""
    units: list[dict[str, Any]] = []
    for place in range(MAX_UNITS):
        text = parsed.get(f"{UNIT} {place}")
        if text is None:
            break
        said = dict(part.split(": ", 1) for part in text.split(", ") if ": " in part)
        fields = {
            "model": said.get("Model", "").split(" [")[0],
            "image": parsed.get(f"{HASH} {place}"),
            "preprocessor": MODULES.get(said.get("Module", "none")),
            "weight": _number(said.get("Weight", "1")),
            "start": _number(said.get("Guidance Start", "0")),
            "end": _number(said.get("Guidance End", "1")),
        }
        try:
            units.append(ControlUnit.model_validate(fields).model_dump(mode="json"))
        except ValidationError:
            return text
    return units or None


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
