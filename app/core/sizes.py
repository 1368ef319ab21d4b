"""Width and height for an aspect ratio, inside what a model allows."""

import math

from app.core.models import ModelFacts, Span

RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
OWN_SIZE = "custom"


def size_for(ratio: str, model: ModelFacts) -> tuple[int, int]:
    """Pixels of a picture with `ratio` ("16:9") and about as many pixels as the model's default size.

    Both sides keep the model's multiple and stay in its range, so the shape is as near as these allow.
    """
    wide, high = (int(part) for part in ratio.split(":"))
    span = model.size_range
    area = model.width * model.height
    # A ratio must not push one side over the model's limit: then the whole picture is made smaller.
    shrink = min(1.0, span.high / math.sqrt(area * max(wide, high) / min(wide, high)))
    width = math.sqrt(area * wide / high) * shrink
    height = math.sqrt(area * high / wide) * shrink
    return _fit(width, span), _fit(height, span)


def size_of_picture(width: int, height: int, model: ModelFacts) -> tuple[int, int]:
    """Pixels of a picture that is made from one of this size: the same where the model allows it, else the same ratio
    with about as many pixels as the model's default size."""
    if all(model.size_range.allows(side) for side in (width, height)):
        return width, height
    return size_for(f"{width}:{height}", model)


def sides_to_ratio(width: int, height: int, ratio: str) -> tuple[int, int, int, int]:
    """Pixels beyond the left, top, right and bottom of a picture that make it `ratio` ("16:9"), as near as steps of 8
    come; evenly, and at two sides only. `static/paint.js` knows it, too."""
    wide, high = (int(part) for part in ratio.split(":"))
    across = max(0, 4 * round((height * wide / high - width) / 8))
    down = max(0, 4 * round((width * high / wide - height) / 8))
    return across, down, across, down


def ratio_of(width: int, height: int, model: ModelFacts) -> str:
    """The preset that gives exactly this size, or `custom`."""
    for ratio in RATIOS:
        if size_for(ratio, model) == (width, height):
            return ratio
    return OWN_SIZE


def _fit(value: float, span: Span) -> int:
    multiple = span.multiple
    low = math.ceil(span.low / multiple) * multiple
    high = math.floor(span.high / multiple) * multiple
    return int(min(max(round(value / multiple) * multiple, low), high))
