"""The whole library as one line for each job, for the playground's list: read once, however long it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, select

from app.database import images, reading
from app.library.search import NEWEST_FIRST

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
    """Every job that has images, the one with the newest image first. Time and memory grow with their number."""
    columns = ("id", "job_id", "index", "seed", "prompt", "seconds", "created_at")
    query = select(*(images.c[name] for name in columns)).order_by(*NEWEST_FIRST)
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
