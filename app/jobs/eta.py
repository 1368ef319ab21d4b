"""How long a job will take, learned from past jobs of the same model."""

from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, select

from app.core.schema import JobState
from app.database import jobs

RECENT_JOBS = 40
OVERHEAD_S = 0.2  # claim, encode, fsync and commit: what a job costs beside the engine's working time


@dataclass(frozen=True)
class Pace:
    """What recent jobs of one model took: pairs of (megapixel steps, seconds)."""

    samples: tuple[tuple[float, float], ...] = ()

    def seconds(self, work: float) -> float | None:
        """Seconds for `work` megapixel steps, or None if nothing is known about this model.

        The median of the jobs with exactly that much work, if there are any, because a job's time is not quite
        proportional (encoding the prompt, decoding the latents); else the median pace of all, scaled.
        """
        alike = [taken for size, taken in self.samples if abs(size - work) <= 1e-9]
        if alike:
            return median(alike) + OVERHEAD_S
        paces = [taken / size for size, taken in self.samples if size > 0]
        return median(paces) * work + OVERHEAD_S if paces else None


def learn(connection: Connection, model: str) -> Pace:
    """The pace of this model from its last 40 succeeded jobs."""
    recent = (
        select(jobs.c.megapixel_steps, jobs.c.seconds)
        .where(jobs.c.model == model, jobs.c.finished_at.is_not(None))
        .where(jobs.c.state == JobState.SUCCEEDED, jobs.c.seconds.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(RECENT_JOBS)
    )
    return Pace(tuple((row.megapixel_steps, row.seconds) for row in connection.execute(recent)))
