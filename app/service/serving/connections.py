"""The open connections of a worker: who sends, who is answered, who is late, and who must go when there is no room."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from app.service.serving.incoming import Incoming
from app.service.serving.wire import Wire

FIRST_BYTE_S = 15.0  # for the first byte of a request, also of the next one on a kept connection
HEAD_S = 15.0  # from the first byte of a request to the end of its head
PAUSE_S = 20.0  # between two pieces of a body
LEAST_BYTES_PER_S = 16 * 2**10  # of a whole body or a whole answer, after the first 30 s
GRACE_S = 30.0
GOODBYE_S = 2.0
LEAST = 32


class Connection:
    """One connection. Touched by the loop, and by one thread while that answers its request."""

    def __init__(self, sock: Wire, client: Any, server: Any, address: str) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.address = address
        self.parser: Any = None
        self.incoming = Incoming(0)
        self.counted = 0  # bytes of the worker's budget that its request takes
        self.then: Callable[[], None] = lambda: None
        self.is_reading = False
        self.deadline: float | None = None  # None while a thread has it
        self._since = 0.0

    def expect_request(self, max_body: int) -> None:
        """From now on a request is waited for."""
        self.incoming = Incoming(max_body)
        self.is_reading = True
        self.deadline = time.monotonic() + FIRST_BYTE_S
        self._since = 0.0

    def heard(self) -> None:
        """Something of the request came."""
        now = time.monotonic()
        self._since = self._since or now
        if not self.incoming.head_is_here:
            self.deadline = self._since + HEAD_S
        else:
            whole_by = self._since + HEAD_S + GRACE_S + len(self.incoming.data) / LEAST_BYTES_PER_S
            self.deadline = min(now + PAUSE_S, whole_by)

    def expect_reader(self, left: int) -> None:
        """From now on `left` bytes are waited to be read."""
        self.is_reading = False
        self.deadline = time.monotonic() + GRACE_S + left / LEAST_BYTES_PER_S

    def expect_end(self) -> None:
        """Nothing is waited for but the end."""
        self.is_reading = False
        self.deadline = time.monotonic() + GOODBYE_S


class Connections:
    """All of them; `most` at a time, three quarters of that from one address. For the loop's thread alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_one = max(1, most * 3 // 4)
        self._all: set[Connection] = set()
        self._of: Counter[str] = Counter()
        self._waiting: dict[str, dict[Connection, None]] = {}  # who has waited longest comes first

    def __len__(self) -> int:
        return len(self._all)

    def add(self, conn: Connection) -> None:
        """A new one."""
        self._all.add(conn)
        self._of[conn.address] += 1

    def waits(self, conn: Connection) -> None:
        """Its sender has the next move."""
        self._waiting.setdefault(conn.address, {})[conn] = None

    def works(self, conn: Connection) -> None:
        """A thread has it."""
        conn.deadline = None
        conn.is_reading = False
        self._forget(conn)

    def remove(self, conn: Connection) -> None:
        """It is over. Idempotent."""
        if conn in self._all:
            self._all.remove(conn)
            self._of[conn.address] -= 1
            if not self._of[conn.address]:
                del self._of[conn.address]
        self._forget(conn)

    def keep_fewer(self) -> None:
        """So many as there are cannot be had: from now on there are some fewer."""
        self._most = max(LEAST, min(self._most, len(self._all) - LEAST))
        self._most_of_one = max(1, self._most * 3 // 4)

    def victim_for(self, address: str) -> tuple[bool, Connection | None]:
        """Must one go before another one of `address` comes, and which? Nobody pays for another address's many."""
        if self._of[address] >= self._most_of_one:
            return True, next(iter(self._waiting.get(address, ())), None)
        return (True, self.oldest_waiting()) if len(self._all) >= self._most else (False, None)

    def oldest_waiting(self) -> Connection | None:
        """Of the address with most connections that wait for their sender the one that has waited longest."""
        most = max(self._waiting.values(), key=len, default={})
        return next(iter(most), None)

    def waiting(self) -> list[Connection]:
        """All whose sender has the next move."""
        return [conn for some in self._waiting.values() for conn in some]

    def late(self, now: float) -> list[Connection]:
        """All whose time is over."""
        return [conn for conn in self._all if conn.deadline is not None and conn.deadline <= now]

    def _forget(self, conn: Connection) -> None:
        some = self._waiting.get(conn.address)
        if some is not None:
            some.pop(conn, None)
            if not some:
                del self._waiting[conn.address]
