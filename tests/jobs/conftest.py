"""Databases, a clock that the tests turn by hand, and job tables on both."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from app.database import open_database, writing
from app.jobs.table import JobTable
from tests.schema import empty_file, migrate

from .postgres import a_server, an_empty_database
from .things import Clock

__all__ = ["empty_file"]  # the fixture


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with a_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A migrated PostgreSQL database that all tests share, one after the other."""
    with an_empty_database(postgres_server, "atelier_contract") as url:
        migrate(url)
        yield url


@pytest.fixture
def sqlite(tmp_path: Path, empty_file: Path) -> Iterator[sqlalchemy.Engine]:
    shutil.copyfile(empty_file, tmp_path / "atelier.db")
    engine = open_database(f"sqlite:///{tmp_path / 'atelier.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[sqlalchemy.Engine]:
    engine = open_database(postgres_url)
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "TRUNCATE grid_cells, grids, jobs, images, trash, events, job_inputs, inputs, services, switches "
            "RESTART IDENTITY"
        )
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> sqlalchemy.Engine:
    """An empty, migrated database: every test of the contract runs on SQLite and on PostgreSQL."""
    engine: sqlalchemy.Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def a_table(database: sqlalchemy.Engine, clock: Clock) -> Callable[..., JobTable]:
    """Makes a table of one service; give another `boot_id` for another service or its next start."""

    def make(boot_id: str = "boot-1", **options: object) -> JobTable:
        return JobTable(database, boot_id=boot_id, now=clock, **options)

    return make


@pytest.fixture
def table(a_table: Callable[..., JobTable]) -> JobTable:
    return a_table()
