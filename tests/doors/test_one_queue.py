"""All doors lead to one queue, one library and the same picture."""

import base64
import threading
import time
import uuid
from io import BytesIO
from pathlib import Path

import httpx
import openai
import pytest
import requests
from PIL import Image

from app.client import ImageServiceClient
from app.core.schema import GenerationRequest
from app.dropfolder import Watcher
from app.picture.png import inspect
from tests.running import RunningService


def pixels(png: bytes) -> bytes:
    with Image.open(BytesIO(png)) as picture:
        return picture.convert("RGB").tobytes()


def finished_image(service: RunningService, http: requests.Session, job_id: str) -> bytes:
    deadline = time.monotonic() + 60
    while True:
        job = http.get(f"{service.url}/api/jobs/{job_id}").json()
        if job["state"] not in ("queued", "running"):
            return http.get(service.url + job["images"][0]["url"]).content
        assert time.monotonic() < deadline
        time.sleep(0.05)


def again(client: ImageServiceClient, prompt: str, seed: int) -> bytes:
    """The pixels of the same prompt with this seed, through the native API."""
    job = client.wait(client.submit(GenerationRequest(prompt=prompt, seed=seed)).id)
    return pixels(client.image_bytes(job.images[0].id))


def through_the_drop_folder(
    folder: Path, client: ImageServiceClient, prompt: str, size: tuple[int | None, int | None]
) -> Path:
    """The answer to a prompt file, written by a watcher that runs meanwhile."""
    file = folder / f"{uuid.uuid4()}-7-{size[0]}x{size[1]}.txt"
    file.write_text(prompt)
    watcher = Watcher(folder, client)
    runner = threading.Thread(target=watcher.run)
    runner.start()
    try:
        deadline = time.monotonic() + 60
        while file.exists() or not file.with_suffix(".png").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        watcher.stop()
        runner.join(20)
    return file.with_suffix(".png")


@pytest.mark.model
def test_one_request_gives_the_same_pixels_through_every_door(
    pocket: RunningService, http: requests.Session, tmp_path: Path
) -> None:
    service = pocket
    prompt, seed = f"a red apple {uuid.uuid4()}", 77
    client = ImageServiceClient(service.url)
    native = client.wait(client.submit(GenerationRequest(prompt=prompt, seed=seed)).id)
    made: dict[str, bytes] = {"api": pixels(client.image_bytes(native.images[0].id))}

    size = (native.request.width, native.request.height)
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="x", http_client=httpx.Client(trust_env=False)) as sdk:
        answer = sdk.images.generate(prompt=prompt, extra_body={"seed": seed}, response_format="b64_json")
        assert answer.data
        made["openai"] = pixels(base64.b64decode(answer.data[0].b64_json or ""))

    body = {"prompt": prompt, "seed": seed, "width": size[0], "height": size[1]}
    answer_ = http.post(f"{service.url}/sdapi/v1/txt2img", json=body).json()
    made["automatic1111"] = pixels(base64.b64decode(answer_["images"][0]))

    queue_id = http.post(f"{service.url}/prompt", json={"text": prompt, "num_images": "2", "seed": seed}).json()[
        "queue_id"
    ]
    made["playground"] = pixels(finished_image(service, http, queue_id))

    assert set(made.values()) == {made["api"]}

    # The environment's API and the drop folder have no seed: their picture must be the one of its recorded seed.
    deadline = time.monotonic() + 60
    while not http.get(f"{service.url}/server/status").json()["is_available"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other = http.post(f"{service.url}/image/generate", json={"prompt": prompt}).json()["generation_uuid"]
    theirs = pixels(finished_image(service, http, other))
    drawn = http.get(f"{service.url}/api/jobs/{other}").json()["request"]["seed"]
    assert again(client, prompt, drawn) == theirs

    answer_file = through_the_drop_folder(tmp_path, client, prompt, size)
    recorded = inspect(answer_file.read_bytes()).request or {}
    dropped = pixels(answer_file.read_bytes())
    assert again(client, prompt, recorded["seed"]) == dropped

    origins = {*made, "environment", "drop"}
    rows = client.images(q=prompt, limit=50)[0]
    assert {row.origin for row in rows} == origins
    metrics = http.get(f"{service.url}/metrics").text
    for origin in origins:
        assert f'atelier_jobs_accepted_total{{origin="{origin}"}}' in metrics
    for door in ("openai", "automatic1111", "playground", "environment"):
        assert f'door="{door}"' in metrics


def test_the_drop_folder_is_a_door_too(service: RunningService, tmp_path: Path) -> None:
    prompt = f"a blue bird {uuid.uuid4()}"
    client = ImageServiceClient(service.url)
    answer = through_the_drop_folder(tmp_path, client, prompt, (64, 64))
    [image] = client.images(q=prompt)[0]
    assert image.origin == "drop"
    assert client.image_bytes(image.id) == answer.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [answer.name]
