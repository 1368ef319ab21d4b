"""Small copies for lists."""

from io import BytesIO

import pytest
from PIL import Image

from app.core.errors import InvalidRequest, UnreadablePicture
from app.picture.thumbnail import thumbnail
from tests.picture.conftest import a_png


def a_picture(size: tuple[int, int], mode: str = "RGB", format: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.new(mode, size, 128).save(stream, format)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [
        ((1024, 1024), 256, (256, 256)),
        ((1024, 512), 512, (512, 256)),
        ((512, 1024), 256, (128, 256)),
        ((128, 128), 256, (128, 128)),
        ((4000, 8), 256, (256, 1)),
    ],
)
def test_the_longer_side_fits_and_nothing_is_enlarged(
    size: tuple[int, int], width: int, expected: tuple[int, int]
) -> None:
    with Image.open(BytesIO(thumbnail(a_picture(size), width))) as small:
        assert (small.format, small.size) == ("WEBP", expected)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA"])
def test_every_kind_of_png_gives_a_thumbnail(mode: str) -> None:
    assert thumbnail(a_picture((300, 300), mode), 256)


def test_a_thumbnail_carries_no_prompt() -> None:
    assert b"apple" not in thumbnail(a_png("a red apple"), 256)


@pytest.mark.parametrize("width", [0, -1, 255, 1024])
def test_only_two_widths_are_made(width: int) -> None:
    with pytest.raises(InvalidRequest, match="allowed is 256 or 512"):
        thumbnail(a_png(), width)


@pytest.mark.parametrize("data", [b"", b"text", a_png()[:200], a_picture((8, 8), "RGB", "GIF")])
def test_what_is_no_picture_gives_no_thumbnail(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        thumbnail(data, 256)
