"""Following one job: state changes from the table, steps and previews from memory, in the order they happened."""

import base64
import time
from collections.abc import Iterator

from app.core.schema import Job, JobError, JobState
from app.jobs.live import FINISHED, LiveEvent
from app.service.http.streams import TICK_S, StreamEvent
from app.service.parts import Parts

PAUSED = JobError(
    code="queue_paused", message="The queue is paused.", hint="Go on with it: atelier jobs resume, or on the page."
)


def with_progress(parts: Parts, job: Job) -> Job:
    """The job with how far it is, if it runs here, and with what keeps it waiting, if something does."""
    if job.state is JobState.QUEUED:
        if parts.dispatcher.paused:  # nobody knows for how long
            return job.model_copy(update={"waiting": PAUSED, "eta_s": None})
        return job.model_copy(update={"waiting": parts.dispatcher.obstacle()})
    if job.state is not JobState.RUNNING:
        return job
    return job.model_copy(update={"progress": parts.live.progress(job.id)})


def in_a_list(parts: Parts, job: Job) -> Job:
    """`with_progress` for one of many jobs: without `extra`, which nothing here uses and which may be long."""
    job = with_progress(parts, job)
    return job.model_copy(update={"request": job.request.model_copy(update={"extra": {}})})


def follow(parts: Parts, job_id: str, *, after: int = 0, deadline: float | None = None) -> Iterator[StreamEvent | None]:
    """The job's events behind number `after`, until it is finished; `None` for about each second without one.

    Also ends at `deadline` (`time.monotonic`) and, after the last word about the job, when the service stops. Raises
    UnknownJob. A reader that is too slow misses steps, never a change of state.
    """
    known = parts.jobs.events_after(job_id)
    # A number that was never given (the table came from an older backup) must not hide what is to come.
    after = min(after, known[-1].seq if known else 0)
    if known and known[-1].kind in FINISHED and known[-1].seq == after:
        return
    version, preview = 0, 0
    look = True
    while True:
        # The version is taken before the rows are read, so that what happens in between is not slept through.
        newest = parts.live.latest(job_id)
        for row in parts.jobs.events_after(job_id, after) if look else ():
            after = row.seq
            yield StreamEvent(row.kind, row.data, row.seq)
            if row.kind in FINISHED:
                return
        if newest is not None and newest.version > version and newest.seq is None:
            yield _live_event(parts, job_id, newest, preview)
            preview = newest.data.get("preview", 0)
        version = newest.version if newest is not None else version
        if parts.lifecycle.stopped.is_set() or (deadline is not None and time.monotonic() >= deadline):
            return
        following = parts.live.wait(job_id, version, _patience(deadline))
        if following is None:
            yield None
        # Only the newest event is kept in memory: a step may hide a row that was told before it.
        look = following is None or following.rows > after


def _patience(deadline: float | None) -> float:
    return TICK_S if deadline is None else max(0.0, min(TICK_S, deadline - time.monotonic()))


def _live_event(parts: Parts, job_id: str, event: LiveEvent, last_preview: int) -> StreamEvent:
    """A step as it goes to the reader: a new preview as base64, null where it has not changed."""
    picture = parts.live.preview(job_id) if event.data.get("preview", 0) != last_preview else None
    encoded = base64.b64encode(picture).decode() if picture is not None else None
    return StreamEvent(event.kind, event.data | {"preview": encoded})
