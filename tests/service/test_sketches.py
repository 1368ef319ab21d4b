"""Pictures while typing: no job, nothing kept, after all jobs, and only the latest."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from app.jobs import sketches
from app.picture.png import inspect
from tests.service.conftest import House

PATIENCE_S = 30


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is with other tests."""
    monkeypatch.setattr(sketches, "PATIENCE_S", 2.0 * PATIENCE_S)


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    made = make_house(sketch_s=1000)  # however slow the machine is; which pace is quick enough is tried in tests/jobs
    made.image("the first, which says how long one takes")
    return made


def sketched(house: House, prompt: str = "a red apple", **fields: Any) -> Any:
    """The answer, asked in a thread of one's own if need be."""
    return house.client.application.test_client().post("/api/sketch", json={"prompt": prompt, **fields})


def asked(house: House, pool: ThreadPoolExecutor, prompt: str, by: str = "") -> Future[Any]:
    """A sketch that waits at the desk or is drawn by now, and its answer to be."""
    at_the_desk = house.service.parts.sketches._latest
    before = dict(at_the_desk)
    future = pool.submit(sketched, house, prompt, by=by)
    until(lambda: dict(at_the_desk) != before or future.done())
    return future


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_sketch_is_a_labelled_picture_that_is_kept_nowhere(house: House) -> None:
    jobs, images = (house.client.get(path).get_json()["items"] for path in ("/api/jobs", "/api/images"))
    answer = sketched(house, seed=7)
    assert answer.status_code == 200, answer.text
    said = inspect(answer.data)
    assert said.recipe is not None
    assert said.recipe["seed"] == 7
    assert said.recipe["request"]["prompt"] == "a red apple"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Atelier-Steps"] == "3"
    assert house.client.get("/api/jobs").get_json()["items"] == jobs
    assert house.client.get("/api/images").get_json()["items"] == images


def test_a_model_says_with_how_many_steps_it_sketches(house: House) -> None:
    models = {model["key"]: model for model in house.client.get("/api/models").get_json()["items"]}
    assert models["pocket"]["sketch_steps"] == 3
    assert models["other"]["sketch_steps"] is None  # it has drawn nothing yet


def test_a_later_sketch_takes_the_place_of_the_one_before_and_no_strangers(house: House) -> None:
    job = house.submit("!slow", num_inference_steps=100)["id"]  # meanwhile no sketch is drawn
    with ThreadPoolExecutor() as pool:
        try:
            first, stranger = asked(house, pool, "first", "a"), asked(house, pool, "stranger", "b")
            second = asked(house, pool, "second", "a")
            replaced = first.result(PATIENCE_S)
        finally:
            house.client.post(f"/api/jobs/{job}/cancel")
        assert (replaced.status_code, replaced.get_json()["code"]) == (409, "sketch_replaced")
        assert second.result(PATIENCE_S).status_code == 200
        assert stranger.result(PATIENCE_S).status_code == 200


def test_a_job_that_comes_ends_a_sketch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, desk = threading.Event(), house.service.parts.sketches
    monkeypatch.setattr(sketches._Watch, "step", lambda *_: drawing.set())
    with ThreadPoolExecutor() as pool:
        sketch = asked(house, pool, "!slow", "a")
        assert drawing.wait(PATIENCE_S)
        job = house.submit("before all sketches")
        answer = sketch.result(PATIENCE_S)
    # A device that was quicker than the job has drawn it by then: either way nobody waits for the other.
    assert answer.status_code in (200, 429)
    assert house.finished(job["id"])["state"] == "succeeded"
    assert not desk._latest
    assert not desk._waiting


def test_while_the_queue_is_paused_nothing_is_drawn(house: House) -> None:
    house.service.parts.dispatcher.pause()
    try:
        answer = sketched(house)
    finally:
        house.service.parts.dispatcher.resume()
    assert (answer.status_code, answer.get_json()["code"]) == (429, "jobs_come_first")


@pytest.mark.parametrize(("field", "value"), [("num_images", 2), ("task", "upscale"), ("enable_hr", True)])
def test_what_only_a_job_makes_is_refused_by_name(house: House, field: str, value: Any) -> None:
    answer = sketched(house, **{field: value})
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.get_json()["errors"]]


def test_a_sketch_that_fails_says_why(house: House) -> None:
    answer = sketched(house, "!error")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "generation_failed")
    assert sketched(house).status_code == 200
