"""Pictures that are packed quickly are the same pictures, with the same texts."""

import os
from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin

from app.picture.pack import LARGE_PIXELS, packed
from app.picture.png import inspect


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (2048, 2048), (2049, 2048), (1, LARGE_PIXELS + 1), (65_537, 67)])
def test_every_pixel_and_every_text_is_there(size: tuple[int, int]) -> None:
    row = os.urandom(3 * size[0])
    rows = b"".join(row[turn:] + row[:turn] for turn in range(0, 3 * min(64, size[0]), 3))
    picture = Image.frombytes("RGB", size, (rows * (size[1] * len(row) // len(rows) + 1))[: size[1] * len(row)])
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "a red apple")
    texts.add_itxt("Title", "红苹果")
    data = packed(picture, texts)
    assert inspect(data).texts == {"Comment": "a red apple", "Title": "红苹果"}
    with Image.open(BytesIO(data)) as opened:
        assert opened.size == size
        assert opened.tobytes() == picture.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("width", [64, 3000])
def test_every_mode_comes_back_as_it_was(mode: str, width: int) -> None:
    picture = Image.effect_noise((width, 1500), 50).convert(mode)
    with Image.open(BytesIO(packed(picture))) as opened:
        assert (opened.mode, opened.tobytes()) == (mode, picture.tobytes())
