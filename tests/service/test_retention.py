"""What is kept, for how long, how much of it, and what goes when a picture is deleted."""

from collections.abc import Callable

import pytest
import sqlalchemy
from sqlalchemy import text

from app.jobs.retention import forget_finished
from tests.service.conftest import House

WORDS = "unmistakablezebra"


def forget(house: House, days: float) -> int:
    """As the janitor does every hour."""
    return forget_finished(house.service._database, days)


def test_finished_jobs_are_forgotten_after_the_days_that_the_owner_says_and_their_pictures_stay(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    old = [house.finished(house.submit()["id"]) for _ in range(3)]
    house.client.post("/api/queue/pause")
    waiting = house.submit()["id"]
    with house.service._database.begin() as connection:
        connection.execute(text("UPDATE jobs SET finished_at = finished_at - 10 * 86400, created_at = 1"))
    new = house.submit()["id"]
    house.client.post(f"/api/jobs/{new}/cancel")
    assert forget(house, 11) == 0
    assert forget(house, 9) == 3
    assert house.client.get(f"/api/jobs/{old[0]['id']}").status_code == 404
    assert house.client.get(f"/api/jobs/{old[0]['id']}/events").status_code == 404
    assert house.client.get(f"/api/jobs/{waiting}").get_json()["state"] == "queued"
    assert house.client.get(f"/api/jobs/{new}").get_json()["state"] == "cancelled"
    assert [house.client.get(job["images"][0]["url"]).status_code for job in old] == [200] * 3
    assert len(house.client.get("/api/images").get_json()["items"]) == 3
    with house.service._database.connect() as connection:
        assert connection.scalar(text("SELECT count(DISTINCT job_id) FROM events")) == 2
    assert house.service.parts.library.collect_orphans(min_age_s=0) == 0  # a picture without a job is no orphan


def test_jobs_are_kept_for_ever_unless_the_owner_says_otherwise(make_house: Callable[..., House]) -> None:
    assert make_house().service.parts.settings.keep_jobs_days is None


def test_the_janitor_does_it_by_itself(make_house: Callable[..., House]) -> None:
    first = make_house(keep_jobs_days=1)
    job = first.finished(first.submit()["id"])
    with first.service._database.begin() as connection:
        connection.execute(text("UPDATE jobs SET finished_at = finished_at - 2 * 86400"))
    first.service._janitor_pass()
    assert first.client.get(f"/api/jobs/{job['id']}").status_code == 404


def occurrences(house: House, word: str) -> list[str]:
    """The files of the data folder that hold these bytes."""
    house.service._database.dispose()  # what the log holds goes into the file
    folder = house.service.parts.settings.data_folder
    return [file.name for file in folder.rglob("*") if file.is_file() and word.encode() in file.read_bytes()]


def test_with_its_last_picture_a_job_loses_its_words_everywhere(make_house: Callable[..., House]) -> None:
    house = make_house()
    job = house.finished(
        house.submit(f"{WORDS} on a table", negative_prompt=f"no {WORDS}", num_images=2, extra={"n": WORDS})["id"]
    )
    first, second = (image["id"] for image in job["images"])
    assert occurrences(house, WORDS)
    house.client.delete(f"/api/images/{first}")
    assert WORDS in house.client.get(f"/api/jobs/{job['id']}").get_json()["request"]["prompt"]  # the other still has it
    house.client.delete(f"/api/images/{second}")
    kept = house.client.get(f"/api/jobs/{job['id']}").get_json()
    assert (kept["state"], kept["request"]["prompt"], kept["request"]["seed"]) == (
        "succeeded", "", job["request"]["seed"],
    )  # fmt: skip
    assert house.client.get(f"/api/images?q={WORDS}").get_json()["items"] == []
    events = house.client.get(f"/api/jobs/{job['id']}/events").text
    assert WORDS not in events
    assert [line for line in events.splitlines() if line.startswith("id: ")] == [f"id: {n}" for n in (1, 2, 3, 4)]
    assert occurrences(house, WORDS) == []


def warnings(house: House) -> dict[str, str]:
    """Code and hint of each."""
    return {each["code"]: each["hint"] for each in house.client.get("/api/status").get_json()["warnings"]}


def test_an_owners_limit_warns_at_nine_tenths_and_refuses_at_the_end(make_house: Callable[..., House]) -> None:
    house = make_house(library_max_bytes=2**20)
    image = house.image()
    assert "library_almost_full" not in {
        each["code"] for each in house.client.get("/api/status").get_json()["warnings"]
    }
    known = house.client.post("/api/jobs", json={"prompt": "known"}, headers={"Idempotency-Key": "k"}).get_json()["id"]
    house.finished(known)

    def take(size: int) -> None:
        with house.service._database.begin() as connection:
            sql = "UPDATE images SET bytes = :size WHERE id = :id"
            connection.execute(text(sql), {"size": size, "id": image["id"]})
        house.service.parts.library.room.count_again()

    take(int(0.91 * 2**20))
    assert "ATELIER_LIBRARY_MAX_BYTES" in warnings(house)["library_almost_full"]
    assert house.client.post("/api/jobs", json={"prompt": "still"}).status_code == 202
    take(2**20)
    refused = house.client.post("/api/jobs", json={"prompt": "no more"})
    assert (refused.status_code, refused.get_json()["code"]) == (507, "library_full")
    again = house.client.post("/api/jobs", json={"prompt": "known"}, headers={"Idempotency-Key": "k"})
    assert again.status_code == 200
    house.client.delete(f"/api/images/{image['id']}")
    assert house.client.post("/api/jobs", json={"prompt": "room again"}).status_code == 202


def test_the_size_of_the_library_is_read_from_an_index_alone(make_house: Callable[..., House]) -> None:
    database: sqlalchemy.Engine = make_house().service._database
    with database.connect() as connection:
        plan = connection.execute(text("EXPLAIN QUERY PLAN SELECT sum(bytes) FROM images")).all()
    assert "COVERING INDEX images_by_bytes" in str(plan)


def test_little_room_on_the_disk_is_a_warning(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    house.image()
    monkeypatch.setattr("app.library.room.SCARCE_BYTES", 2**62)
    assert "disk_almost_full" in warnings(house)
