"""Which size a picture is drawn at: a model that knows only some sizes draws the nearest one."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from app.core.schema import GenerationRequest

SHAPE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})")


class Shape(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse_shape(text: str) -> Shape:
    """The shape of `128x96` (width first). Raises ValueError naming what is allowed."""
    match = SHAPE.fullmatch(text)
    if not match:
        raise ValueError(f"must be WIDTHxHEIGHT in pixels, like 128x96, and not {text!r}")
    return Shape(int(match[1]), int(match[2]))


def nearest(shapes: Iterable[Shape], asked: Shape) -> Shape:
    """The shape whose ratio is nearest to the asked one; of several with that ratio the one nearest in area.

    A shape that is wide by a factor is as far as one that is high by it, and so for the area.
    """
    return min(shapes, key=lambda shape: (_far(_ratio(shape), _ratio(asked)), _far(_area(shape), _area(asked))))


def as_drawn(request: GenerationRequest, shapes: Iterable[str]) -> GenerationRequest:
    """A resolved request with the size that a model of these `shapes` draws it at; the request itself without any."""
    known = [parse_shape(text) for text in shapes]
    if not known:
        return request
    width, height = nearest(known, Shape(request.width or 0, request.height or 0))
    return request.model_copy(update={"width": width, "height": height})


def _ratio(shape: Shape) -> float:
    return shape.width / shape.height


def _area(shape: Shape) -> float:
    return float(shape.width * shape.height)


def _far(one: float, other: float) -> float:
    return round(abs(math.log(one / other)), 6)
