"""A connection's socket as a thread sees it: what the reader does not take at once is left for the worker's loop.

So a slow reader holds no thread either. Only when too much is left over does a thread wait, and not for long.
"""

import select
import socket
import threading
import time
from typing import Any

MAX_LEFT_BYTES = 16 * 2**20  # of one connection
MAX_ALL_LEFT_BYTES = 256 * 2**20
STALL_S = 20.0


class Budget:
    """How many bytes all connections together may have waiting. Any thread."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()

    def take(self, number: int) -> bool:
        """True if there is room for so many more bytes; they are counted then."""
        with self._lock:
            if number > self._free:
                return False
            self._free -= number
            return True

    def give(self, number: int) -> None:
        """So many bytes are gone."""
        with self._lock:
            self._free += number


class Wire:
    """What gunicorn's parser and response use of a socket. One thread at a time."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._budget = budget
        self._left = bytearray()
        self._came = memoryview(b"")

    def supply(self, came: bytes) -> None:
        """What `recv` gives from now on."""
        self._came = memoryview(came)

    def rest(self) -> bytes:
        """What was supplied and not asked for."""
        rest, self._came = bytes(self._came), memoryview(b"")
        return rest

    @property
    def left(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._left)

    def sendall(self, data: bytes) -> None:
        """Send what goes at once and keep the rest. Raises OSError if the reader is gone or does not read."""
        self.flush()
        view = memoryview(data)
        if not self._left:
            view = view[self._send(view) :]
        deadline = time.monotonic() + STALL_S
        while view:
            if len(self._left) + len(view) <= MAX_LEFT_BYTES and self._budget.take(len(view)):
                self._left += view
                return
            _, writable, _ = select.select([], [self.sock], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise TimeoutError("the reader is too slow")
            self.flush()
            if not self._left:
                view = view[self._send(view) :]

    def send(self, data: bytes) -> int:
        """As `sendall`; nothing is ever sent in part only."""
        self.sendall(data)
        return len(data)

    def flush(self) -> bool:
        """Send what goes at once of what was left; True if nothing is left. Raises OSError if the reader is gone."""
        while self._left:
            with memoryview(self._left) as view:
                sent = self._send(view[: 2**20])
            if not sent:
                return False
            del self._left[:sent]
            self._budget.give(sent)
        return True

    def recv(self, size: int, flags: int = 0) -> bytes:
        """The next of what was supplied; nothing at its end. With `MSG_PEEK` what is new in the socket itself."""
        if flags & socket.MSG_PEEK:
            return self.sock.recv(size, flags | socket.MSG_DONTWAIT)
        data, self._came = bytes(self._came[:size]), self._came[size:]
        return data

    def close(self) -> None:
        """Close the socket and forget what was left. Idempotent."""
        self._budget.give(len(self._left))
        self._left.clear()
        self.sock.close()

    def gettimeout(self) -> float:
        """Never waits."""
        return 0.0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.sock.fileno()

    def _send(self, data: Any) -> int:
        try:
            return self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
