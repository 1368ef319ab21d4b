"""What happened to other programs of this kind, tried on a whole service."""

import base64
import hashlib
import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

from app.client import ImageServiceClient
from tests.running import ROOT, RunningService

KEY = "atl_canary-of-a-secret-key-that-must-be-nowhere-0123"
TEMPLATES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for x in range(9) %}a{% endfor %}",
    "{a} $$ {{b}}",
    "${os.system('id')} `id` $(id) %s {0.__class__}",
    "__import__('os').system('id') __colour__",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("incidents")
    keys = folder / "keys"
    keys.write_text(f"admin:{hashlib.sha256(KEY.encode()).hexdigest()}\n")
    keys.chmod(0o600)
    with RunningService(folder, API_KEYS_FILE=str(keys)) as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield session


def test_a_template_in_a_prompt_is_only_text(service: RunningService) -> None:
    with ImageServiceClient(service.url, KEY) as client:
        ids = [client.submit({"prompt": text, "width": 64, "height": 64}).id for text in TEMPLATES]
        for text, job_id in zip(TEMPLATES, ids, strict=True):
            job = client.wait(job_id)
            assert job.request.prompt == text
            told = client.inspect(client.image_bytes(job.images[0].id))
            assert (told.request or {})["prompt"] == text
    sources = " ".join(file.read_text("utf-8") for file in (ROOT / "app").rglob("*.py"))
    assert "jinja2" not in sources
    assert "render_template_string" not in sources


def test_no_address_in_a_request_is_ever_called(service: RunningService, http: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/cat.png"
        calls = [
            ("/sdapi/v1/img2img", {"prompt": "a cat", "init_images": [url], "mask": url}),
            ("/sdapi/v1/extra-single-image", {"image": url, "upscaling_resize": 2}),
            ("/sdapi/v1/extra-batch-images", {"imageList": [{"data": url, "name": "x"}]}),
            ("/sdapi/v1/png-info", {"image": url}),
            ("/sdapi/v1/txt2img", {"prompt": "a cat", "styles": [url], "override_settings": {"sd_vae": url}}),
            ("/v1/images/edits", {"prompt": "a cat", "image": url}),
            ("/v1/images/generations", {"prompt": "a cat", "size": "64x64", "image": url, "model": url}),
            ("/prompt", {"text": url, "num_images": 1, "seed": 0, "image": url}),
            ("/image/generate", {"prompt": url, "image": url}),
            ("/api/jobs", {"prompt": url, "model": url}),
            ("/api/inspect", {"url": url}),
        ]
        statuses = [http.post(service.url + path, json=body, timeout=60).status_code for path, body in calls]
        form = http.post(service.url + "/v1/images/edits", data={"prompt": "a cat", "image": url}, timeout=60)
        assert [status for status in [*statuses, form.status_code] if status >= 500 and status != 501] == []
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_a_key_is_in_no_picture_no_log_and_no_answer(service: RunningService, http: requests.Session) -> None:
    body = {"prompt": "a red apple", "width": 64, "height": 64}
    made = http.post(f"{service.url}/api/generate", json=body, timeout=60)
    png = http.get(service.url + made.json()["images"][0]["url"]).content
    answers = [made.content, png]
    for path in ("/api/status", "/api/jobs", "/api/models", "/metrics", "/api/no-such-address", "/sdapi/v1/options"):
        answers.append(http.get(service.url + path).content)
    answers.append(
        http.post(f"{service.url}/api/jobs", data=b"{", headers={"Content-Type": "application/json"}).content
    )
    http.get(f"{service.url}/api/status", params={"key": KEY})
    http.get(
        f"{service.url}/api/jobs", headers={"Authorization": "Basic " + base64.b64encode(f"x:{KEY}".encode()).decode()}
    )
    with Image.open(io.BytesIO(png)) as picture:
        answers.append(str(picture.info).encode())
    assert [answer for answer in answers if KEY.encode() in answer] == []
    kept: list[Path] = [path for path in service.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".png" for path in kept)
    assert any(path.suffix == ".log" for path in kept)
    assert [path.name for path in kept if KEY.encode() in path.read_bytes()] == []
