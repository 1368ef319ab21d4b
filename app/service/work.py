"""What every dialect does alike: hand a request to the queue, wait for a job."""

import hashlib
import time
from collections.abc import Callable

import structlog
from flask import g

from app.core.errors import ShuttingDown
from app.core.schema import GenerationRequest, Job
from app.service.job_events import follow
from app.service.parts import Parts
from app.service.streams import StreamEvent

_logger = structlog.stdlib.get_logger(__name__)


def submit(
    parts: Parts,
    request: GenerationRequest,
    *,
    origin: str,
    idempotency_key: str | None = None,
    fingerprint: str | None = None,
) -> tuple[Job, bool]:
    """Store a request as a job; True if it is new, False if this idempotency key had made it before.

    `request` is as the caller meant it: defaults are filled in and the seed is drawn here. `fingerprint` tells
    whether a repeated key comes with the same request; it is made from `request` if absent. When this returns,
    the job is on disk. Raises InvalidRequest, QueueFull, IdempotencyConflict, ShuttingDown, DatabaseBusy,
    StorageUnavailable, DiskFull.
    """
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    if fingerprint is None:
        fingerprint = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    job, created = parts.jobs.submit(
        parts.catalog.resolve(request),
        origin=origin,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        admit=parts.dispatcher.check_storage,
    )
    if created:
        parts.dispatcher.wake()
        g.accepted_origin = origin  # counted by metrics.py
    _logger.info("job_submitted", job_id=job.id, origin=origin, model=job.request.model, created=created)
    _logger.debug("job_prompt", job_id=job.id, prompt=request.prompt)
    return job, created


def wait(
    parts: Parts,
    job_id: str,
    timeout_s: float | None = None,
    on_event: Callable[[StreamEvent], None] | None = None,
) -> Job:
    """The job when it is finished, or as it is after `timeout_s`. The job goes on whatever happens here.

    `on_event` is called in this thread for every event. Raises UnknownJob, and ShuttingDown when the service stops
    before the job is finished: it will be made after the restart.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for event in follow(parts, job_id, deadline=deadline):
        if event is not None and on_event is not None:
            on_event(event)
    job = parts.jobs.get(job_id)
    if not job.state.finished and parts.lifecycle.stopped.is_set():
        raise ShuttingDown(
            f"The service is stopping. Job {job_id} is kept and made after the restart.",
            hint=f"GET /api/jobs/{job_id} then.",
        )
    return job
