"""A request on its way in: collected by the worker's loop, so that a slow sender never holds a thread.

This only decides when a request is whole. What it means is for gunicorn's parser to say, from the same bytes.
"""

import re

MAX_HEAD_BYTES = 128 * 2**10  # more than gunicorn itself accepts: it is the one to refuse
MAX_CHUNK_LINE_BYTES = 1024
MAX_CHUNKS = 2**16  # each costs microseconds, however little is in it; 512 bytes in each make the longest body
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_HEALTH = re.compile(rb"(?:GET|HEAD) /health[ ?]")


class Incoming:
    """The bytes of one request so far. `max_body` is the longest body, in bytes, that is worth collecting."""

    def __init__(self, max_body: int) -> None:
        self.data = bytearray()
        self.complete = False  # nothing more is to be read before the request is answered
        self.cut = False  # it is answered without its body, so that no request can follow on this connection
        self._max_body = max_body
        self._body_at: int | None = None
        self._length = 0
        self._chunks: _Chunks | None = None

    @property
    def has_begun(self) -> bool:
        """True if there is at least one byte."""
        return bool(self.data)

    @property
    def head_is_here(self) -> bool:
        """True once all headers came."""
        return self._body_at is not None

    @property
    def is_health_check(self) -> bool:
        """True for what must be answered however busy everybody is."""
        return bool(_HEALTH.match(self.data))

    def feed(self, data: bytes) -> bool:
        """Take what came; True if the sender waits for a word (`100 Continue`) before sending the body."""
        searched = max(0, len(self.data) - 3)
        self.data += data
        asks = False
        if self._body_at is None:
            asks = self._read_head(searched)
        if not self.complete and self._body_at is not None:
            self._read_body(self._body_at)
        return asks and not self.complete

    def _read_head(self, searched: int) -> bool:
        end = self.data.find(b"\r\n\r\n", searched)
        if end < 0:
            self.complete = self.cut = len(self.data) > MAX_HEAD_BYTES
            return False
        self._body_at = end + 4
        head = bytes(self.data[: end + 4])
        lengths = _LENGTH.findall(head)
        if _CHUNKED.search(head):
            self._chunks = _Chunks(self._body_at, self._max_body)
        elif lengths:
            self._length = int(lengths[0])
        if self._length > self._max_body:
            self.complete = self.cut = True
        asks = _EXPECT.search(head)
        if asks is None or self.complete:
            return False
        del self.data[asks.start() : asks.end()]  # it is answered here, and must not be answered again
        self._body_at -= asks.end() - asks.start()
        if self._chunks is not None:
            self._chunks = _Chunks(self._body_at, self._max_body)
        return True

    def _read_body(self, body_at: int) -> None:
        if self._chunks is None:
            self.complete = len(self.data) - body_at >= self._length
        else:
            self.complete = self._chunks.end_in(self.data)
            self.cut = self._chunks.wrong


class _Chunks:
    """Where a chunked body ends."""

    def __init__(self, start: int, most: int) -> None:
        self.wrong = False  # too long, in too many pieces, or not what it should be: its reader finds no end
        self._next = start
        self._left = most
        self._count = 0
        self._trailers = False

    def end_in(self, data: bytearray) -> bool:
        """True if nothing more is to be read: the end is there, or something is wrong."""
        while not self.wrong:
            end = data.find(b"\r\n", self._next)
            if end < 0:
                self.wrong = len(data) - self._next > MAX_CHUNK_LINE_BYTES
                return self.wrong
            line = bytes(data[self._next : end])
            if self._trailers:
                self._next = end + 2
                if not line:
                    return True
                continue
            size = _hex(line.partition(b";")[0].strip())
            if size is None or size > self._left or (size and self._count >= MAX_CHUNKS):
                self.wrong = True
            elif size == 0:
                self._trailers, self._next = True, end + 2
            elif len(data) < end + 2 + size + 2:
                return False
            else:
                self._left -= size
                self._count += 1
                self._next = end + 2 + size + 2
        return True


def _hex(text: bytes) -> int | None:
    return int(text, 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,15}", text) else None
