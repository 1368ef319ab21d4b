"""What a web server runs: the app with everything behind it, and how it begins and ends."""

from collections.abc import Callable
from typing import Protocol

from flask import Flask


class Running(Protocol):
    """A service that is built and not yet started."""

    app: Flask

    def start(self) -> None:
        """Begin to work."""
        ...

    def refuse_work(self) -> None:
        """Answer 503 to submits from now on. Called in a signal handler: must take no lock that others hold."""
        ...

    def stop(self, drain_s: float) -> None:
        """Finish or hand back what runs, then send all waiting callers home."""
        ...


Build = Callable[[int], Running]  # called in the process that serves, with the id of the process to name to others
EXIT_CANNOT_START = 3  # gunicorn's own code for a worker that must not be started again
