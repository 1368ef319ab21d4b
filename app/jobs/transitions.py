"""The steps from state to state, inside a transaction that the caller opened. Fencing lives here."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Row, bindparam, delete, func, insert, select, update

from app.catalog import ModelEntry
from app.core.batching import batch_key, megapixel_steps
from app.core.errors import EngineCrashed, UnknownJob
from app.core.prompt_syntax import Prompt
from app.core.schema import GenerationRequest, Job, JobError, JobState, SavedImage
from app.core.shapes import as_drawn
from app.database import events, images, jobs
from app.image_rows import image_row
from app.input_rows import hold_inputs
from app.jobs.history import StoredEvent, append
from app.jobs.job_rows import SAID, Claimed, job_of

_NEW = insert(jobs).returning(*(column for column in SAID if column.name != "request"))
RELEASED = {"owner": None, "lease_until": None}


def row_of(
    connection: Connection, job_id: str, columns: Sequence[Column[Any]] = tuple(jobs.c), *, lock: bool = False
) -> Row[Any]:
    """The job's row, or these columns of it, with `lock` held until the transaction ends. Raises UnknownJob."""
    wanted = select(*columns).where(jobs.c.id == job_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise UnknownJob(f"There is no job with the id {job_id!r}.")
    return row


_WITH_KEY = select(jobs).where(jobs.c.idempotency_key == bindparam("key"))


def row_with_key(connection: Connection, idempotency_key: str | None) -> Row[Any] | None:
    """The row that was submitted with this key, or None."""
    if idempotency_key is None:
        return None
    return connection.execute(_WITH_KEY, {"key": idempotency_key}).one_or_none()


def row_held(connection: Connection, job: Job) -> Row[Any] | None:
    """The locked row if it still runs under the attempt that `job` was claimed with, else None. This is the fence."""
    held = (jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.state == JobState.RUNNING)
    return connection.execute(select(jobs).where(*held).with_for_update()).one_or_none()


def accept(
    connection: Connection,
    request: GenerationRequest,
    *,
    entry: ModelEntry | None,
    prompt: Prompt | None,
    origin: str,
    caller: str,
    turn: int,
    idempotency_key: str | None,
    fingerprint: str,
    priority: int,
    now: float,
) -> tuple[Row[Any], list[StoredEvent]]:
    """Write a new queued job; its row without the request and the entry, and its first event.

    Raises InvalidRequest for pictures that are not here.
    """
    job_id = str(uuid.uuid4())
    values = {
        "id": job_id,
        "idempotency_key": idempotency_key,
        "fingerprint": fingerprint,
        "origin": origin,
        "state": JobState.QUEUED,
        "priority": priority,
        "caller": caller,
        "turn": turn,
        "model": request.model,
        "batch_key": batch_key(request, entry.model_dump_json() if entry else "", prompt),
        "request": request.model_dump(mode="json"),
        "entry": entry.model_dump(mode="json") if entry else None,
        "num_images": request.num_pictures,
        "megapixel_steps": megapixel_steps(as_drawn(request, entry.shapes if entry else ())),
        "created_at": now,
    }
    row = connection.execute(_NEW, values).one()
    hold_inputs(connection, job_id, request)
    return row, [append(connection, job_id, "queued", {"attempt": 0}, now, first=True)]


def take(connection: Connection, seqs: Sequence[int], *, owner: str, lease_until: float, now: float) -> list[Row[Any]]:
    """Make these queued jobs run under `owner` with a new attempt; their rows in the order of `seqs`."""
    if not seqs:
        return []
    claimed = (
        update(jobs)
        .where(jobs.c.seq.in_(seqs), jobs.c.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            attempt=jobs.c.attempt + 1,
            owner=owner,
            lease_until=lease_until,
            started_at=now,
        )
        .returning(jobs)
    )
    return sorted(connection.execute(claimed).all(), key=lambda row: seqs.index(row.seq))


def claimed(connection: Connection, row: Row[Any], request: GenerationRequest, entry: ModelEntry | None) -> Claimed:
    """The job of a row that was just taken, with the images that are missing."""
    done = images_done(connection, row.id) if row.attempt > 1 else ()
    missing = tuple(index for index in range(request.num_pictures) if index not in done)
    return Claimed(**dict(job_of(row, request=request)), entry=entry, missing=missing)


def save(connection: Connection, job: Job, saved: Sequence[SavedImage], now: float) -> list[StoredEvent]:
    """Write the rows of saved images of a job, and an event for each.

    Rows that are there already were restored from files of an attempt that never committed: the new ones replace them.
    """
    indexes = [image.index for image in saved]
    connection.execute(delete(images).where(images.c.job_id == job.id, images.c.index.in_(indexes)))
    written = []
    for image in saved:
        connection.execute(insert(images).values(**image_row(image)))
        data = image.ref().model_dump(mode="json") | {"attempt": job.attempt}
        written.append(append(connection, job.id, "image", data, now))
    return written


def has_image(connection: Connection, image: SavedImage) -> bool:
    """True if this very image has its row."""
    return connection.scalar(select(func.count()).select_from(images).where(images.c.id == image.id)) == 1


def images_done(connection: Connection, job_id: str) -> dict[int, int]:
    """Index → attempt of the images that were saved, whether or not somebody deleted them since."""
    told = select(events.c.data).where(events.c.job_id == job_id, events.c.kind == "image").order_by(events.c.seq)
    return {data["index"]: data["attempt"] for data in connection.scalars(told)}


def succeed(
    connection: Connection,
    row: Row[Any],
    job: Job,
    saved: Sequence[SavedImage],
    seconds: float,
    now: float,
    text: str | None = None,
) -> list[StoredEvent]:
    """Save the last images, or the text, and close the job. Raises ValueError if that is not all of them."""
    written = save(connection, job, saved, now)
    if len(saved) < row.num_images:
        done = images_done(connection, job.id)
        if len(done) < row.num_images:
            raise ValueError(f"Job {job.id} has {len(done)} of its {row.num_images} images.")
        earlier = [index for index, attempt in done.items() if attempt < job.attempt]
        taken = select(func.sum(images.c.seconds)).where(images.c.job_id == job.id, images.c.index.in_(earlier))
        seconds += connection.scalar(taken) or 0.0
    return written + end(connection, row, JobState.SUCCEEDED, now, seconds=seconds, text=text)


def already_saved(connection: Connection, job: Job, saved: Sequence[SavedImage]) -> bool:
    """True if exactly this finish was committed before: its answer was lost, not its work."""
    succeeded = (jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.state == JobState.SUCCEEDED)
    if connection.scalar(select(func.count()).select_from(jobs).where(*succeeded)) == 0:
        return False
    ids = [image.id for image in saved]
    return connection.scalar(select(func.count()).select_from(images).where(images.c.id.in_(ids))) == len(ids)


def end(
    connection: Connection,
    row: Row[Any],
    state: JobState,
    now: float,
    *,
    seconds: float | None = None,
    error: JobError | None = None,
    text: str | None = None,
) -> list[StoredEvent]:
    """Close a job for good; the event that says so."""
    failure = error.model_dump() if error else None
    closed = {"state": state, "finished_at": now, "seconds": seconds, "error": failure, "text": text, **RELEASED}
    connection.execute(update(jobs).where(jobs.c.seq == row.seq).values(**closed))
    data: dict[str, Any] = {"attempt": row.attempt}
    if seconds is not None:
        data["seconds"] = seconds
    if text is not None:
        data["text"] = text
    if failure is not None:
        data["error"] = failure
    return [append(connection, row.id, state.value, data, now)]


def cancel(connection: Connection, row: Row[Any], now: float) -> list[StoredEvent]:
    """Close a queued job, or ask the engine to let go of a running one; what is told of it. The row is locked."""
    if row.state == JobState.QUEUED:
        return end(connection, row, JobState.CANCELLED, now)
    if row.state == JobState.RUNNING and not row.cancel_requested:
        connection.execute(update(jobs).where(jobs.c.seq == row.seq).values(cancel_requested=True))
    return []


def put_back(
    connection: Connection, row: Row[Any], *, crashed: bool, max_crashes: int, reason: str, now: float
) -> tuple[JobState, list[StoredEvent]]:
    """A running job lost its attempt: queued again at its old place, or cancelled, or failed at `max_crashes`."""
    crashes = row.crashes + int(crashed)
    connection.execute(update(jobs).where(jobs.c.seq == row.seq).values(crashes=crashes))
    if row.cancel_requested:
        return JobState.CANCELLED, end(connection, row, JobState.CANCELLED, now)
    if crashes >= max_crashes:
        error = JobError(
            code=EngineCrashed.code,
            message=f"The process that makes the pictures ended {crashes} times while it worked on this job.",
            hint="Try a smaller size or fewer steps; logs/image_service.log says how the process ended.",
        )
        return JobState.FAILED, end(connection, row, JobState.FAILED, now, error=error)
    back = {"state": JobState.QUEUED, "started_at": None, **RELEASED}
    connection.execute(update(jobs).where(jobs.c.seq == row.seq).values(**back))
    data = {"attempt": row.attempt, "crashes": crashes, "reason": reason}
    return JobState.QUEUED, [append(connection, row.id, "queued", data, now)]
