"""A picture in another format says the same of its making, and a hostile AVIF file costs nothing."""

import random
import struct
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image

from app.core.errors import InvalidRequest, UnreadablePicture
from app.picture import png
from app.picture.chunks import SIGNATURE
from app.picture.convert import FORMATS, convert
from tests.picture.conftest import a_png
from tests.picture.test_png import NASTY

OTHERS = [kind for kind in FORMATS if kind != "png"]


def test_this_pillow_writes_all_four_formats() -> None:
    assert FORMATS == ("png", "jpeg", "webp", "avif")


@pytest.mark.parametrize("kind", OTHERS)
def test_recipe_infotext_and_labels_are_the_same_in_every_format(kind: str) -> None:
    original = a_png(NASTY, negative_prompt="苹果 😀 \ufffe")
    said, again = png.inspect(original), png.inspect(convert(original, kind, 90))
    assert again.recipe == said.recipe
    assert again.request == said.request
    assert again.parameters == said.parameters
    assert again.labels == said.labels
    assert again.labels["ai_generated"] is True
    with Image.open(BytesIO(convert(original, kind, 90))) as picture:
        assert (picture.format, picture.size) == (kind.upper(), (16, 16))


def test_a_recipe_that_a_jpeg_has_no_room_for_is_refused_by_name_and_others_hold_it() -> None:
    long = a_png("苹" * 20_000, negative_prompt="果" * 20_000)
    with pytest.raises(InvalidRequest, match="too long"):
        convert(long, "jpeg")
    for kind in ("webp", "avif"):
        assert png.inspect(convert(long, kind)).recipe == png.inspect(long).recipe


def test_an_avif_file_that_is_cut_anywhere_is_refused() -> None:
    whole = convert(a_png(), "avif")
    for end in [*range(0, 600, 29), *range(600, len(whole), 101)]:
        with pytest.raises(UnreadablePicture):
            png.inspect(whole[:end])


def test_an_avif_file_with_any_byte_changed_is_read_or_refused() -> None:
    whole, chance = convert(a_png(), "avif"), random.Random(1)
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed) // 2)] = chance.randrange(256)
        with suppress(UnreadablePicture):
            assert png.inspect(bytes(changed)).kind in ("atelier", "a1111", "none")


def with_credentials(kind: str) -> bytes:
    """A file of each format with a C2PA manifest of no worth."""
    plain = convert(a_png(), kind)
    if kind == "png":
        body = struct.pack(">I", 4) + b"caBX" + b"c2pa"
        return SIGNATURE + plain[8:33] + body + struct.pack(">I", zlib.crc32(body[4:])) + plain[33:]
    if kind == "jpeg":
        body = b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa"
        return plain[:2] + b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body + plain[2:]
    if kind == "webp":
        return plain[:4] + struct.pack("<I", len(plain) + 4) + plain[8:] + b"C2PA\4\0\0\0c2pa"
    body = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"\0\0\0\0manifest\0"
    return plain + struct.pack(">I", len(body) + 8) + b"uuid" + body


@pytest.mark.parametrize("kind", FORMATS)
def test_content_credentials_of_a_file_are_told(kind: str) -> None:
    assert png.inspect(with_credentials(kind)).c2pa
    assert not png.inspect(convert(a_png(), kind)).c2pa
