"""The library as one line for each job that is over, for the playground's list: read once, however long it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, select

from app.core.schema import JobState
from app.database import images, jobs, reading
from app.library.search import NEWEST_FIRST

OPEN = [state for state in JobState if not state.finished]
_ROWS = 1000


@dataclass
class JobImages:
    """A job's images, the newest first. `seconds` is the working time of all; `created_at` (Unix time) is the newest's.

    `seed` is the job's: of its first image, even if that was deleted.
    """

    job_id: str
    prompt: str
    seed: int
    created_at: float
    seconds: float
    image_ids: list[str]


def jobs_with_images(database: Engine) -> Iterator[JobImages]:
    """Every job with images to which none will be added, the one with the newest first.

    Time and memory grow with their number.
    """
    columns = ("id", "job_id", "index", "seed", "prompt", "seconds", "created_at")
    growing = select(jobs.c.id).where(jobs.c.state.in_(OPEN))
    query = select(*(images.c[name] for name in columns)).where(images.c.job_id.not_in(growing))
    query = query.order_by(*NEWEST_FIRST)
    found: dict[str, JobImages] = {}
    with reading(database) as connection:
        for row in connection.execute(query.execution_options(yield_per=_ROWS)).mappings():
            job = found.get(row["job_id"])
            if job is None:
                seed = row["seed"] - row["index"]
                job = found[row["job_id"]] = JobImages(row["job_id"], row["prompt"], seed, row["created_at"], 0.0, [])
            job.image_ids.append(row["id"])
            job.seconds += row["seconds"] or 0.0
    yield from found.values()
