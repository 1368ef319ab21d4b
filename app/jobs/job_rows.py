"""Between a row of the job table and the Job that everybody else sees."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import ValidationError
from sqlalchemy import Connection, Row, select

from app.catalog import ModelEntry
from app.core.schema import GenerationRequest, ImageRef, Job, JobError, JobState
from app.database import images, jobs

logger = logging.getLogger(__name__)


# What a Job says of a row. The model's entry is large, and for engines only.
SAID = [column for column in jobs.c if column.name != "entry"]


@dataclass(frozen=True)
class Place:
    """Where an open job stands: `position` 0 = running, 1 = next; `eta_s` until it is done, None = no idea yet."""

    position: int
    eta_s: float | None = None


class Claimed(Job):
    """A running job with what its engine needs: its model as it was when the job was accepted, and what is missing.

    `entry` is None in a row of a version that kept none; `missing` are the images that no earlier attempt saved.
    """

    entry: ModelEntry | None
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """What was asked for as a row keeps it, or why this version cannot read that; and its model (see `Claimed`)."""

    request: GenerationRequest | JobError
    entry: ModelEntry | None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Read a row, once for all that ask: whatever wrote it, what comes out is checked."""
        return cls(request_or_problem(row), _entry_of(row))


def utc(seconds: float | None) -> datetime | None:
    """The moment `seconds` after 1970, UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def image_refs(connection: Connection, job_ids: Iterable[str]) -> dict[str, tuple[ImageRef, ...]]:
    """The saved images of these jobs in the order of their index; jobs without images are absent."""
    asked = list(job_ids)
    if not asked:
        return {}
    columns = [images.c[name] for name in ("id", "job_id", "index", "seed", "width", "height", "sha256")]
    notes = images.c.recipe[("how", "notes")].label("notes")  # the rest of a recipe stays in the table
    wanted = select(*columns, notes).where(images.c.job_id.in_(asked)).order_by(images.c.job_id, images.c.index)
    found: dict[str, list[ImageRef]] = {}
    for row in connection.execute(wanted):
        values = dict(row._mapping) | {"notes": tuple(row.notes or ())}
        found.setdefault(values.pop("job_id"), []).append(ImageRef(url=f"/images/{row.id}.png", **values))
    return {job_id: tuple(refs) for job_id, refs in found.items()}


def job_of(
    row: Row[Any],
    refs: Sequence[ImageRef] = (),
    place: Place | None = None,
    request: GenerationRequest | None = None,
    max_crashes: int = 0,
) -> Job:
    """The job of one row of `jobs`. Of a row that another version wrote: as much as this one can read.

    `request` is the row's own, where that is at hand: then it is not read again.
    """
    known_state = row.state in JobState.__members__.values()
    return Job(
        id=row.id,
        state=JobState(row.state) if known_state else JobState.FAILED,
        origin=row.origin,
        request=request or _request_of(row),
        priority=row.priority,
        attempt=row.attempt,
        crashes=row.crashes,
        max_crashes=max_crashes,
        position=place.position if place else None,
        eta_s=place.eta_s if place else None,
        images=tuple(refs),
        text=row.text,
        error=error_of(row) if known_state else _problem_of(row),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        started_at=utc(row.started_at),
        finished_at=utc(row.finished_at),
        seconds=row.seconds,
    )


def request_or_problem(row: Row[Any]) -> GenerationRequest | JobError:
    """The request of a row whose job can be run, or why it cannot: another version wrote what this one cannot read."""
    try:
        JobState(row.state)
        return GenerationRequest.model_validate(row.request)
    except ValueError as error:
        wrong = ", ".join(_wrong_fields(error)) or "its state"
        return JobError(
            code="unreadable_job",
            message=f"This version of Atelier cannot read the job: another version wrote {wrong}.",
            hint="Submit it again, or run it with the version that accepted it.",
        )


def _entry_of(row: Row[Any]) -> ModelEntry | None:
    if row.entry is None:
        return None
    try:
        return ModelEntry.model_validate(row.entry)
    except ValidationError:
        logger.warning("Job %s: its model was kept by another version; the catalog's entry is taken", row.id)
        return None


def _problem_of(row: Row[Any]) -> JobError | None:
    found = request_or_problem(row)
    return found if isinstance(found, JobError) else None


def _request_of(row: Row[Any]) -> GenerationRequest:
    try:
        return GenerationRequest.model_validate(row.request)
    except ValidationError as error:
        stored = row.request if isinstance(row.request, dict) else {}
        readable = stored.keys() & GenerationRequest.model_fields.keys() - _wrong_fields(error)
        model = row.model[:200]
        return GenerationRequest(**({"prompt": "", "model": model} | {name: stored[name] for name in readable}))


def error_of(row: Row[Any]) -> JobError | None:
    """Why the job of a row failed; None if it did not."""
    if not row.error:
        return None
    try:
        return JobError.model_validate(row.error)
    except ValidationError:
        return JobError(code="unknown", message=str(row.error))


def _wrong_fields(error: ValueError) -> set[str]:
    found = error.errors() if isinstance(error, ValidationError) else []
    return {str(each["loc"][0]) if each["loc"] else "its request" for each in found}
