"""What an AVIF file says, read from its boxes; no pixel is decoded.

ISO/IEC 14496-12 (boxes, items) and 23008-12 (`ispe`); https://aomediacodec.github.io/av1-avif/.
"""

import struct
from collections.abc import Iterator

from app.core.errors import UnreadablePicture
from app.picture.outside import Outside

MAX_BOXES = 512  # in one box
MAX_TEXT_BYTES = 2 * 2**20  # of the EXIF block and of the XMP packet
_BRANDS = (b"avif", b"avis")
_XMP = b"application/rdf+xml"
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # the uuid of a box with a manifest
_DAMAGED = "The AVIF file is damaged."


def is_avif(data: bytes) -> bool:
    """True if the file says that it is one."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def read(data: bytes) -> Outside:
    """Size, EXIF and XMP of a whole file. Raises UnreadablePicture if it is damaged."""
    view = memoryview(data)
    try:
        boxes = dict(_boxes(view))
        meta = dict(_boxes(boxes[b"meta"][4:]))
        sizes = [_size(body) for kind, body in _boxes(dict(_boxes(meta[b"iprp"]))[b"ipco"]) if kind == b"ispe"]
        kinds = dict(_items(meta[b"iinf"]))
        places = dict(_places(meta[b"iloc"]))
        exif = _content(view, kinds, places, "Exif")
        xmp = _content(view, kinds, places, "XMP")
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise UnreadablePicture(_DAMAGED) from error
    if not sizes:
        raise UnreadablePicture("The AVIF file has no size.")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    # The block begins with the place of its TIFF header; the packet is plain.
    frames = 2 if b"moov" in boxes else 1
    c2pa = bytes(boxes.get(b"uuid", b"")[:16]) == _C2PA
    return Outside("AVIF", width, height, {}, xmp.decode("utf-8", "replace"), exif[4:], frames, c2pa)


def _boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of each box, one after the other. Raises ValueError for one that does not fit."""
    at = 0
    for _ in range(MAX_BOXES):
        if at == len(view):
            return
        (length,), kind, head = struct.unpack_from(">I", view, at), bytes(view[at + 4 : at + 8]), 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", view, at + 8), 16
        end = len(view) if length == 0 else at + length
        if end > len(view) or 0 < length < head:
            raise ValueError(kind)
        yield kind, view[at + head : end]
        at = end
    raise ValueError("too many boxes")


def _size(body: memoryview) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", body, 4)
    return width, height


def _items(body: memoryview) -> Iterator[tuple[str, int]]:
    """`Exif` and `XMP` with the id of the item."""
    wide = body[0] > 0
    for kind, entry in _boxes(body[8 if wide else 6 :]):
        if kind != b"infe" or entry[0] not in (2, 3):
            continue
        (item,) = struct.unpack_from(">H" if entry[0] == 2 else ">I", entry, 4)
        rest = bytes(entry[8 if entry[0] == 2 else 10 :])
        if rest[:4] == b"Exif":
            yield "Exif", item
        elif rest[:4] == b"mime" and _XMP in rest[4:].split(b"\0")[:3]:
            yield "XMP", item


def _places(body: memoryview) -> Iterator[tuple[int, tuple[int, int]]]:
    """Id of an item → where its bytes begin in the file, and how many they are; of those in one piece."""
    version = body[0]
    offset_size, length_size, base_size, index_size = body[4] >> 4, body[4] & 15, body[5] >> 4, body[5] & 15
    at = 6
    (number,) = struct.unpack_from(">I" if version == 2 else ">H", body, at)
    at += 4 if version == 2 else 2
    for _ in range(min(number, MAX_BOXES)):
        (item,) = struct.unpack_from(">I" if version == 2 else ">H", body, at)
        at += 4 if version == 2 else 2
        method = 0
        if version in (1, 2):
            (method,) = struct.unpack_from(">H", body, at)
            at += 2
        at += 2  # data reference
        base, at = _number(body, at, base_size), at + base_size
        (extents,) = struct.unpack_from(">H", body, at)
        at += 2
        for extent in range(extents):
            at += index_size if version in (1, 2) else 0
            offset, at = _number(body, at, offset_size), at + offset_size
            length, at = _number(body, at, length_size), at + length_size
            if extent == 0 and extents == 1 and method & 15 == 0:
                yield item, (base + offset, length)


def _number(body: memoryview, at: int, size: int) -> int:
    if at + size > len(body):
        raise ValueError("a number does not fit")
    return int.from_bytes(body[at : at + size])


def _content(view: memoryview, kinds: dict[str, int], places: dict[int, tuple[int, int]], kind: str) -> bytes:
    offset, length = places.get(kinds.get(kind, -1), (0, 0))
    if offset + length > len(view):
        raise ValueError(kind)
    return bytes(view[offset : offset + min(length, MAX_TEXT_BYTES)])
