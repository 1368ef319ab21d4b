"""The words of a deleted picture go with it: out of its job and its job's events."""

from typing import Any

from sqlalchemy import Connection, Update, func, select, update

from app.core.schema import JobState
from app.database import events, images, jobs, trash

FINISHED = [state for state in JobState if state.finished]
EMPTY = {"prompt": "", "negative_prompt": "", "extra": {}, "inputs": []}


def forget_words(connection: Connection, job_id: str, image_id: str) -> list[Update]:
    """Take what an image says out of its job, whose row is gone already; the statements that would put it back.

    The image's event keeps its number and loses its notes. With its last picture, those in the trash
    counted too, a finished job loses its prompt.
    """
    undo: list[Update] = []
    told = select(events.c.seq, events.c.data).where(events.c.job_id == job_id, events.c.kind == "image")
    for row in connection.execute(told).all():
        if row.data.get("id") == image_id and row.data.get("notes"):
            event = update(events).where(events.c.job_id == job_id, events.c.seq == row.seq)
            connection.execute(event.values(data=row.data | {"notes": []}))
            undo.append(event.values(data=row.data))
    left = sum(
        connection.scalar(select(func.count()).select_from(table).where(table.c.job_id == job_id)) or 0
        for table in (images, trash)
    )
    job = select(jobs.c.request).where(jobs.c.id == job_id, jobs.c.state.in_(FINISHED))
    request: dict[str, Any] | None = connection.scalar(job) if not left else None
    if request is not None:
        row_of_job = update(jobs).where(jobs.c.id == job_id)
        connection.execute(row_of_job.values(request=request | EMPTY))
        undo.append(row_of_job.values(request=request))
    return undo
