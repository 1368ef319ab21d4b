"""The two EXIF values that matter here: `UserComment`, where A1111 and others put their text in JPEG and WebP files,
and `Orientation`, by which a camera says how it was held.

Read directly, because a general reader warns, follows offsets and builds every tag of a block that may be hostile.
https://www.cipa.jp/std/documents/e/DC-008-Translation-2019-E.pdf (4.6.2 structure, 4.6.5 UserComment,
4.6.4 Orientation).
"""

import struct

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_ORIENTATION = 0x0112
_ENTRY_BYTES = 12
_PREFIX = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def user_comment(block: bytes) -> str:
    """The text of UserComment in an EXIF block, "" if there is none or the block is broken. Never raises.

    The first eight bytes name the character set; `UNICODE` is UTF-16 of either byte order, told by where the zeros are.
    """
    block = block.removeprefix(_PREFIX)
    order = _ORDERS.get(block[:4])
    if order is None:
        return ""
    try:
        (first,) = struct.unpack_from(f"{order}L", block, 4)
        (_, inner) = _entry(block, order, first, _EXIF_IFD)
        (count, offset) = _entry(block, order, inner, _USER_COMMENT)
    except (struct.error, LookupError):
        return ""
    raw = block[offset : offset + count]
    return _decode(raw[:8], raw[8:]).strip("\0 ")


def orientation(block: bytes) -> int:
    """How the picture of an EXIF block is turned, 1 (upright) to 8; 1 if it does not say, or says nonsense."""
    block = block.removeprefix(_PREFIX)
    order = _ORDERS.get(block[:4])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}L", block, 4)
        (_, value) = _entry(block, order, first, _ORIENTATION)
    except (struct.error, LookupError):
        return 1
    turned = value >> 16 if order == ">" else value & 0xFFFF  # a short stands at the beginning of its four bytes
    return turned if 1 <= turned <= 8 else 1


def _entry(block: bytes, order: str, ifd: int, wanted: int) -> tuple[int, int]:
    """Count and value (or the value's offset) of one tag of the directory at `ifd`. LookupError if it is not there."""
    (entries,) = struct.unpack_from(f"{order}H", block, ifd)
    for number in range(entries):
        tag, _, count, value = struct.unpack_from(f"{order}HHLL", block, ifd + 2 + number * _ENTRY_BYTES)
        if tag == wanted:
            return count, value
    raise LookupError(wanted)


def _decode(charset: bytes, body: bytes) -> str:
    if charset == b"UNICODE\0":
        big = body[0::2].count(0) >= body[1::2].count(0)
        return body.decode("utf-16-be" if big else "utf-16-le", "replace").lstrip("\ufeff")
    return body.decode("utf-8", "replace") if charset in (b"ASCII\0\0\0", bytes(8)) else ""
