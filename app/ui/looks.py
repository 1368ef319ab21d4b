"""What the right side of the generate tab shows for one browser's memory, asked from the service anew each time."""

from dataclasses import dataclass

from app.core.errors import ServiceError
from app.core.schema import Job, JobState
from app.ui.link import ServiceLink
from app.ui.markup import Markup
from app.ui.memory import Memory
from app.ui.strings import Words
from app.ui.views.generate import stage
from app.ui.views.header import error_text
from app.ui.views.job import JobNow

GONE = 404


@dataclass(frozen=True)
class Look:
    """The stage, the memory without jobs that no longer exist, and whether anything is still going on."""

    stage: Markup
    memory: Memory
    busy: bool


def look(link: ServiceLink, memory: Memory, words: Words, *, fresh: bool = False) -> Look:
    """Ask for the jobs of this browser. A service that is away is said, and counts as busy: the page goes on asking."""
    jobs: dict[str, Job] = {}
    lost: set[str] = set()
    trouble = None
    for id in memory.jobs:
        try:
            jobs[id] = link.job(id, fresh=fresh and id == memory.focus)
        except ServiceError as error:
            if error.http_status == GONE:
                lost.add(id)
                continue
            trouble = error_text(error, words)
            break
    memory = memory.without(lost)
    focus = jobs.get(memory.focus or "")
    others = [job for id, job in jobs.items() if id != memory.focus]
    busy = trouble is not None or any(not job.state.finished for job in jobs.values())
    now = None if focus is None else _now(link, focus)
    return Look(stage(now, others, words, trouble=trouble), memory, busy)


def _now(link: ServiceLink, job: Job) -> JobNow:
    preview = link.previews.latest(job.id) if job.state is JobState.RUNNING else None
    try:
        marked = link.favourites([image.id for image in job.images])
    except ServiceError:
        marked = frozenset()  # the stars are empty for a moment; the pictures are what counts
    return JobNow(job, preview, marked)
