"""What happens to running jobs whose service is gone."""

from collections.abc import Callable

import sqlalchemy
from sqlalchemy import insert

from app.core.schema import JobState
from app.database import images as image_rows
from app.database import writing
from app.image_rows import image_row
from app.jobs.table import JobTable

from .things import Clock, a_request, saved_images


def test_the_next_boot_gets_the_running_jobs_back_at_their_old_place(
    a_table: Callable[..., JobTable], clock: Clock
) -> None:
    before = a_table("boot-1")
    lost = before.submit(a_request(), origin="api")[0]
    before.submit(a_request(), origin="api")
    [stale] = before.claim()
    cancelled = before.submit(a_request(), origin="api", priority=1)[0]
    before.claim()
    before.cancel(cancelled.id)
    clock.pass_s(31)
    after = a_table("boot-2")
    assert after.recover() == 2
    assert after.recover() == 0
    assert after.get(cancelled.id).state == JobState.CANCELLED
    assert after.get(lost.id).position == 1
    assert after.events_after(lost.id)[-1].data["reason"] == "recovered"
    [fresh] = after.claim()
    assert (fresh.id, fresh.attempt) == (lost.id, 2)
    assert not before.finish(stale, saved_images(stale), seconds=1)
    assert before.cancel_requested([stale.id]) == {stale.id}  # the old service should stop working on it
    assert after.finish(fresh, saved_images(fresh), seconds=1)


def test_on_sqlite_a_restart_recovers_at_once_and_never_its_own_jobs(sqlite: sqlalchemy.Engine, clock: Clock) -> None:
    table = JobTable(sqlite, boot_id="boot-1", now=clock)
    table.submit(a_request(), origin="api")
    table.claim()
    clock.pass_s(3600)
    assert table.recover() == 0  # however the clock jumps
    assert JobTable(sqlite, boot_id="boot-2", now=clock).recover() == 1


def test_on_a_shared_database_only_an_expired_lease_is_taken_over(postgres: sqlalchemy.Engine, clock: Clock) -> None:
    first, second = (JobTable(postgres, boot_id=boot, now=clock) for boot in ("boot-1", "boot-2"))
    job = first.submit(a_request(), origin="api")[0]
    first.claim(lease_s=30)
    for _ in range(5):
        clock.pass_s(20)
        assert second.recover() == 0
        first.heartbeat([job.id], 30)
    second.heartbeat([job.id], 3600)  # not its job: no effect
    clock.pass_s(31)
    assert second.recover() == 1
    assert second.get(job.id).state == JobState.QUEUED


def test_recovering_often_does_not_use_up_the_crashes_of_a_job(a_table: Callable[..., JobTable], clock: Clock) -> None:
    job = a_table("boot-0").submit(a_request(), origin="api")[0]
    for boot in range(8):
        assert a_table(f"boot-{boot}").claim()[0].id == job.id
        clock.pass_s(31)
        assert a_table(f"boot-{boot + 1}").recover() == 1
    assert a_table("boot-8").get(job.id).state == JobState.QUEUED


def test_rows_that_were_rebuilt_from_files_are_replaced_when_the_job_runs_again(
    table: JobTable, database: sqlalchemy.Engine
) -> None:
    table.submit(a_request(num_images=2), origin="api")
    [lost] = table.claim()
    with writing(database) as connection:  # killed between file and commit; then the owner rebuilt the library
        connection.execute(insert(image_rows).values(**image_row(saved_images(lost)[1])))
    table.requeue(lost, crashed=False)
    [job] = table.claim()
    images = saved_images(job)
    assert table.finish(job, images, seconds=1)
    assert [image.id for image in table.get(job.id).images] == [image.id for image in images]
