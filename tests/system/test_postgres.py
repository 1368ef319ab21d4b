"""The real service on a real PostgreSQL that restarts, and two services on one, with clocks that do not agree."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
import sqlalchemy
from sqlalchemy import select

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import JobState
from app.database import images, jobs, open_database, reading, services
from app.jobs.table import JobTable
from tests.jobs.postgres import OwnServer, own_server
from tests.running import RunningService
from tests.system.skewed import skewed

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
JOBS = 12
RESTARTS = 3
LEASE_S = 5


def until(true: Callable[[], object], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def database(server: OwnServer) -> Iterator[sqlalchemy.Engine]:
    engine = open_database(server.url)
    yield engine
    engine.dispose()


def check_pictures(database: sqlalchemy.Engine, folder: Path, ids: list[str]) -> None:
    """Every job has succeeded once; every file has its row and every row its file."""
    table = JobTable(database, boot_id="tests")
    for job_id in ids:
        job = table.get(job_id)
        assert (job.state, job.error, len(job.images)) == (JobState.SUCCEEDED, None, job.request.num_images)
        events = table.events_after(job_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.kind for event in events].count("succeeded") == 1
    with reading(database) as connection:
        rows = connection.execute(select(images.c.path).where(images.c.job_id.in_(ids))).scalars().all()
    until(lambda: sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png")) == sorted(rows))
    assert len(rows) == len(set(rows))


def submit(client: ImageServiceClient, prompt: str, key: str, **changes: int) -> str:
    """Insists, with one key, until the service has said yes."""
    request = {"prompt": prompt, "model": "one", "width": 64, "height": 64, **changes}
    deadline = time.monotonic() + 90
    while True:
        try:
            return client.submit(request, idempotency_key=key).id
        except ServiceError as error:
            if error.http_status != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_service_survives_restarts_of_postgresql_without_losing_or_doubling_a_job(
    tmp_path: Path, models_folder: Path, server: OwnServer, database: sqlalchemy.Engine
) -> None:
    settings = {
        "DATABASE_URL": server.url,
        "MODELS_FOLDER": str(models_folder),
        "DEFAULT_MODEL": "one",
        "LEASE_S": str(LEASE_S),
    }
    table = JobTable(database, boot_id="tests")
    with RunningService(tmp_path, **settings) as service, ImageServiceClient(service.url) as client:
        ids = []
        for number in range(JOBS):
            if number % (JOBS // RESTARTS) == 3:
                server.stop()
                refused = requests.get(f"{service.url}/ready", timeout=40)
                assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
                server.start()
            ids.append(submit(client, "a cat", f"key-{number}", num_images=2, seed=2 * number))
        until(lambda: all(table.get(job_id).state.finished for job_id in ids))
        assert requests.get(f"{service.url}/health", timeout=10).status_code == 200
        assert len(set(ids)) == JOBS
        with reading(database) as connection:
            assert connection.scalar(select(sqlalchemy.func.count()).select_from(jobs)) == JOBS
        check_pictures(database, tmp_path / "output", ids)
        assert {event.data.get("crashes", 0) for job_id in ids for event in table.events_after(job_id)} == {0}


@contextmanager
def alone(database: sqlalchemy.Engine) -> Iterator[str]:
    """The boot id of the only service that there is."""
    with reading(database) as connection:
        [boot_id] = connection.scalars(select(services.c.id))
    yield boot_id


class SkewedService(RunningService):
    """A service whose machine has the wrong time."""

    def __init__(self, folder: Path, skew_s: float, **settings: str) -> None:
        super().__init__(folder, **settings)
        self.environment |= skewed(skew_s)

    def signal_all(self, number: signal.Signals) -> None:
        """To its main process, its worker and its engine's child."""
        main = psutil.Process(self.process.pid)
        for each in [main, *main.children(recursive=True)]:
            os.kill(each.pid, number)


def test_two_services_whose_clocks_disagree_share_the_work_and_take_over_from_one_that_is_paused(
    tmp_path: Path, models_folder: Path, server: OwnServer, database: sqlalchemy.Engine
) -> None:
    settings = {
        "DATABASE_URL": server.url,
        "MODELS_FOLDER": str(models_folder),
        "DEFAULT_MODEL": "one",
        "OUTPUT_FOLDER": str(tmp_path / "output"),
        "LEASE_S": str(LEASE_S),
    }
    table = JobTable(database, boot_id="tests")
    with (
        SkewedService(tmp_path / "early", -45, **settings) as early,
        alone(database) as the_early_one,
        SkewedService(tmp_path / "late", 45, **settings) as late,
        ImageServiceClient(early.url) as client,
        ImageServiceClient(late.url) as other,
    ):
        # 2.5 s each: long enough to be stolen if a lease were judged by another clock than it was written with.
        ids = [submit(client, "!slow a cat", f"slow-{seed}", num_inference_steps=25, seed=seed) for seed in range(2)]
        until(lambda: all(table.get(job_id).state.finished for job_id in ids))
        assert [table.get(job_id).attempt for job_id in ids] == [1] * 2

        last = submit(other, "!slow a dog", "last", num_inference_steps=25, seed=7)
        until(lambda: client.job(last).progress or other.job(last).progress)  # either tells of the other's
        with reading(database) as connection:
            owner = connection.scalar(select(jobs.c.owner).where(jobs.c.id == last))
        running, idle = (early, other) if owner == the_early_one else (late, client)
        running.signal_all(signal.SIGSTOP)
        try:
            with reading(database) as connection:
                lease_until = connection.scalar(select(jobs.c.lease_until).where(jobs.c.id == last))
            until(lambda: idle.job(last).state.finished)
        finally:
            running.signal_all(signal.SIGCONT)
        taken_over = [event for event in table.events_after(last) if event.data.get("reason") == "recovered"]
        assert len(taken_over) == 1
        # Both moments by the database's clock; the pause may have hit a renewal that was under way.
        assert 0 <= taken_over[0].at - lease_until < 2 * LEASE_S + 20
        assert idle.job(last).attempt == 2
        # The one that was paused works on, and what it had of the lost job is thrown away.
        ids += [last, *(submit(client, "a bird", f"more-{seed}", seed=seed) for seed in range(3))]
        until(lambda: all(table.get(job_id).state.finished for job_id in ids))
        until(lambda: requests.get(f"{running.url}/ready", timeout=30).status_code == 200)
        check_pictures(database, tmp_path / "output", ids)
