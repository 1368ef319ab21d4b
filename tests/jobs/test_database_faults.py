"""A database that is full, locked or gone: a clear error, nothing half-written, and it works again afterwards."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import event, text

from app.core.errors import DatabaseBusy, DiskFull
from app.core.schema import JobState
from app.database import open_database, reading, writing
from app.jobs.table import JobTable

from .things import a_request, saved_images


def pragma(database: sqlalchemy.Engine, statement: str) -> None:
    """Say this on every connection that is opened from now on."""

    @event.listens_for(database, "connect")
    def _say(connection, _record):  # type: ignore[no-untyped-def]
        connection.execute(statement)


def test_a_full_disk_refuses_a_submit_whole_and_reads_go_on(tmp_path: Path, empty_file: Path) -> None:
    file = tmp_path / "full.db"
    shutil.copyfile(empty_file, file)
    database = open_database(f"sqlite:///{file}")
    pragma(database, "PRAGMA max_page_count=40")  # SQLite answers just as on a full disk
    table = JobTable(database, boot_id="boot-1")
    accepted: list[str] = []

    def submit_many() -> None:
        for _ in range(1000):
            accepted.append(table.submit(a_request("x" * 2_000), origin="api")[0].id)

    with pytest.raises(DiskFull):
        submit_many()
    assert accepted
    assert table.counts()[JobState.QUEUED] == len(accepted)
    assert [len(table.events_after(job_id)) for job_id in accepted] == [1] * len(accepted)
    database.dispose()
    roomy = open_database(f"sqlite:///{file}")
    again = JobTable(roomy, boot_id="boot-2")
    assert again.submit(a_request(), origin="api")[1]
    with reading(roomy) as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    roomy.dispose()


def test_a_locked_database_is_busy_for_writers_and_open_for_readers(sqlite: sqlalchemy.Engine) -> None:
    table = JobTable(sqlite, boot_id="boot-1")
    job = table.submit(a_request(), origin="api")[0]
    other = open_database(str(sqlite.url))
    pragma(other, "PRAGMA busy_timeout=50")
    impatient = JobTable(other, boot_id="boot-2")
    with writing(sqlite):
        with pytest.raises(DatabaseBusy, match="locked"):
            impatient.submit(a_request(), origin="api")
        assert impatient.get(job.id).state == JobState.QUEUED
    assert impatient.submit(a_request(), origin="api")[1]
    other.dispose()


@pytest.mark.postgres
def test_connections_that_break_under_a_service_cost_nothing(
    postgres: sqlalchemy.Engine, postgres_server: str, break_connections: Callable[[], None]
) -> None:
    table = JobTable(postgres, boot_id="boot-1")
    table.submit(a_request(), origin="api")
    [job] = table.claim()

    def lose_the_connection() -> None:
        with writing(postgres) as connection:
            break_connections()
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseBusy):
        lose_the_connection()
    break_connections()
    assert table.finish(job, saved_images(job), seconds=1)
    assert table.get(job.id).state == JobState.SUCCEEDED


@pytest.fixture
def break_connections(postgres_server: str) -> Callable[[], None]:
    """Ends all connections to the test database, as a restart of the server does."""

    def end_all() -> None:
        server = sqlalchemy.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'atelier_contract'")
            )
        server.dispose()

    return end_all
