"""Grids: which jobs are the cells of one table. A grid has no state of its own, its jobs have."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, exists, func, insert, select

from app.catalog import ModelEntry
from app.core.errors import IdempotencyConflict, UnknownGrid
from app.core.grids import Grid, GridCell, GridRequest, places_of
from app.core.pages import ListPage
from app.core.prompt_syntax import Prompt
from app.core.schema import GenerationRequest, ImageRef, JobError, JobState
from app.database import clock, grid_cells, grids, images, jobs, reading, writing
from app.jobs import transitions, turns
from app.jobs.cursors import checked
from app.jobs.history import OnEvent, StoredEvent, nobody_listens
from app.jobs.job_rows import error_of, image_refs
from app.jobs.line import waiting

Written = dict[str, list[StoredEvent]]  # job id → what happened to it


@dataclass(frozen=True)
class Cell:
    """One picture to make: a resolved request, its model, its prompt as it was read."""

    request: GenerationRequest
    entry: ModelEntry
    prompt: Prompt

    @property
    def fingerprint(self) -> str:
        """The same for requests that give the same picture."""
        said = self.request.model_dump_json() + self.entry.model_dump_json()
        return hashlib.sha256(said.encode()).hexdigest()


class GridTable:
    """Grids on the database of the jobs. Safe to call from any thread and from several services.

    Their cells are jobs like all others, in the same line and under the same limits (`max_queue` and
    `max_queue_of_caller`, as JobTable has them). `on_event` is called after the commit with what happened to a job.
    """

    def __init__(
        self,
        database: Engine,
        *,
        max_queue: int = 10_000,
        max_queue_of_caller: int | None = None,
        now: Callable[[Connection], float] = clock,
        on_event: OnEvent = nobody_listens,
    ) -> None:
        self._database = database
        self._limits = (max_queue, max_queue_of_caller)
        self._now = now
        self._on_event = on_event

    def submit(
        self,
        asked: GridRequest,
        cells: Sequence[Cell],
        *,
        origin: str,
        fingerprint: str,
        caller: str = "",
        idempotency_key: str | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> tuple[Grid, bool]:
        """Accept a grid with all its jobs, or with none of them. (grid, True if it is new).

        A cell whose very picture an earlier grid made, and which is still in the library, is that picture; equal
        cells are one job. `fingerprint`, `idempotency_key` and `admit` are as for a job. Raises IdempotencyConflict,
        QueueFull, InvalidRequest for pictures to start from that are not here.
        """
        written: Written = {}
        with writing(self._database) as connection:
            earlier = _row_with_key(connection, idempotency_key)
            if earlier is not None and earlier.fingerprint != fingerprint:
                raise IdempotencyConflict
            if earlier is None:
                admit()
                grid_id = str(uuid.uuid4())
                values: dict[str, Any] = {"id": grid_id, "idempotency_key": idempotency_key, "fingerprint": fingerprint}
                values |= {"origin": origin, "caller": caller, "created_at": self._now(connection)}
                connection.execute(insert(grids).values(**values, asked=asked.model_dump(mode="json")))
                written = self._add_cells(connection, grid_id, cells, origin, caller)
        self._announce(written)
        return self.get(grid_id if earlier is None else earlier.id), earlier is None

    def get(self, grid_id: str) -> Grid:
        """The grid with its cells. Raises UnknownGrid."""
        with reading(self._database) as connection:
            row = _row_of(connection, grid_id)
            return _grid_of(row, _cells_of(connection, row))

    def caller_of(self, grid_id: str) -> str:
        """Who submitted the grid; "" = nobody in particular. Raises UnknownGrid."""
        with reading(self._database) as connection:
            return str(_row_of(connection, grid_id).caller)

    def list(self, *, limit: int = 20, cursor: str | None = None) -> ListPage[Grid]:
        """Grids without their cells, from the newest to the oldest. Raises InvalidRequest as JobTable.list does."""
        before = checked(limit, cursor)
        wanted = select(grids).order_by(grids.c.seq.desc()).limit(limit + 1)
        if before is not None:
            wanted = wanted.where(grids.c.seq < before)
        with reading(self._database) as connection:
            rows = connection.execute(wanted).all()
            found = [_grid_of(row, _cells_of(connection, row)) for row in rows[:limit]]
        short = tuple(grid.model_copy(update={"cells": ()}) for grid in found)
        return ListPage(short, str(rows[limit - 1].seq) if len(rows) > limit else None)

    def cancel(self, grid_id: str) -> Grid:
        """Cancel all its open jobs, as JobTable.cancel does, in one step. Repeatable. Raises UnknownGrid."""
        written: Written = {}
        with writing(self._database) as connection:
            row = _row_of(connection, grid_id)
            cells = select(grid_cells.c.job_id).where(grid_cells.c.grid_id == row.id)
            open_jobs = select(jobs).where(jobs.c.id.in_(cells), jobs.c.state.in_(turns.OPEN)).order_by(jobs.c.seq)
            for job in connection.execute(open_jobs.with_for_update()).all():
                written[job.id] = transitions.cancel(connection, job, self._now(connection))
        self._announce(written)
        return self.get(grid_id)

    def _add_cells(
        self, connection: Connection, grid_id: str, cells: Sequence[Cell], origin: str, caller: str
    ) -> Written:
        prints = [cell.fingerprint for cell in cells]
        known = _made(connection, prints)
        queued = sum(waiting(connection).values())
        new: dict[str, str] = {}
        written: Written = {}
        for place, (cell, fingerprint) in enumerate(zip(cells, prints, strict=True)):
            job_id = known.get(fingerprint) or new.get(fingerprint)
            if job_id is None:
                turn = turns.turn_for(connection, caller, queued + len(new), *self._limits)
                row, events = transitions.accept(
                    connection, cell.request, entry=cell.entry, prompt=cell.prompt, origin=origin, caller=caller,
                    turn=turn, idempotency_key=None, fingerprint=fingerprint, priority=0, now=self._now(connection),
                )  # fmt: skip
                job_id = str(row.id)
                new[fingerprint], written[job_id] = job_id, events
            values = {"grid_id": grid_id, "place": place, "job_id": job_id, "fingerprint": fingerprint}
            connection.execute(insert(grid_cells).values(**values, reused=fingerprint in known))
        return written

    def _announce(self, written: Written) -> None:
        for job_id, events in written.items():
            for event in events:
                self._on_event(job_id, event.kind, event.data, seq=event.seq)


def forget_grids(connection: Connection, before: float) -> int:
    """Delete the grids that were accepted before that moment and of which no job is left; how many."""
    cells = select(jobs.c.seq).join(grid_cells, grid_cells.c.job_id == jobs.c.id)
    left = exists(cells.where(grid_cells.c.grid_id == grids.c.id).correlate(grids))
    return connection.execute(delete(grids).where(grids.c.created_at < before, ~left)).rowcount


def _row_of(connection: Connection, grid_id: str) -> Row[Any]:
    row = connection.execute(select(grids).where(grids.c.id == grid_id)).one_or_none()
    if row is None:
        raise UnknownGrid(f"There is no grid with the id {grid_id!r}.")
    return row


def _row_with_key(connection: Connection, key: str | None) -> Row[Any] | None:
    if key is None:
        return None
    return connection.execute(select(grids).where(grids.c.idempotency_key == key)).one_or_none()


def _made(connection: Connection, prints: Sequence[str]) -> dict[str, str]:
    """Fingerprint → job, of the cells of earlier grids whose picture is in the library."""
    made = (
        select(grid_cells.c.fingerprint, func.max(grid_cells.c.job_id))
        .join(images, images.c.job_id == grid_cells.c.job_id)
        .where(grid_cells.c.fingerprint.in_(prints))
        .group_by(grid_cells.c.fingerprint)
    )
    return {row[0]: row[1] for row in connection.execute(made)}


def _cells_of(connection: Connection, row: Row[Any]) -> tuple[GridCell, ...]:
    columns = (grid_cells.c.place, grid_cells.c.job_id, grid_cells.c.reused, jobs.c.state, jobs.c.error)
    cells = select(*columns).outerjoin(jobs, jobs.c.id == grid_cells.c.job_id)
    found = connection.execute(cells.where(grid_cells.c.grid_id == row.id).order_by(grid_cells.c.place)).all()
    refs = image_refs(connection, {cell.job_id for cell in found})
    places = list(places_of([len(axis.values) for axis in _axes_of(row)]))
    return tuple(_cell_of(cell, places[cell.place], refs.get(cell.job_id, ())) for cell in found)


def _cell_of(cell: Any, place: Sequence[int], refs: Sequence[ImageRef]) -> GridCell:
    state = JobState(cell.state) if cell.state else JobState.SUCCEEDED if refs else None
    at = dict(zip(("x", "y", "z"), place, strict=False))
    error: JobError | None = error_of(cell)
    image = refs[0] if refs else None
    return GridCell(**at, job_id=cell.job_id, state=state, image=image, error=error, reused=cell.reused)


def _axes_of(row: Row[Any]) -> Sequence[Any]:
    return GridRequest.model_validate(row.asked).axes


def _grid_of(row: Row[Any], cells: Sequence[GridCell]) -> Grid:
    asked = GridRequest.model_validate(row.asked)
    return Grid(
        id=row.id,
        state=_state_of([cell.state for cell in cells]),
        origin=row.origin,
        request=asked.request,
        x=asked.x,
        y=asked.y,
        z=asked.z,
        cells=tuple(cells),
        done=sum(cell.image is not None for cell in cells),
        of=len(cells),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        url=f"/grids/{row.id}.png",
    )


def _state_of(states: Sequence[JobState | None]) -> JobState:
    """Of all cells together: what still happens comes before what went wrong, and that before what went well."""
    begun = any(state is not None and state.finished for state in states)
    if JobState.RUNNING in states or (begun and JobState.QUEUED in states):
        return JobState.RUNNING
    order = (JobState.QUEUED, JobState.FAILED, JobState.CANCELLED)
    return next((state for state in order if state in states), JobState.SUCCEEDED)
