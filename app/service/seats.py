"""How many calls may wait at a time: each event stream and each waiting call holds one of the HTTP threads."""

import threading

from app.core.errors import ServerError


class TooManyStreams(ServerError):
    """Too many calls are waiting for events or pictures already. Ask for the job instead, or try again."""

    code = "too_many_streams"
    http_status = 503


class Seats:
    """A fixed number of seats. Thread-safe."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many calls wait right now."""
        return self._taken

    def take(self) -> None:
        """Take a seat, or raise TooManyStreams. Give it back with `leave`."""
        with self._lock:
            if self._taken >= self.number:
                raise TooManyStreams()
            self._taken += 1

    def leave(self) -> None:
        """Give a seat back."""
        with self._lock:
            self._taken -= 1

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.leave()
