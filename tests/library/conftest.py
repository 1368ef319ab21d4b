"""A real library on a real SQLite file, and jobs to fill it with."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from app.core.schema import GenerationRequest, Job, JobState, SavedImage
from app.database import images, jobs, open_database, writing
from app.engine.base import Picture
from app.image_rows import image_row
from app.library import Library
from app.storage import Folder
from tests.schema import a_migrated_postgres, empty_file

__all__ = ["empty_file"]  # the fixture


@dataclass
class Shelf:
    """A library with its folders and a clock that only moves when told to."""

    database: Engine
    folder: Path
    thumbnails: Path
    time: float = 1_800_000_000.0
    library: Library = field(init=False)

    def __post_init__(self) -> None:
        self.library = Library(self.database, Folder(self.folder), self.thumbnails, now=lambda: self.time)

    def job(self, prompt: str = "a red apple", *, attempt: int = 1, job_id: str | None = None, **request: Any) -> Job:
        """A running job whose request is fully resolved."""
        values = {"model": "pocket", "num_inference_steps": 4, "guidance_scale": 4.0, "width": 16, "height": 16}
        values |= {"seed": 7, "scheduler": "default"} | request
        return Job(
            id=job_id or str(uuid.uuid4()),
            state=JobState.RUNNING,
            origin="ui",
            request=GenerationRequest(prompt=prompt, **values),
            attempt=attempt,
            created_at=datetime.fromtimestamp(self.time, UTC),
        )

    def picture(self, job: Job, index: int = 0) -> Picture:
        """Pixels that differ by seed."""
        seed = job.request.seed + index
        rgb = bytes((seed + place) % 256 for place in range(16 * 16 * 3))
        how = {"model": job.request.model, "scheduler": "EulerDiscreteScheduler", "seconds": 1.5}
        return Picture(index=index, seed=seed, width=16, height=16, rgb=rgb, how=how)

    def commit(self, image: SavedImage) -> SavedImage:
        """Insert the row, as finishing a job does."""
        with writing(self.database) as connection:
            connection.execute(insert(images).values(**image_row(image)))
        return image

    def save(self, prompt: str = "a red apple", *, count: int = 1, **request: Any) -> list[SavedImage]:
        """A job's images, written and committed; each job one second later than the one before."""
        self.time += 1
        job = self.job(prompt, num_images=count, **request)
        return [self.commit(self.library.write(job, self.picture(job, index))) for index in range(count)]

    def add_job_row(self, job: Job, state: JobState) -> None:
        """The job's row, so that the library knows that the job is this database's."""
        values = {
            "batch_key": "b",
            "fingerprint": "f",
            "num_images": 1,
            "megapixel_steps": 1.0,
            "created_at": self.time,
        }
        with writing(self.database) as connection:
            request = job.request.model_dump(mode="json")
            row = {"id": job.id, "origin": "ui", "state": state, "priority": 0, "model": "pocket", "request": request}
            connection.execute(insert(jobs).values(**row, **values))


@pytest.fixture
def new_shelf(tmp_path: Path, empty_file: Path) -> Iterator[Callable[..., Shelf]]:
    """Makes a shelf on `tmp_path`; another `name` is another database on the same files."""
    opened: list[Engine] = []

    def make(name: str = "atelier.db") -> Shelf:
        shutil.copyfile(empty_file, tmp_path / name)
        database = open_database(f"sqlite:///{tmp_path / name}")
        opened.append(database)
        return Shelf(database, tmp_path / "pictures", tmp_path / "thumbnails")

    yield make
    for database in opened:
        database.dispose()


@pytest.fixture
def shelf(new_shelf: Callable[..., Shelf]) -> Shelf:
    """An empty library."""
    return new_shelf()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database that the tests of this room share, one after the other."""
    with a_migrated_postgres("atelier_library") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shelf_on_each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """An empty library, once on SQLite and once on PostgreSQL where there is one."""
    if request.param == "sqlite":
        yield request.getfixturevalue("new_shelf")()
        return
    database = open_database(request.getfixturevalue("postgres_url"))
    with writing(database) as connection:
        connection.exec_driver_sql(
            "TRUNCATE grid_cells, grids, jobs, images, looks, trash, events, job_inputs, inputs RESTART IDENTITY"
        )
    yield Shelf(database, tmp_path / "pictures", tmp_path / "thumbnails")
    database.dispose()
