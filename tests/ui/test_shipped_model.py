"""Pictures of the model that is shipped, from the page and a client to the file: nothing in between is a stand-in."""

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, expect

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.steps import generate, picture_is_there, until

pytestmark = [pytest.mark.browser, pytest.mark.model]


def is_no_noise(data: bytes) -> bool:
    """Most of what the picture shows is still there when it is blurred."""
    with Image.open(BytesIO(data)) as opened:
        small = opened.convert("L").resize((128, 128))
    return edges(small.filter(ImageFilter.GaussianBlur(2))) > 0.15 * edges(small) > 0


def edges(picture: Image.Image) -> float:
    """How much each pixel differs from its neighbours, on average."""
    pixels = picture.tobytes()
    return sum(abs(a - b) for a, b in pairwise(pixels)) / len(pixels)


def test_the_shipped_model_draws_a_picture_that_appears_on_the_page_and_every_size_that_clients_ask_for(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests use the other cores
    with (
        RunningService(tmp_path / "service", ENGINE="local") as service,
        RunningPage(tmp_path / "page", service.url) as process,
        visit(browser, process.url) as page,
        ImageServiceClient(service.url) as client,
    ):
        job = generate(page, "a red apple on a white table")
        card = until(page, "succeeded", timeout_s=120)
        picture_is_there(page)
        expect(card.locator(".at-facts")).to_contain_text("pocket")
        image = client.job(job).images[0]
        assert client.image(image.id).recipe["request"]["prompt"].startswith("a red apple")
        assert is_no_noise(client.image_bytes(image.id))
        for size in ("512x512", "1792x1024"):
            body = {"model": "dall-e-3", "prompt": "a red apple on a white table", "size": size}
            made = requests.post(f"{service.url}/v1/images/generations", json=body, timeout=120).json()
            png = requests.get(made["data"][0]["url"], timeout=60).content
            with Image.open(BytesIO(png)) as opened:
                assert f"{opened.width}x{opened.height}" == size
            assert is_no_noise(png)
