"""The official `openai` client against a running service."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO

import httpx
import openai
import pytest
import requests
from PIL import Image

from app.picture.png import inspect
from tests.running import RunningService


@pytest.fixture
def client(service: RunningService) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{service.url}/v1", api_key="none", http_client=httpx.Client(trust_env=False), max_retries=0
    ) as client:
        yield client


def test_a_prompt_becomes_a_png_with_its_recipe(client: openai.OpenAI) -> None:
    answer = client.images.generate(
        model="pocket", prompt="a cat", size="64x64", response_format="b64_json",
        extra_body={"seed": 5, "num_inference_steps": 3, "guidance_scale": 2.5, "negative_prompt": "dogs"},
    )  # fmt: skip
    assert answer.data
    found = inspect(base64.b64decode(answer.data[0].b64_json or ""))
    assert found.kind == "atelier"
    assert found.request is not None
    assert found.request["seed"] == 5
    assert found.request["num_inference_steps"] == 3
    assert found.request["negative_prompt"] == "dogs"
    assert (found.width, found.height) == (64, 64)


def test_n_images_have_urls_that_serve_them(client: openai.OpenAI, http: requests.Session) -> None:
    answer = client.images.generate(prompt="a cat", n=2, size="auto", response_format="url")
    assert answer.data
    assert len(answer.data) == 2
    for image in answer.data:
        assert image.b64_json is None
        assert http.get(image.url or "").headers["Content-Type"] == "image/png"


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_other_formats_carry_the_infotext_and_the_label(client: openai.OpenAI, kind: str) -> None:
    answer = client.images.generate(
        model="pocket", prompt="a red apple", size="64x64", output_format=kind, output_compression=90  # type: ignore[arg-type]
    )  # fmt: skip
    assert answer.data
    data = base64.b64decode(answer.data[0].b64_json or "")
    with Image.open(BytesIO(data)) as picture:
        assert picture.format == kind.upper()
    found = inspect(data)
    assert "a red apple" in (found.parameters or "")
    assert found.labels["ai_generated"] is True


def test_a_stream_shows_partial_images_and_ends_with_the_picture(client: openai.OpenAI) -> None:
    events = list(
        client.images.generate(
            model="pocket",
            prompt="!slow a cat",
            size="64x64",
            stream=True,
            partial_images=2,
            extra_body={"num_inference_steps": 8},
        )
    )
    kinds = [event.type for event in events]
    assert kinds[-1] == "image_generation.completed"
    assert 1 <= kinds.count("image_generation.partial_image") <= 2
    for event in events:
        with Image.open(BytesIO(base64.b64decode(event.b64_json))) as picture:
            assert picture.size == (64, 64)


def test_an_error_during_a_stream_reaches_the_client(client: openai.OpenAI) -> None:
    stream = client.images.generate(model="pocket", prompt="!error", size="64x64", stream=True)
    with pytest.raises(openai.APIError):
        list(stream)


def test_an_unknown_model_is_404_in_openais_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(model="dall-e-9", prompt="x")
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"style": "vivid"}, "style"),
        ({"quality": "hd"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"size": "12 by 12"}, "size"),
        ({"size": "65x64"}, "width"),
        ({"n": 11}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"partial_images": 9}, "partial_images"),
        ({"output_format": "gif"}, "output_format"),
        ({"extra_body": {"steps": 9}}, "steps"),
        ({"extra_body": {"seed": "x"}}, "seed"),
        ({"prompt": ""}, "prompt"),
    ],
)
def test_a_wrong_or_unsupported_parameter_is_refused_by_name(
    client: openai.OpenAI, wrong: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"model": "pocket", "prompt": "x", **wrong})  # type: ignore[call-overload]
    assert caught.value.param == param
    assert param in caught.value.message


def test_edits_say_what_is_missing(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="image-to-image"):
        client.images.edit(model="pocket", image=b"x", prompt="y")


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert "pocket" in [model.id for model in client.models.list()]
    assert client.models.retrieve("pocket").owned_by == "atelier"


def test_a_failed_picture_is_not_tried_again(service: RunningService, http: requests.Session) -> None:
    answer = http.post(f"{service.url}/v1/images/generations", json={"prompt": "!error", "size": "64x64"})
    assert answer.status_code == 500
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["type"] == "server_error"


def test_open_webui_and_an_empty_model_name_work(service: RunningService, http: requests.Session) -> None:
    asked = {"model": "", "prompt": "a cat", "n": 1, "size": "64x64", "response_format": "b64_json"}
    answer = http.post(f"{service.url}/v1/images/generations", data=json.dumps(asked))
    assert answer.json()["data"][0]["b64_json"]
