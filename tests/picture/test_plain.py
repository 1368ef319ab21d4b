"""What a picture from outside becomes: upright, sRGB, one of three modes, nothing but pixels; or it is refused."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageCms

from app.core.errors import UnreadablePicture
from app.picture import outside, png
from app.picture.plain import Plain, make_plain
from tests.picture.bombs import a_jpeg, a_png, a_webp, chunk
from tests.picture.conftest import a_png as one_of_ours

LIMITS = {"max_bytes": 2**20, "max_pixels": 2**16}
# Every pixel its own colour, so that a turn or a swap of channels shows.
COLOURS = Image.frombytes("RGB", (6, 4), bytes(range(72)))


def file_of(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def plain(data: bytes) -> Plain:
    return make_plain(data, **LIMITS)


def pixels(made: Plain) -> Image.Image:
    picture = Image.open(io.BytesIO(made.png), formats=["PNG"])
    picture.load()
    assert (picture.size, picture.mode) == ((made.width, made.height), made.mode)
    return picture


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_the_three_plain_modes_keep_every_pixel(mode: str) -> None:
    picture = COLOURS.convert(mode)
    made = plain(file_of(picture))
    assert (made.mode, pixels(made).tobytes()) == (mode, picture.tobytes())


def test_what_is_plain_already_is_the_same_bytes_again() -> None:
    once = plain(file_of(COLOURS))
    assert plain(once.png) == once
    assert plain(file_of(COLOURS, "WEBP", lossless=True)) == once


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_is_turned_as_its_camera_was_held(turn: int, order: str) -> None:
    held = {"<": b"II*\0", ">": b"MM\0*"}[order]
    block = held + struct.pack(f"{order}LHHHLHHL", 8, 1, 0x0112, 3, 1, turn, 0, 0)
    data = file_of(COLOURS, exif=block)
    with Image.open(io.BytesIO(data)) as told:
        assert told.getexif()[0x0112] == turn  # another reader sees it as we do
    wanted = {
        1: COLOURS,
        2: COLOURS.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: COLOURS.transpose(Image.Transpose.ROTATE_180),
        4: COLOURS.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: COLOURS.transpose(Image.Transpose.TRANSPOSE),
        6: COLOURS.transpose(Image.Transpose.ROTATE_270),
        7: COLOURS.transpose(Image.Transpose.TRANSVERSE),
        8: COLOURS.transpose(Image.Transpose.ROTATE_90),
    }[turn]
    assert pixels(plain(data)).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_the_turn_is_read_from_other_formats_too(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert pixels(plain(file_of(COLOURS, format, exif=exif))).size == (4, 6)


@pytest.mark.parametrize("block", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + bytes(24)])
def test_a_broken_exif_block_turns_nothing(block: bytes) -> None:
    assert pixels(plain(a_png(chunk(b"eXIf", block)))).size == (8, 6)


def test_cmyk_palettes_and_16_bits_become_what_a_screen_shows() -> None:
    cmyk = plain(file_of(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100))
    assert (cmyk.mode, pixels(cmyk).getpixel((1, 1))) == ("RGB", (255, 0, 0)) or pixels(cmyk).getpixel((1, 1))[0] > 250
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30])
    assert pixels(plain(file_of(palette))).getpixel((0, 0)) == (10, 20, 30)
    assert plain(file_of(palette, transparency=0)).mode == "RGBA"
    grey = Image.frombytes("I;16", (2, 1), struct.pack("<HH", 0x1234, 0xFEDC))
    assert (plain(file_of(grey)).mode, pixels(plain(file_of(grey))).tobytes()) == ("L", b"\x12\xfe")
    assert plain(a_png(depth=16)).mode == "RGB"
    assert plain(a_png(depth=16, colours=6)).mode == "RGBA"
    assert plain(file_of(Image.new("1", (3, 3), 1))).mode == "L"
    assert plain(file_of(Image.new("LA", (3, 3), (7, 9)))).mode == "RGBA"


def test_a_colour_profile_is_worked_in_and_a_broken_one_is_left_out() -> None:
    red = Image.new("RGB", (2, 2), (200, 40, 40))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixels(plain(file_of(red, icc_profile=srgb))).tobytes() == red.tobytes()
    for profile in (b"no profile at all", lab):
        assert pixels(plain(file_of(red, icc_profile=profile))).mode == "RGB"


def test_nothing_but_pixels_is_left_in_the_file() -> None:
    made = plain(one_of_ours())
    assert made.png.count(b"IDAT") >= 1
    assert png.inspect(made.png).kind == "none"
    assert outside.read(made.png).texts == {}
    assert b"exif" not in plain(a_png(chunk(b"eXIf", b"II*\0exif"), chunk(b"prVt", b"exif"))).png


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    return file_of(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"", "not a PNG"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG"),
        (lambda: b"\x89PNG but it is not", "not a PNG"),
        (lambda: file_of(COLOURS, "GIF"), "not a PNG"),
        (lambda: file_of(COLOURS, "BMP"), "not a PNG"),
        (lambda: animated("GIF"), "not a PNG"),
        (lambda: animated("PNG"), "PNG file is an animation of 3"),
        (lambda: animated("WEBP"), "WEBP file is an animation of 3"),
        (lambda: a_png()[:16] + struct.pack(">II", 60_000, 60_000) + a_png()[24:], "checksum"),
        (lambda: a_png(size=(60_000, 1))[:33] + a_png(), "pixels|damaged|cut"),
        (lambda: a_png(size=(300, 300)), "300x300 pixels; allowed is at most 65536"),
        (lambda: a_jpeg(size=(300, 300)), "300x300 pixels; allowed is at most 65536"),
        (lambda: a_webp(size=(300, 300)), "300x300 pixels; allowed is at most 65536"),
        (lambda: a_png() + bytes(2**20), "bytes"),
    ],
    ids=range(14),
)
def test_what_is_no_still_picture_within_the_limits_is_refused(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(UnreadablePicture, match=words):
        plain(make())


def test_a_header_of_60000_by_60000_is_refused_before_a_pixel_is_decoded() -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = outside.chunks.SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    with pytest.raises(UnreadablePicture, match="60000x60000"):
        make_plain(data, max_bytes=2**20, max_pixels=2**24)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_is_cut_anywhere_is_refused_or_whole(format: str) -> None:
    picture = Image.frombytes("RGB", (64, 48), bytes(i * i % 251 for i in range(64 * 48 * 3)))
    data = file_of(picture, format)
    whole = plain(data)
    for part in range(20):
        cut = data[: len(data) * part // 20]
        with pytest.raises(UnreadablePicture):
            plain(cut)
    assert plain(data) == whole
