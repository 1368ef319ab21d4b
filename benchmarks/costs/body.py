"""One body of a request, and how bodies of any size are made."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """What is sent. `chunked`: `data` is written in HTTP's own pieces already."""

    name: str
    data: bytes
    content_type: str = "application/json"
    chunked: bool = False


Make = Callable[[int], Body]  # of about so many bytes


def in_pieces(make: Make) -> Make:
    """The same in HTTP's pieces of one byte each."""

    def pieces(size: int) -> Body:
        body = make(size)
        cut = b"".join(b"1\r\n%c\r\n" % byte for byte in body.data[: size // 6]) + b"0\r\n\r\n"
        return Body(f"{body.name}, in pieces of one byte", cut, body.content_type, chunked=True)

    return pieces
