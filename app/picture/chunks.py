"""The chunks of a PNG file within limits, and its texts, without decoding a pixel.

https://www.w3.org/TR/png-3/ sections 5 and 11.3.3. Pillow reads the same texts, but a compressed bomb makes it fail as
a whole, a million empty chunks cost it half a minute, and it tells neither a torn file nor a doubled keyword.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.core.errors import UnreadablePicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 16_384  # of one file; encoders write pixels in pieces of 8 KiB or more
MAX_TEXTS = 64  # fields read from one file; the rest are ignored
MAX_TEXT_BYTES = 2 * 2**20  # read of one text; the largest recipe has 1.5 MiB
MAX_INFLATED_BYTES = 2**20  # of one compressed text
MAX_ALL_TEXTS_BYTES = 8 * 2**20  # what all texts of a file may cost to read; the rest are ignored
# What the pixels need, and what their colours mean. The second kind counts once.
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_COLOURS = (b"iCCP", b"gAMA", b"cHRM", b"sRGB")


@dataclass(frozen=True)
class PngTexts:
    """Size in pixels, the texts by keyword (the first of each), the raw EXIF block, and how many pictures it has."""

    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    frames: int = 1
    c2pa: bool = False


def read_png(data: bytes) -> PngTexts:
    """Size, texts and EXIF of a whole PNG file. Raises UnreadablePicture if it is torn, damaged or all chunks.

    A text that does not decode or inflates beyond 1 MiB is left out, a plain one is cut at 2 MiB; of more than 64
    texts the first 64 are read, and of those no more than 8 MiB in all.
    """
    width = height = 0
    frames, c2pa = 1, False
    exif = b""
    texts = _Texts()
    for kind, body in _chunks(data):
        if kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack_from(">II", body)
        elif kind == b"eXIf":
            exif = bytes(body[:MAX_TEXT_BYTES])
        elif kind == b"acTL" and len(body) == 8:  # https://www.w3.org/TR/png-3/#acTL-chunk
            (frames, _) = struct.unpack_from(">II", body)
        elif kind == b"caBX":  # https://spec.c2pa.org: a manifest in a PNG file
            c2pa = True
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            texts.take(kind, body)
    if not width or not height:
        raise UnreadablePicture("The PNG file has no size.")
    return PngTexts(width, height, texts.found, exif, frames, c2pa)


def without_texts(data: bytes) -> bytes:
    """The same picture with nothing but its pixels and colours in it, for a decoder. Raises as `read_png`."""
    kept = [SIGNATURE]
    seen: set[bytes] = set()
    for kind, body in _chunks(data):
        if kind in _PIXELS or (kind in _COLOURS and kind not in seen):
            seen.add(kind)
            kept += [
                struct.pack(">I", len(body)),
                kind,
                bytes(body),
                struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))),
            ]
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view = memoryview(data)
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
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
    else:
        raise UnreadablePicture(f"The PNG file has more than {MAX_CHUNKS} chunks.")
    raise UnreadablePicture("The PNG file is cut short.")


class _Texts:
    """The texts read so far. Every one that is tried counts, or a file of a thousand bad ones would cost minutes."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._left, self._bytes_left = MAX_TEXTS, MAX_ALL_TEXTS_BYTES

    def take(self, kind: bytes, body: memoryview) -> None:
        if not self._left or self._bytes_left <= 0:
            return
        self._left -= 1
        try:
            keyword, value, cost = _text(kind, bytes(body[:MAX_TEXT_BYTES]))
        except (UnicodeDecodeError, IndexError, zlib.error, OverflowError):
            self._bytes_left -= len(body)
            return
        self._bytes_left -= cost
        self.found.setdefault(keyword, value)


def _text(kind: bytes, body: bytes) -> tuple[str, str, int]:
    """Keyword, text and how many bytes it took."""
    keyword, _, rest = body.partition(b"\0")
    if kind == b"tEXt":
        raw, encoding = rest, "latin-1"
    elif kind == b"zTXt":
        raw, encoding = _inflate(rest[1:]), "latin-1"
    else:
        compressed = rest[:1] == b"\1"
        raw, encoding = rest[2:].split(b"\0", 2)[2], "utf-8"  # after the language and the translated keyword
        if compressed:
            raw = _inflate(raw)
        elif len(body) == MAX_TEXT_BYTES:  # cut, perhaps inside a character
            raw = raw.decode("utf-8", "ignore").encode()
    return keyword.decode("latin-1"), raw.decode(encoding), len(body) + len(raw)


def _inflate(raw: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(raw, MAX_INFLATED_BYTES + 1)
    if len(text) > MAX_INFLATED_BYTES:
        raise OverflowError("a compressed text is larger than 1 MiB")
    return text
