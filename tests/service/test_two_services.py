"""Two services on one PostgreSQL: whichever is asked answers for both."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from app.database import jobs, open_database, reading
from tests.place import wait_for
from tests.schema import a_migrated_postgres
from tests.service.conftest import House
from tests.service.test_events import read

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with a_migrated_postgres("two_services") as url:
        yield url


@pytest.fixture(scope="module")
def houses(url: str, make_house: Callable[..., House], make_settings: Callable[..., Any]) -> list[House]:
    output = make_settings().output_folder
    return [make_house(database_url=url, output_folder=output) for _ in range(2)]


def who_runs(houses: list[House], url: str, job_id: str) -> tuple[House, House]:
    """The house that runs the job, and the other."""
    database = open_database(url)
    wanted = select(jobs.c.owner).where(jobs.c.id == job_id)

    def owner() -> str | None:
        with reading(database) as connection:
            return connection.scalar(wanted)

    wait_for(lambda: owner() is not None, "the job runs")
    first, second = houses
    of_first = owner() == first.service.parts.jobs.boot_id
    database.dispose()
    return (first, second) if of_first else (second, first)


def test_a_stream_is_read_live_from_the_service_that_does_not_run_the_job(houses: list[House], url: str) -> None:
    job_id = houses[0].submit("!slow", num_inference_steps=15, num_images=2)["id"]
    _, other = who_runs(houses, url, job_id)
    told = list(read(other, f"/api/jobs/{job_id}/events"))
    kinds = [kind for kind, _, _ in told]
    assert [kind for kind, _, seq in told if seq is not None] == ["queued", "image", "image", "succeeded"]
    steps = [data for kind, data, _ in told if kind == "step" and data["phase"] == "denoising"]
    assert len(steps) >= 3
    assert [data["step"] for data in steps] == sorted(data["step"] for data in steps)
    assert any(base64.b64decode(data["preview"] or "").startswith(b"\xff\xd8") for data in steps)
    assert kinds.index("step") < kinds.index("image")  # live, and not when all was over


def test_progress_is_seen_and_a_cancel_heard_through_the_other_service(houses: list[House], url: str) -> None:
    job_id = houses[0].submit("!slow", num_inference_steps=100, num_images=4)["id"]
    _, other = who_runs(houses, url, job_id)
    wait_for(
        lambda: bool((other.client.get(f"/api/jobs/{job_id}").get_json()["progress"] or {}).get("step")),
        "steps are told",
    )
    asked = time.monotonic()
    assert other.client.post(f"/api/jobs/{job_id}/cancel").status_code == 200
    job = other.finished(job_id)
    assert job["state"] == "cancelled"
    assert time.monotonic() - asked < 20  # the whole of it takes 40 s


def test_a_pause_holds_for_both_and_either_ends_it(houses: list[House]) -> None:
    first, second = houses
    first.client.post("/api/queue/pause")
    wait_for(lambda: second.client.get("/api/status").get_json()["queue"]["paused"], "the pause is seen")
    job_id = second.submit()["id"]
    job = first.client.get(f"/api/jobs/{job_id}").get_json()
    assert (job["state"], job["waiting"]["code"]) == ("queued", "queue_paused")
    assert second.service.parts.jobs.claim() == []  # whatever the engines' threads had seen of the pause
    second.client.post("/api/queue/resume")
    assert first.finished(job_id)["state"] == "succeeded"
    wait_for(lambda: not first.client.get("/api/status").get_json()["queue"]["paused"], "its end is seen")


def test_both_know_how_many_devices_there_are(houses: list[House]) -> None:
    for house in houses:
        house.service.parts.jobs.stay(30)
        assert house.service.parts.jobs.devices == 2
