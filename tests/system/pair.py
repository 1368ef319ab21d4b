"""Two services on one PostgreSQL whose machines' clocks do not agree: for the kill loop it is one service."""

from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from app.client import ImageServiceClient
from app.core.schema import GenerationRequest, Job
from tests.system.skewed import skewed
from tests.system.victim import START_S, Victim

CLOCKS_S = (-45.0, 45.0)
LEASE_S = 5.0


class Pair:
    """What `Victim` offers, by two of them that take turns; `all` is both at once. One database, one folder.

    With `environment`, which names who may use it, one bucket instead, where `settings` say which.
    """

    def __init__(
        self, folder: Path, database_url: str, environment: Mapping[str, str] | None = None, **settings: str
    ) -> None:
        self.folder = folder
        self.database_url = database_url
        self.output_folder = folder / "output"
        shared = {"DATABASE_URL": database_url, "OUTPUT_FOLDER": str(self.output_folder), "LEASE_S": str(LEASE_S)}
        self._both = [Victim(folder / f"service{number}", **shared, **settings) for number in range(len(CLOCKS_S))]
        for victim, clock_s in zip(self._both, CLOCKS_S, strict=True):
            victim.environment |= {**skewed(clock_s), **(environment or {})}
        self._next = cycle(self._both)
        self._down: list[Victim] = []
        self.client = TurnsClient([victim.client for victim in self._both])

    def __enter__(self) -> "Pair":
        self._down = list(self._both)
        self.start(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        for victim in self._both:
            victim.__exit__()

    def kill_engine(self) -> bool:
        """Of whichever has one."""
        return next(self._next).kill_engine()

    def kill_worker(self) -> None:
        """Of one; returns when it takes work again."""
        next(self._next).kill_worker()

    def kill_arbiter(self) -> None:
        """Of one; all that belongs to it has ended then."""
        self._kill(next(self._next), Victim.kill_arbiter)

    def kill_all(self) -> None:
        """Every process of both."""
        for victim in self._both:
            self._kill(victim, Victim.kill_all)

    def start(self, timeout_s: float) -> None:
        """Start again what was killed as a whole; returns when it takes work."""
        while self._down:
            self._down.pop().start(timeout_s)

    def stop(self) -> int:
        """End both as an owner does; 0 if both ended well."""
        return max(abs(victim.stop() or 0) for victim in self._both)

    def _kill(self, victim: Victim, how: Callable[[Victim], None]) -> None:
        how(victim)
        self._down.append(victim)


class TurnsClient:
    """Calls go to each of the services in turn, as behind a proxy that shares them out."""

    def __init__(self, clients: list[ImageServiceClient]) -> None:
        self._turn = cycle(clients)

    def submit(self, request: GenerationRequest, *, idempotency_key: str) -> Job:
        """As the client's."""
        return next(self._turn).submit(request, idempotency_key=idempotency_key)

    def status(self) -> dict[str, Any]:
        """As the client's."""
        return next(self._turn).status()

    def job(self, job_id: str) -> Job:
        """As the client's."""
        return next(self._turn).job(job_id)

    def image_bytes(self, image_id: str) -> bytes:
        """As the client's."""
        return next(self._turn).image_bytes(image_id)
