"""How many calls may wait at a time: each event stream and each waiting call holds one of the HTTP threads."""

import threading
from collections import Counter
from collections.abc import Collection
from typing import Self

from flask import Response

from app.core.errors import ServerError

KEPT_FOR_EACH = 4  # seats that nobody else takes from a caller who has a key


class TooManyStreams(ServerError):
    """Too many calls are waiting for events or pictures already. Ask for the job instead, or try again."""

    code = "too_many_streams"
    http_status = 503


class Seat:
    """A taken seat; given back at the end of a `with` block, or with the response that keeps it."""

    def __init__(self, seats: "Seats", caller: str) -> None:
        self._seats = seats
        self._caller = caller
        self._kept = self._left = False

    def keep(self, response: Response) -> Response:
        """Hold the seat until the response is closed."""
        self._kept = True
        response.call_on_close(self.leave)
        return response

    def leave(self) -> None:
        """Give the seat back. Once."""
        if not self._left:
            self._left = True
            self._seats.give_back(self._caller)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self.leave()


class Seats:
    """A fixed number of seats. Thread-safe.

    Of several known callers each always finds up to four, its share of all at most, however many another one takes.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many calls wait right now."""
        return self._taken.total()

    def take(self, caller: str = "", known: Collection[str] = ()) -> Seat:
        """Take a seat for `caller`, leaving what is kept for the other `known` ones. Raises TooManyStreams."""
        share = min(KEPT_FOR_EACH, self.number // max(1, len(known)))
        with self._lock:
            free = self.number - self._taken.total()
            if free and self._taken[caller] >= share:
                free -= sum(max(0, share - self._taken[other]) for other in known if other != caller)
            if free <= 0:
                raise TooManyStreams()
            self._taken[caller] += 1
        return Seat(self, caller)

    def give_back(self, caller: str) -> None:
        """One seat of `caller` is free again."""
        with self._lock:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
