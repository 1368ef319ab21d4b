"""The official `openai` client against a running service."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import openai
import pytest
import requests
from PIL import Image

from app.catalog import Catalog
from app.core.errors import UnknownModel
from app.core.settings import Settings
from app.picture.png import inspect
from app.service.foreign.aliases import entry_for
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
        model="pocket", prompt="a red apple", size="64x64", output_format=kind, output_compression=90
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
        client.images.generate(model="midjourney", prompt="x")
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"style": "cubist"}, "style"),
        ({"quality": "best"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"size": "12 by 12"}, "size"),
        ({"size": "65x64"}, "size"),
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
        client.images.generate(**{"model": "pocket", "prompt": "x", **wrong})
    assert caught.value.param == param
    assert param in caught.value.message


def test_an_edit_of_what_is_no_picture_says_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="one still PNG, JPEG or WebP picture") as caught:
        client.images.edit(model="pocket", image=b"x", prompt="y")
    assert caught.value.param == "image"


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_url_leads_to_the_format_that_was_asked_for(client: openai.OpenAI, http: requests.Session, kind: str) -> None:
    answer = client.images.generate(
        prompt="a cat", size="64x64", output_format=kind, output_compression=50, response_format="url"
    )  # fmt: skip
    assert answer.data
    picture = http.get(answer.data[0].url or "")
    assert picture.headers["Content-Type"] == f"image/{kind}"
    with Image.open(BytesIO(picture.content)) as opened:
        assert opened.format == kind.upper()
    assert http.get(f"{answer.data[0].url}0").status_code == 400


def test_an_answer_says_which_job_and_model_it_was(service: RunningService, client: openai.OpenAI) -> None:
    answer = client.images.generate(model="gpt-image-1", prompt="a cat", size="64x64", quality="low", n=10)
    assert len(answer.data or []) == 10
    ours = answer.to_dict()["atelier"]
    assert isinstance(ours, dict)
    assert ours["notes"] == [
        "gpt-image-1 is answered by the model pocket here",
        "quality low is 1 steps here; this model's own number is 2",
    ]
    job = requests.get(f"{service.url}/api/jobs/{ours['job_id']}", timeout=30).json()
    assert job["request"]["num_inference_steps"] == 1
    own = client.images.generate(prompt="a cat", size="64x64", quality="hd", extra_body={"num_inference_steps": 3})
    [note] = own.to_dict()["atelier"]["notes"]
    assert note == "quality hd is 3 steps here; this model's own number is 2"


def test_a_model_that_is_not_installed_is_not_offered_and_refused(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["pocket"]
    with pytest.raises(openai.ConflictError, match="Installed are: pocket") as refused:
        client.images.generate(model="sdxl-turbo", prompt="a cat")
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_idempotency_key_has_a_length(service: RunningService, http: requests.Session) -> None:
    for key, status in (("x" * 200, 200), ("x" * 201, 400), ("a b", 400)):
        answer = http.post(
            f"{service.url}/v1/images/generations",
            json={"prompt": "a cat", "size": "64x64"},
            headers={"Idempotency-Key": key},
        )
        assert answer.status_code == status, key


@pytest.mark.parametrize(
    ("aliases", "name", "model"),
    [
        ("dall-e-*", "dall-e-3", "pocket"),
        ("dall-e-3 = other , dall-e-*", "dall-e-3", "other"),
        ("dall-e-3 = other , dall-e-*", "dall-e-2", "pocket"),
        ("*=other", "pocket", "pocket"),
        ("", "dall-e-3", None),
        ("dall-e-3=gone", "dall-e-3", None),
    ],
)
def test_the_owners_table_says_which_model_answers_to_a_name(
    tmp_path: Path, aliases: str, name: str, model: str | None
) -> None:
    (tmp_path / "catalog.toml").write_text('[pocket]\ntitle = "Pocket"\n[other]\ntitle = "Other"\n')
    settings = Settings(models_folder=tmp_path, model_aliases=aliases)
    if model is None:
        with pytest.raises(UnknownModel):
            entry_for(Catalog(settings), settings, name)
    else:
        assert entry_for(Catalog(settings), settings, name).key == model


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
