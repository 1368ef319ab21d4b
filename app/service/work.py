"""What every dialect does alike: hand a request or a grid to the queue, wait for a job."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import g

from app.catalog import ModelEntry
from app.core.errors import FieldError, InvalidRequest, ShuttingDown, UnknownInput, UnknownModel
from app.core.grids import Grid, GridRequest, Plan, plan
from app.core.schema import NO_SIDES, GenerationRequest, InputRole, Job
from app.core.sizes import size_of_picture
from app.core.task import Task
from app.jobs.grids import Cell
from app.service.http import callers
from app.service.http.streams import StreamEvent, hang_up_if_the_caller_did
from app.service.installed import check_installed
from app.service.job_events import follow
from app.service.parts import Parts

MAX_EXTRA_BYTES = 16 * 2**10
_logger = structlog.stdlib.get_logger(__name__)


def submit(
    parts: Parts,
    request: GenerationRequest,
    *,
    origin: str,
    idempotency_key: str | None = None,
    fingerprint: str | None = None,
    priority: int = 0,
) -> tuple[Job, bool]:
    """Store a request as a job; True if it is new, False if this idempotency key had made it before.

    `request` is as the caller meant it: defaults are filled in and the seed is drawn here. `fingerprint` tells
    whether a repeated key comes with the same request; it is made from `request` if absent. When this returns,
    the job is on disk. Raises InvalidRequest, ModelNotInstalled, QueueFull, IdempotencyConflict, ShuttingDown,
    DatabaseBusy, StorageUnavailable, DiskFull, LibraryFull.
    """
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    _refuse_large(request.extra)
    if fingerprint is None:
        fingerprint = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    resolved = parts.catalog.resolve_with_entry(_sized(parts, request))
    job, created = parts.jobs.submit(
        resolved.request,
        entry=resolved.entry,
        prompt=resolved.prompt,
        origin=origin,
        caller=callers.current().name,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        priority=priority,
        admit=lambda: _refuse_what_cannot_be_drawn(parts, resolved.entry),
    )
    if created:
        parts.dispatcher.wake()
        g.accepted_origin = origin  # counted by http/metrics.py
    g.accepted_job = job.id  # named in the request's trace
    _logger.info("job_submitted", job_id=job.id, origin=origin, model=job.request.model, created=created)
    _logger.debug("job_prompt", job_id=job.id, prompt=request.prompt)
    return job, created


def submit_grid(
    parts: Parts, asked: GridRequest, *, origin: str, idempotency_key: str | None = None
) -> tuple[Grid, bool]:
    """Store a grid with a job for each of its cells; True if it is new, False if this idempotency key had made it.

    Each cell is filled in and checked like a request of its own, and the same errors are raised; a cell that is refused
    is named in the hint.
    """
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    _refuse_large(asked.request.extra)
    planned = plan(asked, max_cells=parts.settings.max_grid_cells, seed=secrets.randbelow(2**32))
    cells = [_cell(parts, planned, place) for place in range(len(planned.cells))]
    # What no axis changes is kept as it is drawn, so that a later catalog does not change the grid; but a default
    # that depends on the model stays open where the model is an axis.
    by_model = any(axis.name == "model" for axis in planned.axes)
    first = planned.cells[0]
    as_written = {name: getattr(first, name) for name in ("prompt", "negative_prompt", "written")}
    base = first if by_model else cells[0].request.model_copy(update=as_written)
    entries = {cell.entry.key: cell.entry for cell in cells}
    grid, created = parts.grids.submit(
        planned.asked(base),
        cells,
        origin=origin,
        caller=callers.current().name,
        idempotency_key=idempotency_key,
        fingerprint=hashlib.sha256(asked.model_dump_json().encode()).hexdigest(),
        admit=lambda: _refuse_what_cannot_be_drawn(parts, *entries.values()),
    )
    if created:
        parts.dispatcher.wake()
        g.accepted_origin, g.accepted_jobs = origin, len({cell.job_id for cell in grid.cells if not cell.reused})
    _logger.info("grid_submitted", grid_id=grid.id, origin=origin, cells=len(cells), created=created)
    return grid, created


def _cell(parts: Parts, planned: Plan, place: int) -> Cell:
    try:
        resolved = parts.catalog.resolve_with_entry(planned.cells[place])
    except InvalidRequest as error:
        raise InvalidRequest(error.errors, hint=f"In the picture with {planned.words(place)}.") from error
    return Cell(resolved.request, resolved.entry, resolved.prompt)


def _sized(parts: Parts, request: GenerationRequest) -> GenerationRequest:
    """A request that says no size, with that of its picture where all of that is drawn: an instruction changes it, or
    it is extended, and nothing is to be cut.

    As it is where something is wrong with it: the catalog says so.
    """
    changed = next((item.sha256 for item in request.inputs if item.role is InputRole.IMAGE), None)
    extended = request.extend != NO_SIDES and not request.inpaint_full_res
    no_size = (request.width, request.height) == (None, None)
    if not (request.task is Task.EDIT or extended) or changed is None or not no_size:
        return request
    try:
        entry = parts.catalog.get(request.model or parts.catalog.default_key)
        picture = parts.inputs.ref(changed)
    except (UnknownModel, UnknownInput):
        return request
    left, top, right, bottom = request.extend
    width, height = size_of_picture(picture.width + left + right, picture.height + top + bottom, entry)
    return request.model_copy(update={"width": width, "height": height})


def _refuse_large(extra: Mapping[str, Any]) -> None:
    """What is kept with each job, each picture and in each list of them must be small, and must be text."""
    try:
        size = len(json.dumps(extra, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:  # half a surrogate pair, or an infinity
        raise InvalidRequest([FieldError("extra", None, "allowed are JSON values of valid Unicode text")]) from None
    if size > MAX_EXTRA_BYTES:
        allowed = f"allowed are {MAX_EXTRA_BYTES} bytes as JSON, these are {size}"
        raise InvalidRequest([FieldError("extra", None, allowed)])


def _refuse_what_cannot_be_drawn(parts: Parts, *entries: ModelEntry) -> None:
    """For want of the model or of room. A key that made a job before gets that one whatever is missing now."""
    for entry in entries:
        for needed in (entry, *entry.beside):
            check_installed(parts, needed)
    parts.dispatcher.check_storage()
    parts.library.room.check()


def wait(
    parts: Parts,
    job_id: str,
    timeout_s: float | None = None,
    on_event: Callable[[StreamEvent], None] | None = None,
) -> Job:
    """The job when it is finished, or as it is after `timeout_s`. The job goes on whatever happens here.

    `on_event` is called in this thread for every event. Raises UnknownJob, CallerGone if the caller hangs up, and
    ShuttingDown when the service stops before the job is finished: it will be made after the restart.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for event in follow(parts, job_id, deadline=deadline):
        if event is None:
            hang_up_if_the_caller_did()
        elif on_event is not None:
            on_event(event)
    job = parts.jobs.get(job_id)
    if not job.state.finished and parts.lifecycle.stopped.is_set():
        raise ShuttingDown(
            f"The service is stopping. Job {job_id} is kept and made after the restart.",
            hint=f"GET /api/jobs/{job_id} then.",
        )
    return job
