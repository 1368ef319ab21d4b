"""How long a job will take, learned from past jobs of the same model."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import median

from sqlalchemy import Connection, bindparam, select

from app.core.schema import JobState
from app.database import jobs

RECENT_JOBS = 40
OVERHEAD_S = 0.2  # claim, encode, fsync and commit: what a job costs beside the engine's working time


@dataclass(frozen=True)
class Pace:
    """What recent jobs of one model took: pairs of (megapixel steps, seconds)."""

    samples: tuple[tuple[float, float], ...] = ()

    def seconds(self, work: float) -> float | None:
        """Seconds for a job of `work` megapixel steps, or None if nothing is known about this model."""
        drawing = self.drawing(work)
        return None if drawing is None else drawing + OVERHEAD_S

    def drawing(self, work: float) -> float | None:
        """Those of them that an engine works.

        The median of the jobs with exactly that much work, if there are any. Else what a job costs in any case (reading
        the prompt, decoding) and what each megapixel step adds, which jobs of different work tell apart. From jobs of
        one size alone all of their time is taken for the steps'.
        """
        alike = [taken for size, taken in self.samples if abs(size - work) <= 1e-9]
        if alike:
            return median(alike)
        if not self.samples:
            return None
        fixed, each = self._line
        return fixed + each * work

    @cached_property
    def _line(self) -> tuple[float, float]:
        """Seconds of a job without steps, and of one megapixel step: Theil and Sen's, which no odd job moves."""
        slopes = [
            (one[1] - other[1]) / (one[0] - other[0])
            for one, other in combinations(self.samples, 2)
            if abs(one[0] - other[0]) > 1e-9
        ]
        if not slopes:
            return 0.0, median(taken / size for size, taken in self.samples if size > 0)
        each = max(0.0, median(slopes))
        return max(0.0, median(taken - each * size for size, taken in self.samples)), each


_RECENT = (
    select(jobs.c.megapixel_steps, jobs.c.seconds)
    .where(jobs.c.model == bindparam("model"), jobs.c.finished_at.is_not(None))
    .where(jobs.c.state == JobState.SUCCEEDED, jobs.c.seconds.is_not(None))
    .order_by(jobs.c.finished_at.desc())
    .limit(RECENT_JOBS)
)


def learn(connection: Connection, model: str) -> Pace:
    """The pace of this model from its last 40 succeeded jobs."""
    return Pace(tuple((row.megapixel_steps, row.seconds) for row in connection.execute(_RECENT, {"model": model})))
