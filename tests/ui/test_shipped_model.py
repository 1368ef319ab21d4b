"""One picture with the model that is shipped, from the page to the file: nothing in between is a stand-in."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.steps import generate, picture_is_there, until

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_the_shipped_model_draws_a_picture_that_appears_on_the_page(browser: Browser, tmp_path: Path) -> None:
    with (
        RunningService(tmp_path / "service", ENGINE="local") as service,
        RunningPage(tmp_path / "page", service.url) as process,
        visit(browser, process.url) as page,
    ):
        job = generate(page, "a red apple on a white table")
        card = until(page, "succeeded", timeout_s=120)
        picture_is_there(page)
        expect(card.locator(".at-facts")).to_contain_text("pocket")
        image = ImageServiceClient(service.url).job(job).images[0]
        assert ImageServiceClient(service.url).image(image.id).recipe["request"]["prompt"].startswith("a red apple")
