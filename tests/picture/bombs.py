"""Small files that would cost a reader minutes or gigabytes, and what reading one costs, measured in a child process.

`python -m tests.picture.bombs` measures all of them with what decodes and what only reads, and prints JSON.
"""

import base64
import json
import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import cast

from flask import Flask
from flask_openapi3.blueprint import APIBlueprint
from PIL import Image

from app.core.errors import AtelierError
from app.picture import png
from app.picture.plain import make_plain
from app.picture.resize import resize
from app.service.automatic1111.extras import add_extras
from app.service.automatic1111.generation import Callers
from app.service.http.seats import Seats
from app.service.parts import Parts

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FULL = 24 * 2**20  # as base64 in JSON it is the largest body
MOST_CPU_S = 2.0  # of a machine that is not shared
YARDSTICK_S = 0.33  # what `slowness` does takes so long on the machine for which that is meant
XMP = b"XML:com.adobe.xmp\0\0\0\0\0"


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def a_png(
    *chunks: bytes, size: tuple[int, int] = (8, 6), depth: int = 8, colours: int = 2, interlaced: int = 0
) -> bytes:
    """A black PNG with these chunks before its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colours, 0, 0, interlaced))
    row = 1 + size[0] * (3 if colours == 2 else 4) * depth // 8
    rows = zlib.compress(bytes(row * size[1] + interlaced * 100_000), 1)
    return SIGNATURE + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def a_jpeg(*segments: bytes, size: tuple[int, int] = (8, 8), **options: object) -> bytes:
    """A black JPEG with these segments before its pixels."""
    stream = BytesIO()
    Image.new("RGB", size).save(stream, "JPEG", **options)
    return stream.getvalue()[:2] + b"".join(segments) + stream.getvalue()[2:]


def a_jpeg_of_scans(more: int) -> bytes:
    """A progressive JPEG whose last pass comes that often again."""
    data = a_jpeg(size=(2896, 2896), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * more + data[-2:]


def a_webp(*parts: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    """A black lossless WebP with these parts behind its pixels."""
    stream = BytesIO()
    Image.new("RGB", size).save(stream, "WEBP", lossless=True, quality=0, method=0)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    extended += b"".join((side - 1).to_bytes(3, "little") for side in size)
    body = b"WEBP" + extended + stream.getvalue()[12:] + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def noise(size: tuple[int, int], format: str, **options: object) -> bytes:
    """A picture that nothing can make smaller."""
    stream = BytesIO()
    Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3)).save(stream, format, **options)
    return stream.getvalue()


def _full(part: bytes) -> bytes:
    return part * (FULL // len(part))


def _xmp(packet: str) -> bytes:
    return a_png(chunk(b"iTXt", XMP + packet.encode()[: 2**20]))


def _text(keyword: bytes, text: bytes) -> bytes:
    return a_png(chunk(b"tEXt", keyword + b"\0" + text))


_INFLATED = zlib.compress(b"a" * 2**20)
_SAYS = "<x:a xmlns:x='adobe' xmlns:p='http://ns.adobe.com/xap/1.0/'><p:CreatorTool>{}</p:CreatorTool></x:a>"

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of empty chunks": lambda: a_png(_full(chunk(b"abCd", b""))),
    "PNG of empty pixels": lambda: a_png(_full(chunk(b"IDAT", b""))),
    "PNG of tiny texts": lambda: a_png(_full(chunk(b"tEXt", b"k\0v"))),
    "PNG of compressed texts": lambda: a_png(chunk(b"zTXt", b"k\0\0" + _INFLATED) * 16_000),
    "PNG of compressed bad texts": lambda: a_png(chunk(b"iTXt", b"k\0\1\0\0\0" + _INFLATED + b"\xff") * 16_000),
    "PNG of colour profiles": lambda: a_png(chunk(b"iCCP", b"k\0\0" + _INFLATED) * 16_000),
    "PNG of EXIF blocks": lambda: a_png(_full(chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65535)))),
    "PNG, tall": lambda: a_png(size=(1, 2**24)),
    "PNG, tall and small": lambda: a_png(size=(1, 30_000)),
    "PNG, small": lambda: a_png(size=(1, 12)),
    "PNG, wide": lambda: a_png(size=(2**24, 1)),
    "PNG, large": lambda: a_png(size=(5744, 5744)),
    "PNG of 64 bits a pixel": lambda: a_png(size=(4096, 4096), depth=16, colours=6),
    "PNG, interlaced": lambda: a_png(size=(4096, 4096), interlaced=1),
    "PNG of noise": lambda: noise((2900, 2800), "PNG", compress_level=0),
    "PNG, a deep label": lambda: _xmp("<a>" * 32_000 + "x" + "</a>" * 32_000),
    "PNG, a label of pieces": lambda: _xmp(_SAYS.format("a<b/>" * 190_000)),
    "PNG, a label of escapes": lambda: _xmp(_SAYS.format("&lt;" * 250_000)),
    "PNG, a label of attributes": lambda: _xmp("<a " + " ".join(f"a{i}='1'" for i in range(80_000)) + "/>"),
    "PNG, deep JSON": lambda: _text(b"prompt", b'{"a":' * 4_000_000),
    "PNG, wide JSON": lambda: _text(b"prompt", b'{"a":[' + b"[]," * 7_000_000 + b"0]}"),
    "PNG, a wide recipe": lambda: _text(b"atelier", b'{"a":[' + b"[]," * 7_000_000 + b"0]}"),
    "PNG, JSON of digits": lambda: _text(b"prompt", b'{"a":[1' + (b"," + b"9" * 4300) * 5000 + b"]}"),
    "PNG, infotext of lines": lambda: _text(b"parameters", b"\n" * 20_000_000 + b"Steps: 1, Sampler: a, Seed: 2"),
    "PNG, infotext of quotes": lambda: _text(b"parameters", b"Steps: 1, " + b'aa:"\\' * 3200),
    "PNG, infotext of a key": lambda: _text(b"parameters", b"Steps: 1, " + b"a" * 16_000),
    "JPEG of empty segments": lambda: a_jpeg(_full(b"\xff\xef\x00\x02")),
    "JPEG of comments": lambda: a_jpeg(_full(b"\xff\xfe\x00\x02")),
    "JPEG of EXIF blocks": lambda: a_jpeg(_full(b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527))),
    "JPEG of small EXIF blocks": lambda: a_jpeg(_full(b"\xff\xe1\x00\x10Exif\0\0II*\0\x08\0\0\0")),
    "JPEG of tables": lambda: a_jpeg(_full(b"\xff\xdb\x00\x43\x00" + b"\x01" * 64)),
    "JPEG of filling": lambda: a_jpeg(b"\xff" * FULL),
    "JPEG of a thousand scans": lambda: a_jpeg_of_scans(1000),
    "JPEG of all scans": lambda: a_jpeg_of_scans(14),
    "JPEG of noise": lambda: noise((2896, 2896), "JPEG", quality=90, progressive=True),
    "JPEG, a broken index of pictures": lambda: a_jpeg(b"\xff\xe2\x00\x10MPF\0MM\0*\0\0\0\x08\xff\xff"),
    "WebP of empty parts": lambda: a_webp(_full(b"abcd\0\0\0\0")),
    "WebP, large": lambda: a_webp(size=(5744, 5744)),
    "WebP of noise": lambda: noise((2896, 2600), "WEBP", lossless=True, quality=0, method=0),
}  # fmt: skip


def _extras(data: bytes) -> Callable[[], object]:
    """A1111's door for one picture, over its real route; what its caller does is not counted."""
    app, blueprint = Flask(__name__), APIBlueprint("extras", __name__)
    no_models = SimpleNamespace(entries=list)
    add_extras(blueprint, cast(Parts, SimpleNamespace(seats=Seats(1), catalog=no_models)), Callers())
    app.register_blueprint(blueprint)
    app.register_error_handler(AtelierError, lambda error: ({"code": error.code}, error.http_status))
    size = {"resize_mode": 1, "upscaling_resize_w": 4096, "upscaling_resize_h": 4096}
    body = json.dumps({"image": base64.b64encode(data).decode(), "upscaler_1": "Lanczos", **size}).encode()
    client = app.test_client()
    return lambda: client.post("/sdapi/v1/extra-single-image", data=body, content_type="application/json").status_code


READERS: dict[str, Callable[[bytes], Callable[[], object]]] = {
    "inspect": lambda data: lambda: png.inspect(data),
    "crop": lambda data: lambda: resize(data, (8192, 1), "Lanczos", crop=True),
    "stretch": lambda data: lambda: resize(data, (2048, 8192), "Lanczos"),
    "extras": _extras,
    "upload": lambda data: lambda: make_plain(data, max_bytes=2**26, max_pixels=2**24).mode,
}
DECODED = {
    "upload": ("profiles", "interlaced", "noise", "all scans", "large", "WebP of empty"),
    "extras": ("bits", "interlaced", "noise", "all scans"),
    "stretch": ("tall", "wide", "small", "bits"),
}


def measured() -> list[tuple[str, str]]:
    """Which bomb is measured at which reader: all where files are looked through, few where pixels are made."""
    return [
        (bomb, reader)
        for bomb in BOMBS
        for reader in READERS
        if reader not in DECODED or any(word in bomb for word in DECODED[reader])
    ]


def cost(reader: Callable[[bytes], Callable[[], object]], data: bytes) -> tuple[float, float, str]:
    """CPU seconds, MiB on top, and how it ended, of one call in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        call = reader(data)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            said = str(call())[:40]
        except AtelierError as error:
            said = error.code
        except BaseException as error:  # whatever it is, the parent must hear of it
            said = f"fault {error!r}"[:200]
        seconds = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        os.write(writing, json.dumps([seconds, grown, said]).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read()
    return tuple(json.loads(told)) if told else (1e9, 1e9, f"ended by {status}")


def slowness() -> float:
    """How many times as long as on that machine the same work takes here and now, where others share the cores."""
    data, began = os.urandom(2**24), time.process_time()
    zlib.compress(data, 1)
    return max(1.0, (time.process_time() - began) / YARDSTICK_S)


def main() -> None:
    """Measure everything; processor time as if the machine was not shared, where that matters."""
    found = {}
    data, made = b"", ""
    for bomb, reader in measured():
        data, made = (data, made) if made == bomb else (BOMBS[bomb](), bomb)
        seconds, grown, said = cost(READERS[reader], data)
        slow = slowness() if seconds > MOST_CPU_S else 1.0
        found[f"{bomb}, {reader}"] = (seconds / slow, grown, said)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
