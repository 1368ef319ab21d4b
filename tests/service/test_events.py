"""Event streams: what is told, in which order, where a reader goes on, and when a stream ends."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.service.http import streams
from tests.place import wait_for
from tests.service.conftest import House


def read(house: House, path: str, **headers: str) -> Iterator[tuple[str, Any, int | None]]:
    """(kind, data, id) of each event as it comes."""
    with house.client.get(path, headers=headers) as answer:
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "text/event-stream"
        rest = b""
        for chunk in answer.response:
            rest += chunk if isinstance(chunk, bytes) else chunk.encode()
            *blocks, rest = rest.split(b"\n\n")
            for block in blocks:
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
                if fields:
                    seq = int(fields[b"id"]) if b"id" in fields else None
                    yield fields[b"event"].decode(), json.loads(fields[b"data"]), seq


def test_a_job_is_told_from_queued_to_succeeded(house: House) -> None:
    job = house.submit("!slow", num_inference_steps=6, num_images=2)
    told = list(read(house, f"/api/jobs/{job['id']}/events"))
    kinds = [kind for kind, _, _ in told]
    assert kinds[0] == "queued"
    assert kinds[-1] == "succeeded"
    assert kinds.count("image") == 2
    assert kinds.index("step") < kinds.index("image")
    assert [seq for _, _, seq in told if seq is not None] == [1, 2, 3, 4]
    steps = [data for kind, data, _ in told if kind == "step" and data["phase"] == "denoising"]
    assert [data["step"] for data in steps] == sorted(data["step"] for data in steps)
    assert all(data["of"] == 12 for data in steps)  # of both pictures
    first_image = kinds.index("image")
    assert any(kind == "step" and data["phase"] == "denoising" for kind, data, _ in told[first_image:])
    previews = [data["preview"] for data in steps if data["preview"]]
    assert base64.b64decode(previews[0]).startswith(b"\xff\xd8")
    image = next(data for kind, data, _ in told if kind == "image")
    assert house.client.get(image["url"]).status_code == 200


def test_a_reader_goes_on_behind_its_last_event_and_misses_none(house: House) -> None:
    job = house.finished(house.submit()["id"])
    path = f"/api/jobs/{job['id']}/events"
    whole = list(read(house, path))
    assert [kind for kind, _, _ in whole] == ["queued", "image", "succeeded"]
    for number in range(3):
        assert list(read(house, path, **{"Last-Event-ID": str(number)})) == whole[number:]
    assert list(read(house, path, **{"Last-Event-ID": "3"})) == []
    assert list(read(house, path, **{"Last-Event-ID": "999"})) == []


def test_a_last_event_id_that_is_no_number_is_422(house: House) -> None:
    job = house.finished(house.submit()["id"])
    answer = house.client.get(f"/api/jobs/{job['id']}/events", headers={"Last-Event-ID": "abc"})
    assert answer.status_code == 422


def test_failed_and_cancelled_jobs_end_their_stream(make_house: Callable[..., House]) -> None:
    house = make_house()
    failed = list(read(house, f"/api/jobs/{house.submit('!error')['id']}/events"))
    assert failed[-1][0] == "failed"
    assert failed[-1][1]["error"]["code"] == "generation_failed"
    house.client.post("/api/queue/pause")
    job = house.submit()
    stream = read(house, f"/api/jobs/{job['id']}/events")
    assert next(stream)[0] == "queued"
    house.client.post(f"/api/jobs/{job['id']}/cancel")
    assert [kind for kind, _, _ in stream][-1] == "cancelled"


def test_a_crashed_engine_is_told_as_queued_again(make_house: Callable[..., House]) -> None:
    house = make_house(max_crashes=2)
    kinds = [kind for kind, _, seq in read(house, f"/api/jobs/{house.submit('!crash')['id']}/events") if seq]
    assert kinds == ["queued", "queued", "failed"]


def test_a_silent_stream_has_heartbeats_and_ends_with_shutdown(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.5)
    house = make_house(start_paused=True)
    job = house.submit()
    answer = house.client.get(f"/api/jobs/{job['id']}/events")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    chunks = iter(answer.response)
    assert next(chunks) == b": hello\n\n"
    assert b"event: queued" in next(chunks)
    assert next(chunks) == b": still here\n\n"
    threading.Timer(0.1, house.service.stop, [0]).start()
    rest = b"".join(chunks)
    assert rest.endswith(b"event: shutdown\ndata: {}\n\n")
    answer.close()


def test_streams_and_waiting_calls_beyond_the_cap_are_sent_away(make_house: Callable[..., House]) -> None:
    house = make_house(start_paused=True, max_event_streams=2)
    path = f"/api/jobs/{house.submit()['id']}/events"
    first, second = house.client.get(path), house.client.get(path)
    assert house.client.get("/api/status").get_json()["waiting_calls"] == 2
    wanted = {"prompt": "x"}
    for answer in (
        house.client.get(path),
        house.client.get("/api/models/pocket/events"),
        house.client.post("/api/generate", json=wanted),
        house.client.post("/v1/images/generations", json=wanted),
        house.client.post("/v1/images/generations", json=wanted | {"stream": True}),
        house.client.post("/sdapi/v1/txt2img", json=wanted),
        house.client.post("/sdapi/v1/reload-checkpoint"),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert house.client.get(path).get_json()["code"] == "too_many_streams"
    assert house.client.get("/api/status").get_json()["queue"]["queued"] == 1  # what was sent away is not queued
    first.close()
    third = house.client.get(path)
    assert third.status_code == 200
    third.close()
    second.close()
    with house.client.head(path) as answer:
        assert answer.status_code == 200
    assert house.client.get("/api/status").get_json()["waiting_calls"] == 0


def test_a_full_queue_makes_an_a1111_call_wait_and_answers_it_when_there_is_room(
    make_house: Callable[..., House],
) -> None:
    house = make_house(start_paused=True, max_queue=1)
    house.submit()
    answers: list[Any] = []
    other = house.client.application.test_client()
    body = {"prompt": "patient", "width": 64, "height": 64, "steps": 2}
    call = threading.Thread(target=lambda: answers.append(other.post("/sdapi/v1/txt2img", json=body)), daemon=True)
    call.start()
    wait_for(lambda: house.client.get("/api/status").get_json()["waiting_calls"] == 1, "the call has its seat")
    assert house.client.post("/api/jobs", json={"prompt": "one too many"}).get_json()["code"] == "queue_full"
    assert answers == []
    house.client.post("/api/queue/resume")
    call.join(120)
    assert [(answer.status_code, len(answer.get_json()["images"])) for answer in answers] == [(200, 1)]


def test_a_quarter_of_the_threads_stays_free_for_short_calls(make_house: Callable[..., House]) -> None:
    assert make_house(threads=8).service.parts.seats.number == 6


def test_loading_a_model_is_told_until_it_is_loaded(make_house: Callable[..., House]) -> None:
    house = make_house()
    assert [kind for kind, _, _ in read(house, "/api/models/pocket/events")] == ["unloaded"]
    answer = house.client.post("/api/models/pocket/load")
    assert answer.status_code == 202
    assert answer.get_json()["state"] in ("waiting", "loading", "loaded")
    kinds = [kind for kind, _, _ in read(house, "/api/models/pocket/events")]
    assert kinds[-1] == "loaded"
    assert house.client.get("/api/models/pocket").get_json()["state"] == "loaded"
    assert house.client.get("/api/status").get_json()["loaded_models"] == ["pocket"]
    assert house.client.post("/api/models/pocket/unload").status_code == 200
    assert [kind for kind, _, _ in read(house, "/api/models/pocket/events")][-1] == "unloaded"


def test_loading_a_model_that_is_not_here_is_refused_and_marks_nothing(house: House) -> None:
    answer = house.client.post("/api/models/other/load")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "model_not_installed")
    assert "Installed are: pocket" in answer.get_json()["detail"]
    now = house.client.get("/api/models/other").get_json()
    assert (now["state"], now["error"]) == ("unloaded", None)


def test_a_model_in_use_cannot_be_unloaded(house: House) -> None:
    job = house.submit("!slow", num_inference_steps=100)
    while house.client.get(f"/api/jobs/{job['id']}").get_json()["state"] != "running":
        time.sleep(0.02)
    deadline = time.monotonic() + 5
    while (answer := house.client.post("/api/models/pocket/unload")).status_code != 409:
        assert time.monotonic() < deadline
    assert answer.get_json()["code"] == "model_busy"
    house.client.post(f"/api/jobs/{job['id']}/cancel")
    house.finished(job["id"])


def test_the_catalog_says_what_is_installed_and_which_is_the_default(house: House) -> None:
    models = {model["key"]: model for model in house.client.get("/api/models").get_json()["items"]}
    assert (models["pocket"]["installed"], models["pocket"]["default"]) == (True, True)
    assert (models["other"]["installed"], models["other"]["default"]) == (False, False)
    assert models["pocket"]["size_range"] == {"low": 64.0, "high": 256.0, "multiple": 8}
    assert models["pocket"]["width"] == 64
