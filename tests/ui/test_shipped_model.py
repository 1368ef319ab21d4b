"""Pictures of the model that is shipped, from the page and a client to the file, and what the shipped captioner makes
of them: nothing in between is a stand-in."""

import re
import time
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.steps import generate, open_tab, picture_is_there, until

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


def it_is_described(page: Page, image_id: str) -> None:
    """The newest pictures stand beside the drop zone; a press says what one shows."""
    open_tab(page, "Describe")
    page.locator(f"#at-describe-saved [data-id='{image_id}']").click()
    card = page.locator("#at-describe .at-card")
    expect(card).to_contain_text("pocket-captioner", timeout=60_000)
    expect(card.locator(".at-prompt")).to_have_text(re.compile(r"\w+ \w+"))


def it_is_the_first_of_those_like_it(page: Page, client: ImageServiceClient, image_id: str) -> None:
    """`More like this` in the lightbox, once the engine had the time to look at it."""
    open_tab(page, "Library")
    page.locator(f"#at-library [data-start-from='{image_id}']").click()
    page.get_by_role("dialog").get_by_role("button", name="More like this").click()
    search = page.get_by_label("Search prompts")
    expect(search).to_have_value(f"like:{image_id}")
    deadline = time.monotonic() + 60
    while image_id not in {found.id for found in client.images(like=image_id)[0]}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    search.press("Enter")
    first = page.locator("#at-library .at-cell").first.locator(".at-picture")
    expect(first).to_have_attribute("data-start-from", image_id)


def test_the_shipped_models_draw_describe_and_find_on_the_page_and_make_every_size_that_clients_ask_for(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests use the other cores
    with (
        RunningService(tmp_path / "service", ENGINE="local", FIND_MODEL="pocket-captioner") as service,
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
        it_is_described(page, image.id)
        it_is_the_first_of_those_like_it(page, client, image.id)
