"""The network drops while a picture is made: between browser and page, and between page and service."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.cut_line import line_to
from tests.ui.steps import SLOW, generate, picture_is_there, until, until_step

pytestmark = pytest.mark.browser
PATIENCE_S = 60


def test_a_browser_that_was_offline_in_mid_job_shows_the_picture_by_itself(page: Page) -> None:
    job = generate(page, f"offline for a while {SLOW}", steps=30)
    until_step(page, 2)
    page.context.set_offline(True)
    page.wait_for_timeout(2000)  # the page goes on asking into the void
    page.context.set_offline(False)
    until(page, "succeeded", timeout_s=PATIENCE_S)
    assert page.locator("#at-stage .at-job").get_attribute("data-job") == job
    picture_is_there(page)
    expect(page.locator("#at-header")).to_contain_text("Online")


def test_a_line_cut_again_and_again_between_page_and_service_costs_no_picture(
    browser: Browser, service: RunningService, tmp_path: Path
) -> None:
    with line_to(service.port) as line, RunningPage(tmp_path, line.url) as running, visit(browser, running.url) as page:
        page.evaluate("window.sameDocument = true")
        job = generate(page, f"cut the line {SLOW}", steps=70)
        until_step(page, 2)
        for _ in range(2):
            line.cut()
            expect(page.locator("#at-header")).to_contain_text("Service not running")
            line.mend()
            expect(page.locator("#at-header")).to_contain_text("Online")
        until(page, "succeeded", timeout_s=PATIENCE_S)
        assert page.locator("#at-stage .at-job").get_attribute("data-job") == job
        picture_is_there(page)
        assert page.evaluate("window.sameDocument")
