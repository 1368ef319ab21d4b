"""The two small APIs, called by curl exactly as their documents show."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import event, insert

from app.database import images, open_database, writing
from app.library import Library
from app.migrations import upgrade
from app.picture.png import inspect
from app.storage import Folder
from tests.running import RunningService

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
PROMPT = "the red squirrel dances in the moonlight, feet off the ground, backlit, photograph, golden hour"


def curl(*arguments: str) -> tuple[int, Any]:
    """The status and JSON of one curl call."""
    done = subprocess.run(
        ["curl", "-s", "--noproxy", "*", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        check=True,
        timeout=60,
    )
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(body) if body else None


def wait_until_idle(service: RunningService) -> None:
    deadline = time.monotonic() + 60
    while curl(f"{service.url}/queue_status")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def paused(service: RunningService) -> Iterator[None]:
    """What is submitted meanwhile waits, however slow this machine is."""
    assert curl("-X", "POST", f"{service.url}/api/queue/pause")[0] == 200
    try:
        yield
    finally:
        curl("-X", "POST", f"{service.url}/api/queue/resume")


def test_a_playground_prompt_is_queued_and_appears_in_the_library(service: RunningService) -> None:
    wait_until_idle(service)
    with paused(service):
        document = f'{{\n    "text":"{PROMPT}", \n    "num_images":"6"\n    "seed":12345\n}}'  # its own lost comma
        status, answer = curl("-X", "POST", "-d", document, f"{service.url}/prompt")
        assert status == 200
        _, second = curl("-X", "POST", "-d", '{"text":"a cat","num_images":"2","seed":0}', f"{service.url}/prompt")
        _, waiting = curl(f"{service.url}/queue_status")
        assert [line["queue_id"] for line in waiting] == [answer["queue_id"], second["queue_id"]]
        assert waiting[0] == {"text": PROMPT, "num_images": 6, "queue_id": answer["queue_id"]}
    wait_until_idle(service)
    _, library = curl(f"{service.url}/getlibrary")
    group = next(group for group in library if group["queue_id"] == answer["queue_id"])
    assert group["text_prompt"] == PROMPT
    assert group["seed"] == 12345
    assert len(group["generated_images"]) == 6
    assert group["process_time_secs"] > 0
    assert abs(group["creation_unixtime"] - time.time()) < 600


def test_a_playground_image_is_served_and_deleted(service: RunningService, http: requests.Session) -> None:
    _, answer = curl("-X", "POST", "-d", '{"text":"a dog","num_images":"2"}', f"{service.url}/prompt")
    wait_until_idle(service)
    _, library = curl(f"{service.url}/getlibrary")
    paths = next(group for group in library if group["queue_id"] == answer["queue_id"])["generated_images"]
    address = f"{service.url}/{paths[0]}"
    assert inspect(http.get(address).content).kind == "atelier"
    assert http.delete(address).status_code == 204
    assert http.get(address).status_code == 404
    assert http.get(f"{service.url}/{paths[1]}").status_code == 200
    other_group = f"{service.url}/library/00000000-0000-4000-8000-000000000000/{paths[1].rpartition('/')[2]}"
    assert http.get(other_group).status_code == 404


def test_the_advanced_page_settings_are_those_of_the_request(service: RunningService, http: requests.Session) -> None:
    body = {"text": "a cat", "num_images": 2, "seed": 4294967296, "condition_scale": "10.0", "gen_top_k": "50",
            "gen_top_p": "0.9", "temperature": 1.0}  # fmt: skip
    job_id = http.post(f"{service.url}/prompt", data=json.dumps(body)).json()["queue_id"]
    request = http.get(f"{service.url}/api/jobs/{job_id}").json()["request"]
    assert request["guidance_scale"] == 10
    assert request["seed"] == 4294967296
    assert (request["top_k"], request["top_p"], request["temperature"]) == (50, 0.9, 1.0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "x", "num_images": "many"}, "num_images"),
        ({"text": "x", "num_images": "11"}, "num_images"),
        ({"text": "x", "seed": 4294967297}, "seed: 4294967297 is"),
        ({"text": "x", "seed": "4294967297"}, "seed: '4294967297'"),
        ({"text": "x", "seed": "inf"}, "seed"),
        ({"text": "x", "seed": 10**400}, "seed"),
        ({"text": "x", "num_images": "1e999"}, "num_images"),
        ({"text": "x", "num_images": True}, "num_images"),
        ({"text": "x", "condition_scale": "nan"}, "condition_scale"),
        ({"text": "x", "condition_scale": "99"}, "condition_scale"),
        ({"text": "x", "temperature": "hot"}, "temperature"),
        ({"text": "x", "temperature": 10.5}, "temperature"),
        ({"text": "x", "gen_top_p": "1.5"}, "gen_top_p"),
        ({"text": "x", "gen_top_k": {"a": 1}}, "gen_top_k"),
        ({"text": "\ud800"}, "text"),
        ({"text": "x", "colour": 1}, "colour"),
    ],
)
def test_a_wrong_playground_field_is_named(
    service: RunningService, http: requests.Session, body: dict[str, Any], field: str
) -> None:
    answer = http.post(f"{service.url}/prompt", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[" * 100_000,
        '{"text": "x", "num_images": 1e999}',
        "[]",
        '{"text": NaN}',
        '{"text": "x", "seed": ' + "1" * 9999,
    ],
)
def test_what_is_no_json_object_is_an_error_of_the_caller(
    service: RunningService, http: requests.Session, body: str
) -> None:
    for path in ("/prompt", "/image/generate", "/v1/images/generations", "/sdapi/v1/txt2img"):
        assert http.post(service.url + path, data=body).status_code in (400, 422), path


def test_a_large_library_is_told_in_one_reading(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/atelier.db")
    upgrade(database)
    library = Library(database, Folder(tmp_path / "output"), tmp_path / "thumbnails")
    statements: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    for count in (1, 500):
        with writing(database) as connection:
            connection.execute(
                insert(images), [row_of_image(f"{count}-{number}", number // 2) for number in range(count)]
            )
        statements.clear()
        jobs = list(library.by_job())
        assert len([text for text in statements if "images" in text]) == 1
    assert [job.image_ids for job in jobs[:2]] == [["500-499", "500-498"], ["500-497", "500-496"]]
    assert (jobs[0].seed, jobs[0].seconds, jobs[0].prompt) == (7, 3.0, "a cat")
    database.dispose()


def row_of_image(id: str, job: int) -> dict[str, Any]:
    index = int(id.rpartition("-")[2]) % 2
    return {
        "id": id, "job_id": f"job {id.partition('-')[0]} {job}", "index": index, "seed": 7 + index, "width": 8,
        "height": 8, "path": f"{id}.png", "sha256": "0", "bytes": 1, "prompt": "a cat", "negative_prompt": "",
        "model": "pocket", "origin": "playground", "seconds": 1.5, "favourite": False, "created_at": 1.0, "recipe": {},
    }  # fmt: skip


def test_a_picture_file_that_somebody_removed_is_an_error_of_that_picture_alone(
    service: RunningService, http: requests.Session
) -> None:
    wait_until_idle(service)
    _, answer = curl("-X", "POST", "-d", '{"prompt": "a cat"}', f"{service.url}/image/generate")
    wait_until_idle(service)
    [image] = http.get(f"{service.url}/api/jobs/{answer['generation_uuid']}").json()["images"]
    path = http.get(f"{service.url}/api/images/{image['id']}").json()["path"]
    (service.folder / "output" / path).unlink()
    status, [result] = curl(f"{service.url}/image/generate?generation_uuid={answer['generation_uuid']}")
    assert (status, result["data"]) == (200, None)
    assert "is gone" in result["errors"][0]
    assert len(curl(f"{service.url}/image/generate")[1]) >= 1
    assert http.get(f"{service.url}/images/{image['id']}.png").status_code == 404
    assert http.get(f"{service.url}/v1/images/{image['id']}.jpeg").status_code == 404


def test_the_environment_makes_one_picture_at_a_time(service: RunningService) -> None:
    wait_until_idle(service)
    assert curl(f"{service.url}/server/status") == (200, {"is_available": True})
    with paused(service):
        status, answer = curl("-X", "POST", "-d", '{"prompt": "a cat"}', f"{service.url}/image/generate")
        assert status == 200
        assert curl(f"{service.url}/server/status") == (200, {"is_available": False})
        assert curl("-X", "POST", "-d", '{"prompt": "a dog"}', f"{service.url}/image/generate")[0] == 429
        address = f"{service.url}/image/generate?generation_uuid={answer['generation_uuid']}"
        assert curl(address) == (200, [])
    wait_until_idle(service)
    _, [result] = curl(address)
    assert result["uuid"] == answer["generation_uuid"]
    assert result["prompt"] == "a cat"
    assert result["errors"] == []
    assert inspect(base64.b64decode(result["data"])).kind == "atelier"
    assert result in curl(f"{service.url}/image/generate")[1]


def test_an_environment_failure_has_its_reason_and_no_data(service: RunningService) -> None:
    wait_until_idle(service)
    _, answer = curl("-X", "POST", "-d", '{"prompt": "!error"}', f"{service.url}/image/generate")
    wait_until_idle(service)
    _, [result] = curl(f"{service.url}/image/generate?generation_uuid={answer['generation_uuid']}")
    assert result["data"] is None
    assert result["errors"]


def test_an_unknown_generation_is_404(service: RunningService) -> None:
    assert curl(f"{service.url}/image/generate?generation_uuid=nobody")[0] == 404
    assert curl("-X", "POST", "-d", '{"text": "x"}', f"{service.url}/image/generate")[0] == 422
