"""Pictures that were made to be dear: the bombs of the tests and noise, raw, as base64 in JSON, and in forms."""

import base64
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache, partial
from io import BytesIO

from PIL import Image

from benchmarks.costs.body import Body, Make
from tests.picture.bombs import BOMBS, a_png, chunk, noise

MOST_BYTES = 32 * 2**20
LARGEST = {"resize_mode": 1, "upscaling_resize_w": 4096, "upscaling_resize_h": 4096, "upscaler_1": "Lanczos"}
MULTIPART = "multipart/form-data; boundary=b"
_FIELD = b'--b\r\nContent-Disposition: form-data; name="%x"\r\n\r\n'
_FILE = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
_END = b"\r\n--b--\r\n"


def _grey_noise() -> bytes:
    """As many pixels as may be decoded, in as few bytes as noise can have."""
    stream = BytesIO()
    Image.frombytes("L", (4096, 4096), os.urandom(2**24)).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def _coloured_noise() -> bytes:
    """As many pixels of 16 colours as may be decoded, enough bytes to take the decoder's time."""
    stream = BytesIO()
    picture = Image.frombytes("P", (4096, 4096), bytes(byte & 15 for byte in os.urandom(2**24)))
    picture.putpalette(os.urandom(48))
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


_PICTURES = {
    "PNG of grey noise": _grey_noise,
    "PNG of noise in 16 colours": _coloured_noise,
    "PNG of coloured noise": lambda: noise((2896, 2896), "PNG", compress_level=0),
    "PNG of broken texts": lambda: a_png(chunk(b"zTXt", b"key\0\0no") * 600_000),
    **BOMBS,
}


@cache
def _picture(name: str) -> bytes:
    return _PICTURES[name]()


def raw_pictures() -> Iterable[Make]:
    """The files as they are."""
    return [partial(_raw, name) for name in _PICTURES]


def pictures_for(door: str) -> Iterable[Make]:
    """As base64 in what A1111's door takes; where it enlarges, as far as is allowed."""
    ways: list[Mapping[str, object]] = [LARGEST, LARGEST | {"upscaling_crop": True}] if "extra" in door else [{}]
    return [partial(_in_json, door, name, way) for name in _PICTURES for way in ways]


def _raw(name: str, _size: int) -> Body:
    return Body(name, _picture(name), "application/octet-stream")


def _in_form(name: str, _size: int) -> Body:
    return Body(name, _FILE + _picture(name) + _END, MULTIPART)


def _in_json(door: str, name: str, way: Mapping[str, object], _size: int) -> Body:
    text = base64.b64encode(_picture(name)).decode()
    if "batch" in door:
        many = [{"data": text, "name": "a"}] * max(1, min(16, MOST_BYTES // len(text)))
        body = {"imageList": many, **way}
    elif "img2img" in door:
        body = {"prompt": "a cat", "init_images": [text]}
    else:
        body = {"image": text, **way}
    return Body(f"{name}, cut" if "upscaling_crop" in way else name, json.dumps(body).encode())


def forms() -> Iterable[Make]:
    """Forms of many fields and files, of one long one, and with each picture."""

    def many(name: str, part: bytes, length: int) -> Make:
        return lambda size: Body(name, (part + b"1\r\n") * (size // length) + b"--b--\r\n", MULTIPART)

    def one(name: str, head: bytes, part: bytes) -> Make:
        return lambda size: Body(name, head + part * (size // len(part)) + _END, MULTIPART)

    plain = "application/x-www-form-urlencoded"
    return [
        many("many fields", _FIELD % 1, 60),
        many("many files", _FILE, 80),
        one("many lines of a head", b"--b\r\n", b"a: b\r\n"),
        one("a file of line ends", _FILE, b"\r\n"),
        one("a file of almost ends", _FILE, b"\r\n--"),
        one("one long file", _FILE, b"x"),
        one("one long field", _FIELD % 1, b"x"),
        *(partial(_in_form, name) for name in _PICTURES),
        lambda size: Body("plain fields", b"a=1&" * (size // 4), plain),
        lambda size: Body("plain escapes", b"prompt=" + b"%41" * (size // 3), plain),
    ]
