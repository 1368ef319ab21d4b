"""Which job starts from which pictures, as rows of `job_inputs`, inside a transaction that the caller opened."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from app.core.control import pictures_of
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest, InputRole, JobState
from app.database import images, inputs, job_inputs, jobs, trash

OPEN = [state for state in JobState if not state.finished]


def hold_inputs(connection: Connection, job_id: str, request: GenerationRequest) -> None:
    """Keep the request's pictures as long as the job is open or one of its pictures is in the library.

    Raises InvalidRequest naming each picture that is not here.
    """
    wanted = set(pictures_of(request))
    known = known_inputs(connection, wanted)
    missing = [
        FieldError(f"inputs.{place}.sha256", item.sha256, "there is no such picture here; send it to POST /api/inputs")
        for place, item in enumerate(request.inputs)
        if item.sha256 not in known
    ] + [
        FieldError(f"control.{place}.image", unit.image, "there is no such picture here; send it to POST /api/inputs")
        for place, unit in enumerate(request.control)
        if unit.image not in known
    ]
    if missing:
        raise InvalidRequest(missing)
    for sha256 in sorted(wanted):
        connection.execute(insert(job_inputs).values(job_id=job_id, sha256=sha256))


def known_inputs(connection: Connection, hashes: Iterable[str]) -> set[str]:
    """Those of `hashes` that are here. On PostgreSQL they stay until the transaction ends."""
    wanted = list(hashes)
    if not wanted:
        return set()
    found = select(inputs.c.sha256).where(inputs.c.sha256.in_(wanted)).with_for_update(read=True, key_share=True)
    return set(connection.scalars(found))


def made_by_machines(connection: Connection, request: GenerationRequest) -> bool:
    """True if the files of all pictures that a request starts from said that AI made them; masks do not count."""
    hashes = {item.sha256 for item in request.inputs if item.role is not InputRole.MASK}
    said = connection.scalars(select(inputs.c.said).where(inputs.c.sha256.in_(hashes))).all()
    return len(said) == len(hashes) and all(each.get("labels", {}).get("ai_generated") for each in said)


def credentials_lost(connection: Connection, request: GenerationRequest) -> bool:
    """True if a file that a request starts from had Content Credentials (C2PA), which no picture made of it has."""
    hashes = {item.sha256 for item in request.inputs}
    said = connection.scalars(select(inputs.c.said).where(inputs.c.sha256.in_(hashes))).all()
    return any(each.get("c2pa") for each in said)


def let_go(connection: Connection, job_id: str | None = None) -> None:
    """Forget what a job (every job if absent) started from, if it is over and made no picture that is still here."""
    idle: list[ColumnElement[bool]] = [
        ~exists().where(jobs.c.id == job_inputs.c.job_id, jobs.c.state.in_(OPEN)),
        ~exists().where(images.c.job_id == job_inputs.c.job_id),
        ~exists().where(trash.c.job_id == job_inputs.c.job_id),
    ]
    if job_id is not None:
        idle.append(job_inputs.c.job_id == job_id)
    connection.execute(delete(job_inputs).where(*idle))
