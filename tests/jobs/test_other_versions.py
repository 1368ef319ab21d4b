"""Rows that another version of Atelier wrote: they fail their own job, never a list."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import update

from app.core.schema import JobState
from app.database import jobs, writing
from app.jobs.table import JobTable

from .things import Clock, a_request

FROM_ELSEWHERE: dict[str, dict[str, Any]] = {
    "a new field": {"request": a_request().model_dump(mode="json") | {"from_the_future": 0.5}},
    "a value that is not allowed here": {"request": a_request().model_dump(mode="json") | {"width": 4}},
    "a missing prompt": {"request": {"model": "pocket", "seed": 7}},
    "no request at all": {"request": ["what", "is", "this"]},
}


def change(database: sqlalchemy.Engine, job_id: str, values: dict[str, Any]) -> None:
    with writing(database) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))


@pytest.mark.parametrize("what", FROM_ELSEWHERE)
def test_a_row_that_cannot_be_read_fails_its_job_and_the_next_one_is_taken(
    table: JobTable, database: sqlalchemy.Engine, what: str
) -> None:
    strange = [table.submit(a_request("a red apple"), origin="api")[0].id for _ in range(3)]
    good = table.submit(a_request("a green pear"), origin="api")[0]
    for job_id in strange:
        change(database, job_id, FROM_ELSEWHERE[what])
    assert [job.id for job in table.page().items] == [good.id, *strange[::-1]]
    assert len(table.running_order()) == 4
    assert table.get(strange[0]).state == JobState.QUEUED
    assert [job.id for job in table.claim()] == [good.id]
    for job_id in strange:
        job = table.get(job_id)
        assert job.error is not None
        assert (job.state, job.error.code) == (JobState.FAILED, "unreadable_job")
        assert "another version" in job.error.message
        assert [event.kind for event in table.events_after(job_id)] == ["queued", "failed"]
    assert table.claim() == []


def test_what_can_be_read_of_it_is_shown(table: JobTable, database: sqlalchemy.Engine) -> None:
    job = table.submit(a_request("a red apple", seed=77), origin="api")[0]
    change(database, job.id, {"request": job.request.model_dump(mode="json") | {"width": 4, "from_the_future": 0.5}})
    shown = table.get(job.id).request
    assert (shown.prompt, shown.seed, shown.width, shown.model) == ("a red apple", 77, None, "pocket")
    table.claim()
    failed = table.get(job.id).error
    assert failed is not None
    assert "width" in failed.message
    assert "from_the_future" in failed.message


def test_a_running_row_that_cannot_be_read_does_not_stay_running(
    a_table: Callable[..., JobTable], database: sqlalchemy.Engine, clock: Clock
) -> None:
    before, after = a_table("boot-1"), a_table("boot-2")
    job = before.submit(a_request(), origin="api")[0]
    before.claim()
    change(database, job.id, FROM_ELSEWHERE["a new field"])
    clock.pass_s(31)
    assert after.recover() == 1
    assert after.claim() == []
    assert after.get(job.id).state == JobState.FAILED


def test_a_state_and_an_error_of_another_version_are_shown_as_far_as_they_are_understood(
    table: JobTable, database: sqlalchemy.Engine
) -> None:
    first, second = (table.submit(a_request(), origin="api")[0].id for _ in range(2))
    change(database, first, {"state": "suspended"})
    change(database, second, {"state": "failed", "error": {"reason": "no luck"}})
    error = table.get(first).error
    assert error is not None
    assert (table.get(first).state, error.code) == (JobState.FAILED, "unreadable_job")
    told = table.get(second).error
    assert told is not None
    assert "no luck" in told.message
    assert table.counts() == dict.fromkeys(JobState, 0) | {JobState.FAILED: 1}
