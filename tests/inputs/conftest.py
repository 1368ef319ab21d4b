"""A store of uploaded pictures on a real database, and jobs to hold them."""

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Engine, update

from app.core.schema import GenerationRequest, InputRef, JobInput
from app.core.settings import Settings
from app.core.task import Task
from app.database import inputs, open_database, writing
from app.inputs import InputStore
from app.jobs.table import JobTable
from app.library import Library
from app.storage import Folder
from tests.jobs.things import a_request
from tests.schema import a_migrated_postgres, empty_file

__all__ = ["empty_file"]  # the fixture
HOUR = 3600.0


def picture(number: int = 0, size: tuple[int, int] = (8, 6)) -> bytes:
    """A PNG that another number changes."""
    stream = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, 7)).save(stream, "PNG")
    return stream.getvalue()


def request_with(*kept: InputRef, **changes: Any) -> GenerationRequest:
    """A resolved request that starts from these."""
    roles = ("image", "mask")
    items = tuple(JobInput(role=roles[place], sha256=ref.sha256) for place, ref in enumerate(kept))
    return a_request(**({"task": Task.IMAGE, "inputs": items, "strength": 0.5} | changes))


@dataclass
class Cellar:
    """A store, the queue and the library on the same database and folder."""

    database: Engine
    folder: Path

    def store(self, **values: Any) -> InputStore:
        """A store with these settings."""
        return InputStore(self.database, Folder(self.folder), Settings(**values))

    @property
    def table(self) -> JobTable:
        return JobTable(self.database, boot_id="boot-1")

    @property
    def library(self) -> Library:
        return Library(self.database, Folder(self.folder), self.folder.parent / "thumbnails")

    def age(self, seconds: float = 2 * HOUR) -> None:
        """All uploads become so much older."""
        with writing(self.database) as connection:
            connection.execute(update(inputs).values(uploaded_at=inputs.c.uploaded_at - seconds))

    def files(self) -> set[str]:
        """The names of what lies in the folder of uploads."""
        folder = self.folder / "inputs"
        return {file.name for file in folder.iterdir()} if folder.exists() else set()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database that the tests of this room share, one after the other."""
    with a_migrated_postgres("atelier_inputs") as url:
        yield url


@pytest.fixture
def new_cellar(tmp_path: Path, empty_file: Path) -> Iterator[Callable[..., Cellar]]:
    """Makes a cellar on `tmp_path`; another `name` is another database on the same files."""
    opened: list[Engine] = []

    def make(name: str = "atelier.db") -> Cellar:
        shutil.copyfile(empty_file, tmp_path / name)
        opened.append(open_database(f"sqlite:///{tmp_path / name}"))
        return Cellar(opened[-1], tmp_path / "pictures")

    yield make
    for database in opened:
        database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def cellar(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cellar]:
    """An empty cellar, once on SQLite and once on PostgreSQL where there is one."""
    if request.param == "sqlite":
        yield request.getfixturevalue("new_cellar")()
        return
    database = open_database(request.getfixturevalue("postgres_url"))
    with writing(database) as connection:
        connection.exec_driver_sql(
            "TRUNCATE grid_cells, grids, jobs, images, trash, events, job_inputs, inputs RESTART IDENTITY"
        )
    yield Cellar(database, tmp_path / "pictures")
    database.dispose()
