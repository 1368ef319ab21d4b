"""Grids in the job table: all cells or none, what a restart leaves, what is made again and what is not."""

import time

import pytest
import sqlalchemy
from sqlalchemy import select

from app.catalog import ModelEntry
from app.core.errors import IdempotencyConflict, QueueFull, UnknownGrid
from app.core.grids import Grid, GridRequest, plan
from app.core.prompt_syntax import Prompt
from app.core.schema import JobState
from app.database import grid_cells, grids, jobs, reading, writing
from app.jobs.grids import Cell, GridTable
from app.jobs.retention import forget_finished
from app.jobs.table import JobTable

from .things import a_request, saved_images

ENTRY = ModelEntry(key="pocket", title="Pocket", path="pocket")


class Hall:
    """A job table, a grid table on the same database, and what they told."""

    def __init__(self, database: sqlalchemy.Engine, max_queue: int = 100) -> None:
        self.database = database
        self.told: list[tuple[str, str]] = []
        self.table = JobTable(database, boot_id="boot-1")
        self.grids = GridTable(database, max_queue=max_queue, on_event=lambda id, kind, *_, **__: self._hear(id, kind))

    def _hear(self, job_id: str, kind: str) -> None:
        self.told.append((job_id, kind))

    def submit(self, steps: str = "1,2,4", key: str | None = None, **more: str) -> tuple[Grid, bool]:
        axes = {"x": {"name": "steps", "values": steps}, **({"y": {"name": "seed", "values": "1-2"}} | more)}
        asked = GridRequest.model_validate({"request": a_request(), **axes})
        planned = plan(asked, max_cells=100, seed=0)
        cells = [Cell(request, ENTRY, Prompt.read(request.prompt)) for request in planned.cells]
        return self.grids.submit(
            planned.asked(cells[0].request), cells, origin="api", fingerprint=steps, idempotency_key=key
        )

    def make(self, number: int) -> None:
        """As a dispatcher would: so many jobs, one after the other."""
        for _ in range(number):
            [job] = self.table.claim()
            assert self.table.finish(job, saved_images(job), 0.1)

    def rows(self) -> tuple[int, int]:
        """How many jobs and cells there are."""
        with reading(self.database) as connection:
            return tuple(len(connection.execute(select(t.c[0])).all()) for t in (jobs.c.seq.table, grid_cells))


@pytest.fixture
def hall(database: sqlalchemy.Engine) -> Hall:
    return Hall(database)


def test_a_grid_is_its_jobs_in_the_ordinary_line(hall: Hall) -> None:
    grid, created = hall.submit()
    assert created
    assert (grid.state, grid.done, grid.of) == (JobState.QUEUED, 0, 6)
    assert [(cell.x, cell.y) for cell in grid.cells] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert hall.told == [(cell.job_id, "queued") for cell in grid.cells]
    hall.make(2)
    assert (hall.grids.get(grid.id).state, hall.grids.get(grid.id).done) == (JobState.RUNNING, 2)
    hall.make(4)
    done = hall.grids.get(grid.id)
    assert done.state is JobState.SUCCEEDED
    assert [cell.image.seed for cell in done.cells if cell.image] == [1, 1, 1, 2, 2, 2]
    assert hall.grids.list().items == (done.model_copy(update={"cells": ()}),)


def test_after_a_crash_a_grid_goes_on_where_it_was(hall: Hall) -> None:
    grid, _ = hall.submit()
    hall.make(2)
    [lost] = hall.table.claim()
    # Everything in memory is gone; on a database that is shared the lease must have run out, too.
    after = JobTable(hall.database, boot_id="boot-2", now=lambda _: time.time() + 3600)
    assert after.recover() == 1
    again = GridTable(hall.database).get(grid.id)
    assert [cell.state for cell in again.cells].count(JobState.SUCCEEDED) == 2
    assert next(cell for cell in again.cells if cell.job_id == lost.id).state is JobState.QUEUED
    for _ in range(4):
        [job] = after.claim()
        assert after.finish(job, saved_images(job), 0.1)
    assert GridTable(hall.database).get(grid.id).state is JobState.SUCCEEDED


def test_cancelling_cancels_what_is_left_and_the_same_grid_makes_only_that(hall: Hall) -> None:
    grid, _ = hall.submit()
    hall.make(2)
    [running] = hall.table.claim()
    for _ in range(2):
        cancelled = hall.grids.cancel(grid.id)
    assert [cell.state for cell in cancelled.cells].count(JobState.CANCELLED) == 3
    assert hall.table.cancel_requested([running.id]) == {running.id}
    hall.table.finish_cancelled(running)
    assert hall.grids.get(grid.id).state is JobState.CANCELLED
    jobs_before, _ = hall.rows()
    again, _ = hall.submit()
    assert [cell.reused for cell in again.cells].count(True) == 2
    assert again.done == 2
    assert hall.rows()[0] == jobs_before + 4
    hall.make(4)
    assert hall.grids.get(again.id).state is JobState.SUCCEEDED
    other_model, _ = hall.submit(steps="8")
    assert not any(cell.reused for cell in other_model.cells)


def test_equal_cells_are_one_job(hall: Hall) -> None:
    grid, _ = hall.submit(steps="4,4")
    assert len({cell.job_id for cell in grid.cells}) == 2
    hall.make(2)
    assert hall.grids.get(grid.id).done == 4


def test_a_line_without_room_for_all_takes_none(database: sqlalchemy.Engine) -> None:
    hall = Hall(database, max_queue=5)
    with pytest.raises(QueueFull):
        hall.submit()
    assert hall.rows() == (0, 0)
    assert hall.told == []


def test_the_same_key_gives_the_same_grid_and_not_another(hall: Hall) -> None:
    first, _ = hall.submit(key="once")
    again, created = hall.submit(key="once")
    assert (again.id, created) == (first.id, False)
    with pytest.raises(IdempotencyConflict):
        hall.submit(steps="9", key="once")
    assert hall.rows() == (6, 6)


def test_a_grid_is_forgotten_with_the_last_of_its_jobs(hall: Hall) -> None:
    done, _ = hall.submit()
    hall.make(6)
    waiting, _ = hall.submit(steps="8")
    with writing(hall.database) as connection:
        connection.execute(jobs.update().values(finished_at=jobs.c.created_at - 100 * 86_400.0))
        connection.execute(grids.update().values(created_at=grids.c.created_at - 100 * 86_400.0))
    assert forget_finished(hall.database, 1) == 6
    with pytest.raises(UnknownGrid):
        hall.grids.get(done.id)
    assert hall.grids.get(waiting.id).of == 2
