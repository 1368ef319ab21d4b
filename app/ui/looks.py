"""What the right side of the generate tab shows for one browser's memory, asked from the service anew each time."""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Look:
    """The stage, the memory without jobs that no longer exist, and whether anything is still going on."""

    stage: Markup
    memory: Memory
    busy: bool


def look(link: ServiceLink, memory: Memory, words: Words, *, fresh: bool = False, known: Sequence[Job] = ()) -> Look:
    """Ask for the jobs of this browser. A service that is away is said, and counts as busy: the page goes on asking.

    `known` were told by the service a moment ago and need not be asked for.
    """
    jobs = {job.id: job for job in known}
    lost: set[str] = set()
    trouble = None
    asked = [id for id in memory.jobs if id not in jobs]
    try:
        for id, job in link.jobs(asked, fresh=memory.focus if fresh else None):
            if job is None:
                lost.add(id)
            else:
                jobs[id] = job
    except ServiceError as error:
        trouble = error_text(error, words)
    memory = memory.without(lost)
    focus = jobs.get(memory.focus or "")
    others = [jobs[id] for id in memory.jobs if id in jobs and id != memory.focus and _matters(jobs[id])]
    busy = trouble is not None or any(not job.state.finished for job in jobs.values())
    now = None if focus is None else _now(link, focus)
    model = (memory.draft or {}).get("model")
    return Look(stage(now, others, words, trouble=trouble, model=model), memory, busy)


def _matters(job: Job) -> bool:
    """What is done is in the library, and who cancelled a job knows it."""
    return job.state is JobState.FAILED or not job.state.finished


def _now(link: ServiceLink, job: Job) -> JobNow:
    preview = link.previews.latest(job.id) if job.state is JobState.RUNNING else None
    try:
        marked = link.favourites([image.id for image in job.images])
    except ServiceError:
        marked = frozenset()  # the stars are empty for a moment; the pictures are what counts
    return JobNow(job, preview, marked)
