"""Submit, look, cancel, wait: over the real app with a real queue and the fast engine."""

import time
from collections.abc import Callable

import pytest

from app.service import Lifecycle
from tests.place import wait_for
from tests.service.conftest import House


def test_a_submitted_job_is_made_and_its_picture_can_be_fetched(house: House) -> None:
    answer = house.client.post("/api/jobs", json={"prompt": "a red apple", "seed": 7, "num_images": 2})
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == f"/api/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert job["origin"] == "api"
    assert job["request"]["model"] == "pocket"
    done = house.finished(job["id"])
    assert done["state"] == "succeeded"
    assert [image["seed"] for image in done["images"]] == [7, 8]
    assert house.client.get(done["images"][0]["url"]).data.startswith(b"\x89PNG")


def test_generate_waits_for_the_finished_job(house: House) -> None:
    job = house.client.post("/api/generate", json={"prompt": "a green pear"}).get_json()
    assert job["state"] == "succeeded"
    assert len(job["images"]) == 1


def test_generate_answers_with_the_failed_job_too(house: House) -> None:
    job = house.client.post("/api/generate", json={"prompt": "!error"}).get_json()
    assert job["state"] == "failed"
    assert job["error"]["code"] == "generation_failed"


def test_the_same_idempotency_key_gives_the_same_job(house: House) -> None:
    headers = {"Idempotency-Key": "once"}
    first = house.client.post("/api/jobs", json={"prompt": "twice"}, headers=headers)
    again = house.client.post("/api/jobs", json={"prompt": "twice"}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.get_json()["id"] == again.get_json()["id"]
    other = house.client.post("/api/jobs", json={"prompt": "another"}, headers=headers)
    assert other.status_code == 409
    assert other.get_json()["code"] == "idempotency_conflict"


@pytest.mark.parametrize("address", ["/api/jobs", "/api/generate"])
def test_a_model_that_is_not_installed_is_refused_at_once_with_what_is_here_and_how_to_get_it(
    house: House, address: str
) -> None:
    before = [job["id"] for job in house.client.get("/api/jobs").get_json()["items"]]
    answer = house.client.post(address, json={"prompt": "a cat", "model": "other"})
    told = answer.get_json()
    assert (answer.status_code, told["code"]) == (409, "model_not_installed")
    assert told["detail"] == "The model other is not on this machine. Installed are: pocket."
    assert told["hint"] == "Download it with `python -m app models download other`."
    assert [job["id"] for job in house.client.get("/api/jobs").get_json()["items"]] == before


@pytest.mark.parametrize(
    ("address", "field"),
    [("/api/jobs", "prompt"), ("/prompt", "text"), ("/image/generate", "prompt"), ("/sdapi/v1/txt2img", "prompt")],
)
def test_a_default_model_that_was_taken_away_is_refused_at_every_door_but_what_was_accepted_stays(
    make_house: Callable[..., House], address: str, field: str
) -> None:
    house = make_house()
    key = {"Idempotency-Key": "before"}
    accepted = house.client.post("/api/jobs", json={"prompt": "a cat"}, headers=key).get_json()
    house.finished(accepted["id"])
    pocket = house.service.parts.catalog.folder / "pocket"
    pocket.rmdir()
    assert house.client.post(address, json={field: "a cat"}).status_code == 409
    again = house.client.post("/api/jobs", json={"prompt": "a cat"}, headers=key)
    assert (again.status_code, again.get_json()["id"]) == (200, accepted["id"])
    pocket.mkdir()


def test_the_origin_is_kept_if_it_is_a_known_word(house: House) -> None:
    known = house.client.post("/api/jobs", json={"prompt": "x"}, headers={"X-Atelier-Origin": "cli"})
    assert known.get_json()["origin"] == "cli"
    unknown = house.client.post("/api/jobs", json={"prompt": "x"}, headers={"X-Atelier-Origin": "me"})
    assert unknown.status_code == 422
    assert unknown.get_json()["errors"][0]["field"] == "X-Atelier-Origin"


def test_a_job_in_a_paused_queue_promises_no_time_and_says_why_it_waits(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.finished(house.submit()["id"])
    assert house.submit()["eta_s"] is not None
    house.client.post("/api/queue/pause")
    job = house.client.get(f"/api/jobs/{house.submit()['id']}").get_json()
    assert (job["eta_s"], job["waiting"]["code"]) == (None, "queue_paused")
    house.client.post("/api/queue/resume")
    assert house.finished(job["id"])["waiting"] is None


def test_a_queued_job_is_cancelled_at_once_and_twice_says_the_same(make_house: Callable[..., House]) -> None:
    house = make_house(start_paused=True)
    job = house.submit()
    for _ in range(2):
        answer = house.client.post(f"/api/jobs/{job['id']}/cancel")
        assert answer.status_code == 200
        assert answer.get_json()["state"] == "cancelled"


def test_a_running_job_is_cancelled_within_a_step(house: House) -> None:
    job = house.submit("!slow picture", num_inference_steps=100, num_images=8)  # 80 s and more
    while house.client.get(f"/api/jobs/{job['id']}").get_json()["progress"] is None:
        time.sleep(0.02)
    house.client.post(f"/api/jobs/{job['id']}/cancel")
    assert house.finished(job["id"], timeout_s=40)["state"] == "cancelled"
    after = house.client.post(f"/api/jobs/{job['id']}/cancel")
    assert after.get_json()["state"] == "cancelled"


def test_cancelling_a_finished_job_changes_nothing(house: House) -> None:
    done = house.finished(house.submit()["id"])
    assert house.client.post(f"/api/jobs/{done['id']}/cancel").get_json() == done


def test_a_running_job_says_how_far_it_is(house: House) -> None:
    job = house.submit("!slow", num_inference_steps=20)
    seen = None
    while seen is None or seen["phase"] != "denoising":
        seen = house.client.get(f"/api/jobs/{job['id']}").get_json()["progress"]
        time.sleep(0.01)
    assert 1 <= seen["step"] <= seen["of"] == 20
    status = house.client.get("/api/status").get_json()
    assert [running["id"] for running in status["running"]] == [job["id"]]
    house.client.post(f"/api/jobs/{job['id']}/cancel")
    house.finished(job["id"])


def test_jobs_are_listed_newest_first_in_pages(make_house: Callable[..., House]) -> None:
    house = make_house(start_paused=True)
    ids = [house.submit(f"number {number}")["id"] for number in range(5)]
    house.client.post(f"/api/jobs/{ids[0]}/cancel")
    first = house.client.get("/api/jobs?state=queued&limit=3").get_json()
    assert [job["id"] for job in first["items"]] == ids[4:1:-1]
    assert [job["position"] for job in first["items"]] == [4, 3, 2]
    second = house.client.get(f"/api/jobs?state=queued&limit=3&cursor={first['next']}").get_json()
    assert [job["id"] for job in second["items"]] == [ids[1]]
    assert second["next"] is None
    both = house.client.get("/api/jobs?state=queued&state=cancelled").get_json()
    assert len(both["items"]) == 5


def test_a_full_queue_answers_429_with_retry_after(make_house: Callable[..., House]) -> None:
    house = make_house(start_paused=True, max_queue=2)
    for _ in range(2):
        house.submit()
    answer = house.client.post("/api/jobs", json={"prompt": "one too many"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.get_json()["code"] == "queue_full"


def test_pausing_lets_nothing_start_and_resuming_does(make_house: Callable[..., House]) -> None:
    house = make_house()
    assert house.client.post("/api/queue/pause").get_json() == {"paused": True}
    job = house.submit()
    for act, then in 2 * [("load", "loaded"), ("unload", "unloaded")]:  # the engine's thread looks around and is done
        house.client.post(f"/api/models/pocket/{act}")
        wait_for(lambda then=then: house.client.get("/api/models/pocket").get_json()["state"] == then, then)
    assert house.client.get(f"/api/jobs/{job['id']}").get_json()["state"] == "queued"
    assert house.client.get("/api/status").get_json()["queue"]["paused"] is True
    assert house.client.post("/api/queue/resume").get_json() == {"paused": False}
    assert house.finished(job["id"])["state"] == "succeeded"


def test_a_draining_service_takes_no_work_but_still_answers(make_house: Callable[..., House]) -> None:
    house = make_house()
    lifecycle: Lifecycle = house.service.parts.lifecycle
    job = house.submit()
    lifecycle.draining.set()
    for path in ("/api/jobs", "/api/generate"):
        refused = house.client.post(path, json={"prompt": "too late"})
        assert refused.status_code == 503
        assert refused.get_json()["code"] == "shutting_down"
        assert refused.headers["Retry-After"]
    assert house.client.get("/ready").status_code == 503
    assert house.client.get("/health").status_code == 200
    assert house.client.get(f"/api/jobs/{job['id']}").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/nobody", "/api/jobs/nobody/events", "/api/images/nobody", "/images/nobody.png", "/api/models/no"],
)
def test_an_unknown_id_is_404_with_a_problem(house: House, path: str) -> None:
    answer = house.client.get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["code"].startswith("unknown_")


def test_a_model_names_the_samplers_that_it_takes(house: House) -> None:
    items = {item["key"]: item for item in house.client.get("/api/models").get_json()["items"]}
    schedulers = items["pocket"]["schedulers"]
    assert {"Euler a", "DPM++ 2M Karras", "DDIM"} <= set(schedulers)
    assert "default" not in schedulers
    assert house.submit(scheduler=schedulers[-1])["request"]["scheduler"] == schedulers[-1]


def test_a_list_leaves_out_what_only_one_job_needs(house: House) -> None:
    job = house.submit(extra={"notes": "x" * 1000})
    assert house.client.get(f"/api/jobs/{job['id']}").get_json()["request"]["extra"] == {"notes": "x" * 1000}
    [listed] = [item for item in house.client.get("/api/jobs").get_json()["items"] if item["id"] == job["id"]]
    assert listed["request"]["extra"] == {}
    assert listed["request"]["prompt"] == job["request"]["prompt"]
