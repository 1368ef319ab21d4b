"""The real clients before a real model, and the official client before a full queue."""

import threading
import time
from io import BytesIO
from pathlib import Path

import httpx
import openai
import pytest
import requests
import webuiapi
from PIL import Image, ImageChops, ImageStat

from app.client import ImageServiceClient
from tests.running import RunningService


def sdk(service: RunningService, max_retries: int) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{service.url}/v1",
        api_key="none",
        max_retries=max_retries,
        http_client=httpx.Client(trust_env=False),
    )


@pytest.mark.model
def test_another_seed_and_another_prompt_are_other_pictures_to_the_eye(pocket: RunningService) -> None:
    with ImageServiceClient(pocket.url) as client:
        asked = [{"prompt": "a red apple", "seed": 1}, {"prompt": "a red apple", "seed": 2}, {"prompt": "!", "seed": 1}]
        jobs = [client.generate(request) for request in asked]
        first, *others = [Image.open(BytesIO(client.image_bytes(job.images[0].id))) for job in jobs]
    for other in others:
        assert sum(ImageStat.Stat(ImageChops.difference(first, other)).mean) / 3 > 2


@pytest.mark.model
def test_openai_streams_a_picture_of_a_real_model(pocket: RunningService) -> None:
    with sdk(pocket, 0) as client:
        events = list(client.images.generate(model="pocket", prompt="a red apple", stream=True, partial_images=1))
    assert events[-1].type == "image_generation.completed"
    assert events[-1].size == "128x128"


@pytest.mark.model
def test_webuiapi_draws_watches_and_interrupts_a_real_model(
    pocket: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=pocket.port)
    made = api.txt2img(prompt="a red apple", seed=3, steps=4, width=128, height=128, sampler_name="Euler a")
    assert made.image.size == (128, 128)
    assert "Sampler: Euler a" in api.png_info(made.image).info
    calls: list[object] = []
    long_one = {"prompt": "a cat", "steps": 100, "width": 256, "height": 256, "sampler_name": "DDIM"}
    call = threading.Thread(target=lambda: calls.append(api.txt2img(**long_one)))
    call.start()
    deadline = time.monotonic() + 60
    while api.get_progress()["state"]["sampling_step"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    api.interrupt()
    call.join(60)
    assert not call.is_alive()
    api.util_wait_for_ready()


@pytest.mark.model
def test_the_two_small_apis_draw_with_a_real_model(pocket: RunningService, http: requests.Session) -> None:
    queued = http.post(f"{pocket.url}/prompt", data='{"text": "a blue bird", "num_images": "2", "seed": 7}').json()
    deadline = time.monotonic() + 90
    while http.get(f"{pocket.url}/queue_status").json():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    group = http.get(f"{pocket.url}/getlibrary").json()[0]
    assert (group["queue_id"], len(group["generated_images"])) == (queued["queue_id"], 2)
    made = http.post(f"{pocket.url}/image/generate", json={"prompt": "a green tree"}).json()
    address = f"{pocket.url}/image/generate?generation_uuid={made['generation_uuid']}"
    while not (found := http.get(address).json()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert found[0]["data"]


def test_openai_waits_for_room_in_a_full_queue_and_tries_again(tmp_path: Path) -> None:
    with RunningService(tmp_path, MAX_QUEUE="1") as full:
        slow = {"prompt": "!slow a cat", "width": 64, "height": 64, "num_inference_steps": 10}
        for _ in range(30):
            if requests.post(f"{full.url}/api/jobs", json=slow, timeout=30).status_code == 429:
                break
        with sdk(full, 0) as impatient, pytest.raises(openai.RateLimitError) as refused:
            impatient.images.generate(model="pocket", prompt="a dog", size="64x64")
        assert int(refused.value.response.headers["Retry-After"]) > 0
        with sdk(full, 8) as patient:
            assert patient.images.generate(model="pocket", prompt="a dog", size="64x64").data
