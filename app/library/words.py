"""The words of a deleted picture go with it: out of its job and its job's events."""

from typing import Any

from sqlalchemy import Connection, Insert, Update, delete, func, insert, select, update

from app.core.schema import JobState
from app.database import events, grid_cells, grids, images, jobs, trash

FINISHED = [state for state in JobState if state.finished]
EMPTY = {"prompt": "", "negative_prompt": "", "written": {}, "extra": {}, "inputs": [], "control": []}


def forget_words(connection: Connection, job_id: str, image_id: str) -> list[Update | Insert]:
    """Take what an image says out of its job, whose row is gone already; the statements that would put it back.

    The image's event keeps its number and loses its notes. With its last picture, those in the trash
    counted too, a finished job loses its prompt, and a grid of which nothing is left is forgotten.
    """
    undo: list[Update | Insert] = []
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
    if not left:
        undo += _forget_grids(connection, job_id)
    return undo


def _forget_grids(connection: Connection, job_id: str) -> list[Update | Insert]:
    """Delete the grids of this job whose other cells have neither a picture nor an open job."""
    undo: list[Update | Insert] = []
    of_job = select(grid_cells.c.grid_id).where(grid_cells.c.job_id == job_id)
    for row in connection.execute(select(grids).where(grids.c.id.in_(of_job))).mappings().all():
        cells = select(grid_cells.c.job_id).where(grid_cells.c.grid_id == row["id"])
        open_jobs = select(jobs.c.id).where(jobs.c.id.in_(cells), jobs.c.state.not_in(FINISHED))
        pictures = [select(table.c.id).where(table.c.job_id.in_(cells)) for table in (images, trash)]
        if any(connection.execute(found.limit(1)).first() for found in (open_jobs, *pictures)):
            continue
        kept = connection.execute(select(grid_cells).where(grid_cells.c.grid_id == row["id"])).mappings().all()
        connection.execute(delete(grids).where(grids.c.id == row["id"]))
        undo.append(insert(grids).values(**row))
        undo += [insert(grid_cells).values(**cell) for cell in kept]
    return undo
