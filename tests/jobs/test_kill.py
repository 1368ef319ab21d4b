"""`kill -9` of the whole service at random moments: every accepted job ends with exactly its pictures."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import select

from app.core.schema import JobState
from app.core.settings import PROJECT_FOLDER
from app.database import images, reading
from app.jobs.table import JobTable

from .things import a_request

JOBS = 60
KILLS = 4


def start_service(folder: Path, boot: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.jobs.service_process", str(folder), f"boot-{boot}"]
    service = subprocess.Popen(command, cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    assert service.stdout.readline() == "ready\n"
    return service


def end(service: subprocess.Popen[str]) -> None:
    service.kill()
    service.communicate()


@pytest.mark.slow
def test_every_accepted_job_survives_kills_and_succeeds_once(tmp_path: Path, sqlite: sqlalchemy.Engine) -> None:
    chance = random.Random(1)
    table = JobTable(sqlite, boot_id="tests")
    ids = [table.submit(a_request(seed=2 * number, num_images=2), origin="api")[0].id for number in range(JOBS)]
    for boot in range(KILLS):
        service = start_service(tmp_path, boot)
        time.sleep(chance.uniform(0.0, 0.25))
        end(service)
    assert table.counts()[JobState.SUCCEEDED] < JOBS, "the kills came too late to mean anything"
    service = start_service(tmp_path, KILLS)
    try:
        deadline = time.monotonic() + 60
        while table.counts()[JobState.SUCCEEDED] < JOBS and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        end(service)
    check_history(table, ids)
    check_files(sqlite, tmp_path / "pictures")


def check_history(table: JobTable, ids: list[str]) -> None:
    """Ends once, never loses an event, and attempts only rise; a kill costs the job no crash."""
    attempts = []
    for number, job_id in enumerate(ids):
        job = table.get(job_id)
        assert job.state == JobState.SUCCEEDED
        assert [image.seed for image in job.images] == [2 * number, 2 * number + 1]
        events = table.events_after(job_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        kinds = [event.kind for event in events]
        assert [kind for kind in kinds if kind != "queued"] == ["image", "image", "succeeded"]
        assert kinds[0] == "queued"
        seen = [event.data["attempt"] for event in events]
        assert seen == sorted(seen)
        assert {event.data.get("crashes", 0) for event in events} == {0}
        attempts.append(job.attempt)
    assert max(attempts) > 1, "no kill hit a running job"


def check_files(database: sqlalchemy.Engine, folder: Path) -> None:
    """Every row has its file, byte for byte; files without a row are only those that a kill left behind."""
    with reading(database) as connection:
        rows = connection.execute(select(images.c.path, images.c.sha256, images.c.seed)).all()
    assert len(rows) == len({row.seed for row in rows}) == 2 * JOBS
    for row in rows:
        assert hashlib.sha256((folder / row.path).read_bytes()).hexdigest() == row.sha256
    orphans = {file.name for file in folder.iterdir()} - {row.path for row in rows}
    assert len(orphans) <= 6 * KILLS
