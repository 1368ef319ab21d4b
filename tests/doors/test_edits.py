"""Instructions about one picture or several through every door, by each client's own call."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import requests
import webuiapi
from PIL import Image

from app.cli.main import main
from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import GenerationRequest
from app.ui.tool_pictures import with_pictures
from tests.running import RunningService

EDITOR = "editor"
ORDER = "make the first like the second"


@pytest.fixture(scope="module", autouse=True)
def editor(service: RunningService) -> Iterator[None]:
    """A model that changes one picture as it is told, and looks at two more, lies in the models folder."""
    folder = Path(service.environment["ATELIER_MODELS_FOLDER"]) / EDITOR
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "QwenImageEditPlusPipeline"}))
    yield
    shutil.rmtree(folder)


@pytest.fixture
def client(service: RunningService) -> Iterator[ImageServiceClient]:
    with ImageServiceClient(service.url) as client:
        yield client


@pytest.fixture
def saved(client: ImageServiceClient) -> list[str]:
    """Two pictures of the library, the first one wide."""
    wanted = [{"prompt": "a room", "width": 192, "height": 128}, {"prompt": "a sofa"}]
    return [client.generate(request).images[0].id for request in wanted]


def newest(client: ImageServiceClient) -> GenerationRequest:
    [image], _ = client.images(limit=1)
    return GenerationRequest.model_validate(image.recipe["request"])


def roles(request: GenerationRequest) -> list[str]:
    return [item.role.value for item in request.inputs]


def test_the_openai_sdk_edits_by_several_pictures_and_each_is_a_parent(
    service: RunningService, client: ImageServiceClient, saved: list[str]
) -> None:
    files = [(f"{place}.png", client.image_bytes(image)) for place, image in enumerate(saved)]
    http = httpx.Client(trust_env=False)
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, http_client=http) as sdk:
        sdk.images.edit(image=files, prompt=ORDER, model=EDITOR)
        made = newest(client)
        # No size was said: it has that of the picture that is changed.
        assert (made.task, roles(made), made.width, made.height) == ("edit", ["image", "reference"], 192, 128)
        assert made.strength is None
        [image], _ = client.images(limit=1)
        parents = client.chain(image.id).made_from
        assert [(parent.role, parent.image_id) for parent in parents] == list(zip(roles(made), saved, strict=True))
        streamed = list(sdk.images.edit(image=files[0], prompt=ORDER, model=EDITOR, size="256x256", stream=True))
        assert streamed[-1].type == "image_edit.completed"
        assert (roles(newest(client)), newest(client).width) == (["image"], 256)
        wrongs: list[dict[str, Any]] = [{"image": files * 2}, {"extra_body": {"strength": 0.5}}, {"mask": files[1]}]
        for wrong, param in zip(wrongs, ("image", "strength", "mask"), strict=True):
            with pytest.raises(openai.BadRequestError) as refused:
                sdk.images.edit(**({"image": files[0], "prompt": ORDER, "model": EDITOR} | wrong))
            assert refused.value.param == param


def test_a1111s_clients_edit_with_img2img(
    service: RunningService, client: ImageServiceClient, saved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=service.port)
    pictures = [Image.open(io.BytesIO(client.image_bytes(image))) for image in saved]
    said = {"override_settings": {"sd_model_checkpoint": EDITOR}, "width": 128, "height": 64}
    made = api.img2img(images=pictures, prompt=ORDER, **said)
    assert made.image.size == (128, 64)
    assert "denoising_strength was not used" in made.info["comments"]
    assert (newest(client).task, roles(newest(client))) == ("edit", ["image", "reference"])
    body = {"init_images": [webuiapi.b64_img(picture) for picture in pictures], "prompt": ORDER}
    with requests.Session() as http:
        http.trust_env = False
        refused = http.post(f"{service.url}/sdapi/v1/img2img", json=body, timeout=60)
    assert (refused.status_code, "looks at several" in refused.text) == (422, True)


def test_the_command_line_and_assistants_name_several_pictures(
    service: RunningService, client: ImageServiceClient, saved: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    files = [tmp_path / f"{image}.png" for image in saved]
    for file in files:
        file.write_bytes(client.image_bytes(file.stem))
    out = ["--out", str(tmp_path / "out.png"), "--overwrite"]
    words = ["generate", ORDER, "--url", service.url, "--model", EDITOR, *out]
    assert main([*words, "--from", str(files[0]), "--edit"]) == 0
    assert (newest(client).task, roles(newest(client)), newest(client).width) == ("edit", ["image"], 192)
    assert main([*words, "--from", str(files[0]), "--from", str(files[1])]) == 0
    by_files = newest(client)
    assert roles(by_files) == ["image", "reference"]
    assert main([*words, "--edit"]) != 0
    assert "--edit" in capsys.readouterr().err
    told = with_pictures(client, EDITOR, ", ".join(saved), "")
    assert [item["sha256"] for item in told["inputs"]] == [item.sha256 for item in by_files.inputs]
    assert client.generate({"prompt": ORDER, "model": EDITOR, "seed": by_files.seed, **told}).images
    held = with_pictures(client, "", saved[0], f"edges={saved[1]}")
    assert (held["task"], held["control"][0]["model"]) == ("image", "edges")
    with pytest.raises(ServiceError):
        with_pictures(client, "", "no-such-picture", "")
