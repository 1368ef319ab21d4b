"""Sizes that a model does not know: which one it draws, and how that becomes the size that was asked for."""

import pytest
from PIL import Image

from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.shapes import Shape, as_drawn, nearest, parse_shape
from app.picture.fit import delivered

KNOWN = tuple(Shape(*size) for size in ((128, 128), (256, 256), (160, 96), (96, 160)))


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ((128, 128), (128, 128)),
        ((64, 64), (128, 128)),
        ((512, 512), (256, 256)),
        ((1024, 1024), (256, 256)),
        ((1792, 1024), (160, 96)),
        ((1024, 1792), (96, 160)),
        ((64, 1024), (96, 160)),
        ((640, 600), (256, 256)),
    ],
)
def test_the_nearest_ratio_wins_and_then_the_nearest_area(asked: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert nearest(KNOWN, Shape(*asked)) == drawn


def test_a_model_without_shapes_draws_what_was_asked() -> None:
    request = GenerationRequest(prompt="x", width=512, height=640)
    assert as_drawn(request, ()) is request
    assert as_drawn(request, ("96x128",)).model_dump() == request.model_dump() | {"width": 96, "height": 128}


@pytest.mark.parametrize("text", ["", "128", "128 x 128", "0x128", "128x0", "99999x1", "128x128\n"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be WIDTHxHEIGHT"):
        parse_shape(text)


def ring(width: int, height: int) -> Picture:
    """A white disc that touches the shorter sides, on black."""
    side, drawn = min(width, height) / 2, Image.new("RGB", (width, height))
    for x in range(width):
        for y in range(height):
            if (x + 0.5 - width / 2) ** 2 + (y + 0.5 - height / 2) ** 2 <= side**2:
                drawn.putpixel((x, y), (255, 255, 255))
    return Picture(0, 7, width, height, drawn.tobytes(), {"notes": ["other"]})


def bright_part(picture: Picture) -> tuple[int, int]:
    """Width and height of what is bright."""
    left, top, right, bottom = (
        Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
        .convert("L")
        .point(lambda v: 255 * (v > 127))
        .getbbox()
    )
    return right - left, bottom - top


@pytest.mark.parametrize("size", [(512, 512), (1024, 1024), (64, 64), (1024, 512), (512, 1024)])
def test_nothing_is_stretched_and_the_asked_size_is_filled(size: tuple[int, int]) -> None:
    made = delivered(ring(128, 128), *size)
    assert (made.width, made.height, len(made.rgb)) == (*size, size[0] * size[1] * 3)
    wide, high = bright_part(made)
    longer = max(size)
    assert abs(wide - min(longer, size[0])) <= 1 + longer // 64
    assert abs(high - min(longer, size[1])) <= 1 + longer // 64


def test_the_picture_says_at_which_size_it_was_drawn() -> None:
    made = delivered(ring(128, 96), 640, 480)
    assert made.how["drawn"] == {"width": 128, "height": 96}
    assert made.how["notes"] == ["other", "drawn at 128x96, a size that this model knows, then enlarged to 640x480"]
    assert delivered(ring(128, 128), 640, 480).how["notes"][-1].endswith("then enlarged and cut to 640x480")
    assert delivered(ring(128, 128), 64, 64).how["notes"][-1].endswith("then reduced to 64x64")


def test_a_picture_of_the_asked_size_stays_as_it_is() -> None:
    drawn = ring(64, 64)
    assert delivered(drawn, 64, 64) is drawn


def test_the_same_picture_always_gives_the_same_bytes() -> None:
    assert delivered(ring(128, 128), 640, 480) == delivered(ring(128, 128), 640, 480)
