"""What service and child say to each other: one JSON object and, if it has any, raw bytes. Never pickle."""

import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

MAX_JSON_BYTES = 8 * 2**20
MAX_RAW_BYTES = 8192 * 8192 * 3  # the largest picture the schema allows, as RGB


class FrameError(Exception):
    """The other side sent something that is not a frame."""


@dataclass(frozen=True)
class Frame:
    """One message: what it is, its JSON fields, and the bytes of a picture or preview (empty if it has none)."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""


class Channel:
    """One end of a socket pair. Any thread may send; one thread receives and, when it is through, closes.

    Length-prefixed by `multiprocessing.connection.Connection`. `send_timeout_s` bounds a send to an end that
    does not read (None = wait for ever).
    """

    def __init__(self, end: socket.socket, *, send_timeout_s: float | None = None) -> None:
        end.setblocking(True)
        if send_timeout_s is not None:
            whole = int(send_timeout_s)
            microseconds = int((send_timeout_s - whole) * 1e6)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", whole, microseconds))
        self._connection = Connection(end.detach())
        self._sending = threading.Lock()

    def send(self, kind: str, raw: bytes = b"", /, **fields: Any) -> None:
        """Send one frame, whole. Raises OSError if the other end is gone, does not read, or this one is closed."""
        header = json.dumps({"kind": kind, "raw": len(raw), **fields}, ensure_ascii=False, separators=(",", ":"))
        encoded = header.encode()
        if len(encoded) > MAX_JSON_BYTES or len(raw) > MAX_RAW_BYTES:
            raise FrameError(f"a frame of {len(encoded)} + {len(raw)} bytes is too large")
        with self._sending:
            self._connection.send_bytes(encoded)
            if raw:
                self._connection.send_bytes(raw)

    def receive(self) -> Frame:
        """Wait for one frame. Raises EOFError if the other end is gone, FrameError if it is not a frame."""
        fields = _object(self._message(MAX_JSON_BYTES))
        kind, size = fields.pop("kind", None), fields.pop("raw", None)
        if not isinstance(kind, str) or type(size) is not int or not 0 <= size <= MAX_RAW_BYTES:
            raise FrameError("a frame without its kind or its size")
        raw = self._message(size) if size else b""
        if len(raw) != size:
            raise FrameError(f"a frame announced {size} bytes and carried {len(raw)}")
        return Frame(kind, fields, raw)

    def close(self) -> None:
        """Close this end. Idempotent."""
        with self._sending:  # never under a sender: its bytes could reach a file that reuses the number
            self._connection.close()

    def _message(self, limit: int) -> bytes:
        try:
            return self._connection.recv_bytes(limit)
        except (ConnectionError, EOFError) as error:
            raise EOFError from error
        except OSError as error:  # a length beyond the limit, or a stream cut inside a message
            raise FrameError(f"bad message: {error}") from error


def _object(message: bytes) -> dict[str, Any]:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame that is not JSON") from error
    if not isinstance(value, dict):
        raise FrameError("a frame that is not a JSON object")
    return value
