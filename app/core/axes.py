"""The axes of a grid: which parameters there are, and values as people write them for A1111's X/Y/Z plot."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from types import UnionType
from typing import Any, get_args

from pydantic import ValidationError

from app.core.errors import FieldError, InvalidRequest
from app.core.parameters import parameters
from app.core.schema import RANDOM_SEED, GenerationRequest
from app.core.shapes import parse_shape

AxisValue = bool | int | float | str
SEEDS = ("seed", "subseed")
PROMPT_SR, SIZE = "prompt_sr", "size"
# The fields that say which pictures are made at all, and of what.
NO_AXES = ("num_images", "task", "scale", "language")
# What people call them: A1111's names and the command line's.
ALIASES = {
    "steps": "num_inference_steps",
    "cfg": "guidance_scale",
    "cfg scale": "guidance_scale",
    "sampler": "scheduler",
    "checkpoint": "model",
    "checkpoint name": "model",
    "negative": "negative_prompt",
    "denoising": "strength",
    "prompt s/r": PROMPT_SR,
}
_INT, _FLOAT = r"[+-]?\d{1,12}", r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})"
_DECIMALS = 10  # 0.1 + 0.2 is 0.3 here


def _span(number: str) -> re.Pattern[str]:
    """`1-5`, `1-10 (+2)`, `0-1 [5]`."""
    return re.compile(
        rf"(?P<low>{number})\s*-\s*(?P<high>{number})(?:\s*\((?P<step>{number})\)|\s*\[(?P<count>\d{{1,6}})\])?"
    )


_SPANS = {int: _span(_INT), float: _span(_FLOAT)}


@dataclass(frozen=True)
class Axis:
    """One axis whose values are read: `place` is x, y or z, `name` a field of a request, `prompt_sr` or `size`."""

    place: str
    name: str
    values: tuple[AxisValue, ...]


def axis_kinds() -> dict[str, type]:
    """Name of an axis → what its values are: every field of a request that is one plain value."""
    kinds: dict[str, type] = {}
    plain: list[type]
    for name in parameters(GenerationRequest):
        annotation: Any = GenerationRequest.model_fields[name].annotation
        either = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        plain = [kind for kind in (bool, int, float, str) if kind in either]
        if len(plain) == 1 and name not in NO_AXES:
            kinds[name] = plain[0]
    return {**kinds, SIZE: str, PROMPT_SR: str}


def read_axis(place: str, name: str, values: Sequence[AxisValue] | str, *, most: int, seed: int) -> Axis:
    """An axis with its values, at most `most`. A random seed is `seed`.

    Raises InvalidRequest naming `x.name` or `x.values`, the value and what is allowed.
    """
    kinds = axis_kinds()
    asked = name.strip().lower()
    known = asked if asked in kinds else ALIASES.get(asked, "")
    if known not in kinds:
        raise InvalidRequest([FieldError(f"{place}.name", name, f"allowed is one of: {', '.join(kinds)}")])
    kind = kinds[known]
    try:
        read = _read(values, kind, most) if isinstance(values, str) else tuple(values)
        if not read:
            raise ValueError("at least one value is needed")
        if len(read) > most:
            raise ValueError(f"allowed are at most {most} values")
        checked = tuple(seed if known in SEEDS and value == RANDOM_SEED else value for value in read)
        for value in checked:
            _check(known, kind, value)
    except ValueError as error:
        shown = values if isinstance(values, str) else list(values[:20])
        raise InvalidRequest([FieldError(f"{place}.values", shown, str(error))]) from None
    return Axis(place, known, checked)


def _read(text: str, kind: type, most: int) -> tuple[AxisValue, ...]:
    try:
        parts = [part.strip() for line in csv.reader(StringIO(text), skipinitialspace=True) for part in line]
    except csv.Error as error:
        raise ValueError(f"the list cannot be read: {error}") from None
    found: list[AxisValue] = []
    for part in filter(None, parts):
        if kind is bool:
            if part.lower() not in ("true", "false"):
                raise ValueError(f"{part!r} is neither true nor false")
            found.append(part.lower() == "true")
        elif kind is str:
            found.append(part)
        else:
            found += _numbers(part, kind, most)
        if len(found) > most:
            raise ValueError(f"allowed are at most {most} values")
    return tuple(found)


def _numbers(part: str, kind: type, most: int) -> list[int] | list[float]:
    """A number, or those of a span: with a step `(+2)`, or so many of them evenly `[5]`."""
    span = _SPANS[kind].fullmatch(part)
    if span is None:
        try:
            return [kind(part)]
        except ValueError:
            words = "a whole number" if kind is int else "a number"
            raise ValueError(f"{part!r} is neither {words} nor a span like 1-5, 1-10 (+3) or 0-1 [5]") from None
    low, high = kind(span["low"]), kind(span["high"])
    count = _count(low, high, span, kind)
    if not 1 <= count <= most:
        raise ValueError(f"{part!r} has {count} values; allowed are 1 to {most}")
    if span["count"]:
        between = [low + (high - low) * at / max(1, count - 1) for at in range(count)]
        return [int(value) for value in between] if kind is int else [round(value, _DECIMALS) for value in between]
    step = _step(low, high, span, kind)
    numbers = [low + step * at for at in range(count)]
    return numbers if kind is int else [round(value, _DECIMALS) for value in numbers]


def _step(low: Any, high: Any, span: re.Match[str], kind: type) -> Any:
    return kind(span["step"]) if span["step"] else kind(1 if high >= low else -1)


def _count(low: Any, high: Any, span: re.Match[str], kind: type) -> int:
    if span["count"]:
        return int(span["count"])
    step = _step(low, high, span, kind)
    if step == 0 or (high - low) * step < 0:
        raise ValueError(f"the step {step} does not lead from {low} to {high}")
    return int((high - low) / step + 1e-9) + 1


def _check(name: str, kind: type, value: AxisValue) -> None:
    """Raises ValueError for a value that no request can hold; what the model allows is the catalog's matter."""
    if name == SIZE:
        parse_shape(str(value))
    if name == PROMPT_SR:
        name = "prompt"
    fits = isinstance(value, bool) if kind is bool else not isinstance(value, bool) and isinstance(value, kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        fits = True
    if not fits:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
        raise ValueError(f"{value!r}: allowed is {words}")
    if name == SIZE:
        return
    try:
        GenerationRequest.model_validate({"prompt": "", name: value})
    except ValidationError as error:
        raise ValueError(f"{value!r}: {error.errors()[0]['msg']}") from None
