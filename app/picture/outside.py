"""Pictures from outside: what a PNG, JPEG or WebP file says before anything of it is decoded, within limits.

Pillow reads every part of a file when it opens it. Millions of empty parts cost it minutes and gigabytes, and so does
a JPEG that paints its picture a thousand times; here such files are refused for what they are.
"""

import struct
from dataclasses import dataclass, field

from app.core.errors import UnreadablePicture
from app.picture import chunks, labels

MAX_PARTS = 2048  # segments of a JPEG before its pixels, chunks of a WebP
MAX_FILL_BYTES = 64  # between two segments of a JPEG
MAX_HEAD_BYTES = 16 * 2**20  # of a JPEG before its pixels
MAX_SCANS = 24  # passes over the picture; progressive files have about ten
# Pixels that a decoder is given: beside them stand a WebP's two canvases and a progressive JPEG's coefficients.
MAX_SIDE = 65_535  # a filter's table grows with the side
MAX_DECODED_PIXELS = {"PNG": 2**24, "JPEG": 2**23, "WEBP": 2**23}

_EXIF, _XMP, _PROFILE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP11, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEB, 0xEE
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DROPPED = frozenset(range(0xE0, 0xF0)) - {_APP0, _APP2, _APP14} | {0xFE}


@dataclass(frozen=True)
class Outside:
    """One file: `PNG`, `JPEG` or `WEBP`, its size in pixels, its texts by keyword, the XMP packet, the EXIF block.

    `frames` is more than 1 for an animation; `c2pa`: there are Content Credentials in it (https://spec.c2pa.org), which
    are neither read nor checked.
    """

    format: str
    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    xmp: str = ""
    exif: bytes = b""
    frames: int = 1
    c2pa: bool = False


def read(data: bytes) -> Outside:
    """What a whole file says; no pixel is decoded. Raises UnreadablePicture if it is another, damaged or hostile."""
    if data.startswith(chunks.SIGNATURE):
        png = chunks.read_png(data)
        xmp = png.texts.get(labels.KEYWORD, "")
        return Outside("PNG", png.width, png.height, png.texts, xmp, png.exif, png.frames, png.c2pa)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)[0]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    raise UnreadablePicture()


def decodable(data: bytes, most_pixels: int | None = None) -> tuple[Outside, bytes]:
    """What the file says, and the file without its texts for a decoder. Raises UnreadablePicture.

    Beside what `read` refuses, pictures of more pixels than `most_pixels` are, or than `MAX_DECODED_PIXELS` if that
    is absent, and pictures with a longer side.
    """
    found = read(data)
    allowed = most_pixels or MAX_DECODED_PIXELS[found.format]
    if found.width * found.height > allowed or max(found.width, found.height) > MAX_SIDE:
        size = f"{found.width}x{found.height}"
        raise UnreadablePicture(
            f"The {found.format} file has {size} pixels; allowed is at most {allowed} in all and {MAX_SIDE} on a side."
        )
    if found.format == "PNG":
        return found, chunks.without_texts(data)
    return found, _jpeg(data)[1] if found.format == "JPEG" else data


def _jpeg(data: bytes) -> tuple[Outside, bytes]:
    """The head of a JPEG file, and the file without what no decoder needs (ITU-T T.81 annex B)."""
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise UnreadablePicture(f"The JPEG file has more than {MAX_SCANS} scans.")
    view, kept = memoryview(data), [memoryview(data)[:2]]
    width = height = 0
    exif = xmp = b""
    c2pa = False
    at = 2
    for _ in range(MAX_PARTS):
        start, at = at, at + _fill(data, at)
        kind = data[at] if at < len(data) else _EOI
        if kind in (_SOI, _EOI) or at > MAX_HEAD_BYTES:
            break
        if kind == _SOS:
            if not width or not height:
                break
            whole = b"".join([*kept, view[start:]])
            return Outside("JPEG", width, height, {}, xmp.decode("utf-8", "replace"), exif, c2pa=c2pa), whole
        length = 0 if kind in _ALONE else int.from_bytes(data[at + 1 : at + 3])
        body = view[at + 3 : at + 1 + length]
        if kind not in _ALONE and (length < 2 or at + 1 + length > len(data)):
            break
        if kind in _SIZES and len(body) >= 5:
            height, width = struct.unpack_from(">HH", body, 1)
        if kind == _APP1 and bytes(body[: len(_EXIF)]) == _EXIF:
            exif = exif or bytes(body)
        elif kind == _APP1 and bytes(body[: len(_XMP)]) == _XMP:
            xmp = xmp or bytes(body[len(_XMP) :])
        elif kind == _APP11:
            c2pa = c2pa or (bytes(body[:2]) == b"JP" and b"c2pa" in bytes(body[:256]))
        at += 1 + length
        if kind not in _DROPPED and (kind != _APP2 or bytes(body[: len(_PROFILE)]) == _PROFILE):
            kept.append(view[start:at])
    raise UnreadablePicture("The JPEG file is damaged, or nothing but texts.")


def _fill(data: bytes, at: int) -> int:
    """How many bytes stand before the marker's own. Raises UnreadablePicture if no marker begins here."""
    start = data[at : at + MAX_FILL_BYTES]
    fill = len(start) - len(start.lstrip(b"\xff"))
    if not 0 < fill < MAX_FILL_BYTES:
        raise UnreadablePicture("The JPEG file is damaged.")
    return fill


def _webp(data: bytes) -> Outside:
    """https://developers.google.com/speed/webp/docs/riff_container."""
    sizes: list[tuple[int, int]] = []
    exif = xmp = b""
    frames, c2pa = 0, False
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + min(length, MAX_HEAD_BYTES)]
        if at + 8 + length > len(data):
            raise UnreadablePicture("The WebP file is cut short.")
        if size := _webp_size(kind, body):
            sizes.append(size)
        frames += kind == b"ANMF"
        exif = exif or (body if kind == b"EXIF" else b"")
        xmp = xmp or (body if kind == b"XMP " else b"")
        c2pa = c2pa or kind == b"C2PA"
        at += 8 + length + length % 2
    else:
        raise UnreadablePicture(f"The WebP file has more than {MAX_PARTS} parts.")
    if not sizes or not all(sizes[0]):
        raise UnreadablePicture("The WebP file has no size.")
    packet = xmp.decode("utf-8", "replace")
    return Outside("WEBP", *sizes[0], xmp=packet, exif=exif, frames=max(1, frames), c2pa=c2pa)


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X" and len(body) >= 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None
