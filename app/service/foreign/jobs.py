"""What the foreign dialects do with jobs beyond submitting them: a finished job or an error, cancel, load a model."""

from app.core.errors import AtelierError, GenerationCancelled, GenerationFailed, ModelNotInstalled, OutOfMemory
from app.core.schema import Job, JobState
from app.service.http import callers
from app.service.http.streams import hang_up_if_the_caller_did
from app.service.job_events import with_progress
from app.service.model_events import follow_model, state_of
from app.service.parts import Parts

_CLASSES: dict[str, type[AtelierError]] = {kind.code: kind for kind in (OutOfMemory, ModelNotInstalled)}


def succeeded(job: Job) -> Job:
    """The job if all its images are there. Raises GenerationCancelled, or its own error as an exception."""
    if job.state is JobState.CANCELLED:
        raise GenerationCancelled()
    if job.error:
        kind = _CLASSES.get(job.error.code, GenerationFailed)
        raise kind(job.error.message, hint=job.error.hint)
    return job


def job_now(parts: Parts, job_id: str) -> Job:
    """The job with how far it is. Raises UnknownJob."""
    return with_progress(parts, parts.jobs.get(job_id))


def cancel(parts: Parts, job_id: str) -> Job:
    """Cancel a job: queued at once, running within one step; a finished one is not changed. Raises UnknownJob."""
    job = parts.jobs.cancel(job_id)
    parts.dispatcher.wake()
    return job


def load_model(parts: Parts, key: str) -> None:
    """Load a model and wait until it is loaded. Raises UnknownModel, and GenerationFailed with the reason.

    Takes a seat (TooManyStreams if there is none), and raises CallerGone if the caller hangs up before.
    """
    parts.catalog.get(key)
    with callers.seat(parts):
        parts.dispatcher.load_model(key)
        for event in follow_model(parts, key):
            if event is None:
                hang_up_if_the_caller_did()
    error = state_of(parts, key).error
    if error:
        raise _CLASSES.get(error.code, GenerationFailed)(error.message, hint=error.hint)
