"""What real clients send when nobody changed their settings, byte for byte, before a real model.

Each gets a picture of the size it asked for. The bodies were read from the clients' own sources; the `openai` and
`webuiapi` packages are the real ones.
"""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import openai
import pytest
import requests
import webuiapi
from PIL import Image

from tests.running import RunningService

pytestmark = pytest.mark.model
PROMPT = "a red apple on a white table"
# public/scripts/extensions/stable-diffusion/index.js: defaultSettings, generateAutoImage
SILLYTAVERN = {
    "url": "http://localhost:7860", "auth": "",
    "prompt": f"best quality, absurdres, aesthetic, {PROMPT}",
    "negative_prompt": "lowres, bad anatomy, bad hands, text, error, cropped, worst quality, low quality, normal "
    "quality, jpeg artifacts, signature, watermark, username, blurry",
    "sampler_name": "DDIM", "scheduler": "normal", "steps": 20, "cfg_scale": 7, "width": 512, "height": 512,
    "restore_faces": False, "enable_hr": False, "hr_upscaler": "Latent", "hr_scale": 1, "hr_additional_modules": [],
    "denoising_strength": 0.7, "hr_second_pass_steps": 0, "override_settings": {"CLIP_stop_at_last_layers": 1},
    "override_settings_restore_afterwards": True, "clip_skip": 1, "save_images": True, "send_images": True,
    "do_not_save_grid": False, "do_not_save_samples": False,
}  # fmt: skip
# api/app/clients/tools/structured/StableDiffusion.js
LIBRECHAT = {
    "prompt": PROMPT, "negative_prompt": "semi-realistic, cgi, 3d, render, sketch", "cfg_scale": 4.5, "steps": 22,
    "width": 1024, "height": 1024,
}  # fmt: skip
# backend/open_webui/routers/images.py with the size of its settings page
OPEN_WEBUI = {"prompt": PROMPT, "batch_size": 1, "width": 512, "height": 512, "steps": 50}
A1111_BODIES = {"SillyTavern": SILLYTAVERN, "LibreChat": LIBRECHAT, "Open WebUI": OPEN_WEBUI}
OPENAI_BODIES: dict[str, dict[str, Any]] = {
    # api/app/clients/tools/structured/DALLE3.js and OpenAIImageTools.js
    "LibreChat DALL-E": {
        "model": "dall-e-3", "quality": "standard", "style": "vivid", "size": "1024x1024", "prompt": PROMPT, "n": 1,
    },
    "LibreChat DALL-E hd": {
        "model": "dall-e-3", "quality": "hd", "style": "natural", "size": "1792x1024", "prompt": PROMPT, "n": 1,
    },
    "LibreChat gpt-image": {
        "model": "gpt-image-1", "prompt": PROMPT, "n": 1, "background": "auto", "output_format": "png",
        "output_compression": 100, "quality": "auto", "size": "1536x1024",
    },
    # langchain_community/utilities/dalle_image_generator.py, and langchain's dalle.ts
    "LangChain": {"prompt": PROMPT, "n": 1, "size": "1024x1024", "model": "dall-e-2", "quality": "standard"},
    "LangChain.js": {
        "model": "dall-e-3", "prompt": PROMPT, "n": 1, "size": "1024x1024", "response_format": "url", "style": "vivid",
        "quality": "standard",
    },
    "Open WebUI": {"model": "dall-e-2", "prompt": PROMPT, "n": 1, "size": "512x512", "response_format": "b64_json"},
    "Open WebUI gpt-image": {"model": "gpt-image-1", "prompt": PROMPT, "n": 1, "size": "1024x1024"},
    "ten at once": {"model": "gpt-image-1", "prompt": PROMPT, "n": 10, "size": "256x256"},
}  # fmt: skip


@pytest.fixture
def client(pocket: RunningService) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{pocket.url}/v1", api_key="none", http_client=httpx.Client(trust_env=False), max_retries=0
    ) as client:
        yield client


def size_of(data: bytes) -> tuple[int, int]:
    """The size of a picture that shows something. (What the shipped model shows: tests/ui/test_shipped_model.py.)"""
    with Image.open(BytesIO(data)) as opened:
        assert len(set(opened.convert("L").tobytes())) > 20
        return opened.size


@pytest.mark.parametrize("name", A1111_BODIES)
def test_an_a1111_client_gets_a_picture_of_its_own_default_size(
    pocket: RunningService, http: requests.Session, name: str
) -> None:
    body = A1111_BODIES[name]
    answer = http.post(f"{pocket.url}/sdapi/v1/txt2img", json=body).json()
    [picture] = answer["images"]
    assert size_of(base64.b64decode(picture)) == (body["width"], body["height"])
    info = json.loads(answer["info"])
    asked = f"{body['width']}x{body['height']}"
    assert f"Size: {asked}" in info["infotexts"][0]
    assert f"to {asked}" in info["comments"]
    assert info["seed"] >= 0
    assert info["sd_model_name"] == "pocket"


def test_webuiapi_gets_a_picture_without_saying_anything_but_the_prompt(
    pocket: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = webuiapi.WebUIApi(host="127.0.0.1", port=pocket.port).txt2img(prompt=PROMPT)
    assert made.image.size == (512, 512)
    assert "drawn at" in made.info["comments"]


@pytest.mark.parametrize("name", OPENAI_BODIES)
def test_an_openai_client_gets_pictures_of_its_own_default_size(
    client: openai.OpenAI, http: requests.Session, name: str
) -> None:
    body = OPENAI_BODIES[name]
    answer = client.images.generate(**body)
    assert answer.data is not None
    assert len(answer.data) == body["n"]
    wanted = tuple(int(side) for side in body["size"].split("x"))
    for image in answer.data:
        png = http.get(image.url).content if image.url else base64.b64decode(image.b64_json or "")
        assert size_of(png) == wanted
    ours = answer.to_dict()["atelier"]
    assert isinstance(ours, dict)
    assert ours["model"] == "pocket"
    assert f"{body['model']} is answered by the model pocket here" in ours["notes"]
    assert any(note.endswith(f"to {body['size']}") for note in ours["notes"])
    assert ("style" in body) == any(note.startswith("style ") for note in ours["notes"])
    assert (body.get("quality") == "hd") == any(note.startswith("quality hd is") for note in ours["notes"])


def test_langchain_finds_its_url_and_librechat_a_file_name_in_it(client: openai.OpenAI) -> None:
    [image] = client.images.generate(**OPENAI_BODIES["LangChain"]).data or []
    assert (image.url or "").endswith(".png")


def test_the_drop_folder_draws_the_example_of_its_document(pocket: RunningService, http: requests.Session) -> None:
    job = http.post(f"{pocket.url}/api/generate", json={"prompt": PROMPT, "width": 640, "height": 480}).json()
    [image] = job["images"]
    assert (image["width"], image["height"]) == (640, 480)
    assert any(note.endswith("to 640x480") for note in image["notes"])
