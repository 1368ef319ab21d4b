"""An empty database with the newest schema, made once for all tests of a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.database import open_database
from app.migrations import upgrade
from tests.jobs.postgres import a_server, an_empty_database

__all__ = ["a_migrated_postgres", "empty_file", "migrate"]


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file without a row: a copy is quicker than running the steps for each test."""
    file = tmp_path_factory.mktemp("schema") / "empty.db"
    migrate(f"sqlite:///{file}")
    return file


@contextmanager
def a_migrated_postgres(name: str) -> Iterator[str]:
    """The URL of a database of that name on a PostgreSQL of its own."""
    with a_server() as server, an_empty_database(server, name) as url:
        migrate(url)
        yield url


def migrate(url: str) -> None:
    """Bring the database to the newest schema."""
    database = open_database(url)
    upgrade(database)
    database.dispose()
