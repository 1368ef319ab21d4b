"""The text of a PNG file, read chunk by chunk within limits and without decoding a pixel.

https://www.w3.org/TR/png-3/ sections 5 and 11.3.3. Pillow reads the same texts, but a compressed bomb makes it fail as
a whole, and it tells neither a torn file nor a doubled keyword.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.core.errors import UnreadablePicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXTS = 64  # fields read from one file; the rest are ignored
MAX_INFLATED_BYTES = 2**20  # of one compressed text


@dataclass(frozen=True)
class PngTexts:
    """Size in pixels, the texts by keyword (the first of each), and the raw EXIF block."""

    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""


def read_png(data: bytes) -> PngTexts:
    """Size, texts and EXIF of a whole PNG file. Raises UnreadablePicture if it is torn or damaged.

    A text that does not decode or inflates beyond 1 MiB is left out; of more than 64 texts the first 64 are read.
    """
    width = height = 0
    texts: dict[str, str] = {}
    exif = b""
    for kind, body in _chunks(data):
        if kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack_from(">II", body)
        elif kind == b"eXIf":
            exif = bytes(body)
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and len(texts) < MAX_TEXTS:
            found = _text(kind, bytes(body))
            if found:
                texts.setdefault(*found)
    if not width or not height:
        raise UnreadablePicture("The PNG file has no size.")
    return PngTexts(width, height, texts, exif)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view = memoryview(data)
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        kind, body = data[at + 4 : at + 8], view[at + 8 : end - 4]
        if zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise UnreadablePicture("The PNG file is damaged: a checksum does not fit.")
        yield kind, body
        if kind == b"IEND":
            return
        at = end
    raise UnreadablePicture("The PNG file is cut short.")


def _text(kind: bytes, body: bytes) -> tuple[str, str] | None:
    keyword, _, rest = body.partition(b"\0")
    try:
        if kind == b"tEXt":
            value = rest.decode("latin-1")
        elif kind == b"zTXt":
            value = _inflate(rest[1:]).decode("latin-1")
        else:
            compressed = rest[:1] == b"\1"
            raw = rest[2:].split(b"\0", 2)[2]  # after the language and the translated keyword
            value = (_inflate(raw) if compressed else raw).decode("utf-8")
    except (UnicodeDecodeError, IndexError, zlib.error, OverflowError):
        return None
    return keyword.decode("latin-1"), value


def _inflate(raw: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(raw, MAX_INFLATED_BYTES + 1)
    if len(text) > MAX_INFLATED_BYTES:
        raise OverflowError("a compressed text is larger than 1 MiB")
    return text
