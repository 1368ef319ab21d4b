"""How a person stands, drawn as control models learnt to read it: OpenPose's coloured limbs on black."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
# COCO's 17 places of a body, by their number, in the order of OpenPose's 18: the neck (None) is between the shoulders.
OF_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
THICK, ROUND = 4, 4  # pixels of a limb and of a joint's radius, in a picture of 512 pixels
DIM = 0.6  # of a limb beside a joint


def drawn(body: Mapping[int, Point], width: int, height: int) -> Image.Image:
    """The pose of a body: COCO's number of each place that is seen → where it is, in pixels."""
    canvas = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(canvas)
    size = max(1.0, max(width, height) / 512)
    places = _as_openpose(body)
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        one, other = places[start], places[end]
        if one is not None and other is not None:
            draw.line([one, other], fill=tuple(int(value * DIM) for value in colour), width=round(THICK * size))
    for place, colour in zip(places, COLOURS, strict=True):
        if place is not None:
            x, y = place
            draw.ellipse((x - ROUND * size, y - ROUND * size, x + ROUND * size, y + ROUND * size), fill=colour)
    return canvas


def _as_openpose(body: Mapping[int, Point]) -> Sequence[Point | None]:
    left, right = body.get(LEFT_SHOULDER), body.get(RIGHT_SHOULDER)
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if number is None else body.get(number) for number in OF_COCO]
