"""What the engines of this service did since it started, counted for whoever watches it."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.core.schema import Job

WAIT_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
RUN_BUCKETS_S = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32)
Key = TypeVar("Key")


@dataclass
class Spread:
    """How often values fell up to each of `bounds` and beyond them, and their sum."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True)
class Tallied:
    """All of it at one moment. `waits` is by model, `runs` by model and device, `batches` and `crashes` by device."""

    waits: Mapping[str, Spread]
    runs: Mapping[tuple[str, str], Spread]
    batches: Mapping[str, Spread]
    crashes: Mapping[str, int]


class Tally:
    """Counts jobs as engines take and finish them. Every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: defaultdict[str, Spread] = defaultdict(lambda: Spread(WAIT_BUCKETS_S))
        self._runs: defaultdict[tuple[str, str], Spread] = defaultdict(lambda: Spread(RUN_BUCKETS_S))
        self._batches: defaultdict[str, Spread] = defaultdict(lambda: Spread(BATCH_BUCKETS))
        self._crashes: defaultdict[str, int] = defaultdict(int)

    def taken(self, jobs: Sequence[Job], device: str) -> None:
        """An engine was given these jobs, to make in one batch. Only a first attempt says how long a job waited."""
        with self._lock:
            self._batches[device].add(sum(job.request.num_images for job in jobs))
            self._crashes[device] += 0
            for job in jobs:
                if job.attempt == 1 and job.started_at is not None:
                    waited = (job.started_at - job.created_at).total_seconds()
                    self._waits[job.request.model or ""].add(max(0.0, waited))

    def made(self, job: Job, device: str, seconds: float) -> None:
        """An engine made all of a job's pictures, in so many seconds of its time."""
        with self._lock:
            self._runs[job.request.model or "", device].add(seconds)

    def crashed(self, device: str) -> None:
        """An engine died under its work."""
        with self._lock:
            self._crashes[device] += 1

    def now(self) -> Tallied:
        """As it is at this moment."""
        with self._lock:
            return Tallied(_copies(self._waits), _copies(self._runs), _copies(self._batches), dict(self._crashes))


def _copies(spreads: Mapping[Key, Spread]) -> dict[Key, Spread]:
    found = {}
    for key, spread in spreads.items():
        found[key] = Spread(spread.bounds, total=spread.total)
        found[key].counts = list(spread.counts)
    return found
