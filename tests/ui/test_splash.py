"""While Gradio's scripts are on their way the page can be used already: a sample that is clicked is drawn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from app.client import ImageServiceClient
from tests.running import RunningPage
from tests.ui.browser import DESKTOP, PHONE, context
from tests.ui.screenshots import violations

pytestmark = pytest.mark.browser
SAMPLE = "a red apple on a white table"
SCRIPTS = "**/assets/index-*.js"


@contextmanager
def without_scripts(visitor: BrowserContext, url: str) -> Iterator[tuple[Page, Callable[[], None]]]:
    """A page whose scripts of Gradio have not come yet, and what lets them come."""
    held: list[Route] = []
    let = False

    def hold(route: Route) -> None:
        route.continue_() if let else held.append(route)

    def come() -> None:
        nonlocal let
        let = True
        for route in held:
            route.continue_()
        held.clear()

    page = visitor.new_page()
    page.route(SCRIPTS, hold)
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#at-splash", state="attached")
    yield page, come


@pytest.fixture
def drawn(client: ImageServiceClient) -> Callable[[], int]:
    """How many jobs of the sample there are more than when the test began."""

    def count() -> int:
        return sum(job.request.prompt == SAMPLE for job in client.jobs(limit=50)[0])

    before = count()
    return lambda: count() - before


def ready(page: Page) -> None:
    """Wait until the whole page is shown."""
    page.wait_for_selector("#at-header .at-state")
    expect(page.locator("#at-splash")).to_have_count(0)


def test_a_sample_is_drawn_before_the_scripts_have_come(
    browser: Browser, page_process: RunningPage, drawn: Callable[[], int]
) -> None:
    with context(browser) as visitor, without_scripts(visitor, page_process.url) as (page, come):
        sample = page.locator(".at-sample").first
        sample.dblclick()
        picture = page.locator("#at-splash .at-picture img")
        expect(picture).to_be_visible()
        expect(page.get_by_role("button", name="Delete")).to_be_hidden()  # which the page has to be there for
        shown = page.locator("#at-splash .at-job").get_attribute("data-job")
        come()
        ready(page)
        expect(page.locator("#at-stage .at-job[data-state=succeeded]")).to_have_attribute("data-job", shown or "")
        expect(page.locator("#at-prompt textarea")).to_have_value(SAMPLE)
        expect(page.locator("#at-stage").get_by_role("button", name="Delete")).to_be_visible()
        expect(page.locator("#at-history .at-picture").first).to_be_visible()
        assert drawn() == 1
        page.reload()
        ready(page)
        expect(page.locator("#at-stage .at-job")).to_have_attribute("data-job", shown or "")


def test_what_was_begun_goes_on_when_the_scripts_have_come(
    browser: Browser, page_process: RunningPage, client: ImageServiceClient, drawn: Callable[[], int]
) -> None:
    with context(browser) as visitor, without_scripts(visitor, page_process.url) as (page, come):
        client.set_paused(True)
        try:
            page.locator(".at-sample").first.click()
            expect(page.locator("#at-splash .at-job[data-state=queued]")).to_be_visible()
            come()
            ready(page)
            expect(page.locator("#at-stage .at-job[data-state=queued]")).to_be_visible()
        finally:
            client.set_paused(False)
        expect(page.locator("#at-stage .at-job[data-state=succeeded]")).to_be_visible()
        assert drawn() == 1


def test_a_sample_that_could_not_be_begun_is_begun_by_the_page(
    browser: Browser, page_process: RunningPage, drawn: Callable[[], int]
) -> None:
    with context(browser) as visitor, without_scripts(visitor, page_process.url) as (page, come):
        page.route("**/atelier/begin", lambda route: route.abort())
        page.locator(".at-sample").first.click()
        come()
        ready(page)
        expect(page.locator("#at-stage .at-job[data-state=succeeded]")).to_be_visible()
        assert drawn() == 1


def test_the_samples_are_in_the_readers_language_and_stand_where_the_page_will_have_them(
    browser: Browser, page_process: RunningPage
) -> None:
    first = "document.querySelector('.at-sample').getBoundingClientRect().toJSON()"
    with (
        context(browser, locale="zh-CN") as visitor,
        without_scripts(visitor, page_process.url) as (page, come),
    ):
        expect(page.locator(".at-sample").first).to_be_visible()
        expect(page.locator(".at-sample").first).to_contain_text("苹果")
        before = page.evaluate(first)
        come()
        ready(page)
        after = page.evaluate(first)
        assert all(abs(before[side] - after[side]) <= 3 for side in ("x", "y", "width"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everyone_can_use_the_samples(
    browser: Browser, page_process: RunningPage, scheme: Literal["light", "dark"], size: dict[str, int]
) -> None:
    with (
        context(browser, viewport=size, color_scheme=scheme) as visitor,
        without_scripts(visitor, page_process.url) as (page, _),
    ):
        page.keyboard.press("Tab")
        expect(page.locator(".at-sample").first).to_be_focused()
        assert violations(page) == []
        page.keyboard.press("Enter")
        expect(page.locator("#at-splash .at-picture img")).to_be_visible()
        assert violations(page) == []


@pytest.mark.parametrize("path", ["/?tab=library", "/?job=1", "/?prompt=a+cat"])
def test_who_comes_for_something_else_sees_no_samples_first(
    browser: Browser, page_process: RunningPage, path: str
) -> None:
    with context(browser) as visitor, without_scripts(visitor, page_process.url + path) as (page, _):
        expect(page.locator("#at-splash")).to_be_hidden()


def test_who_was_here_before_sees_no_samples_first(browser: Browser, page_process: RunningPage) -> None:
    with context(browser) as visitor:
        with without_scripts(visitor, page_process.url) as (page, come):
            page.locator(".at-sample").first.click()
            expect(page.locator("#at-splash .at-picture img")).to_be_visible()
            come()
        with without_scripts(visitor, page_process.url) as (other, _):
            expect(other.locator("#at-splash")).to_be_hidden()


@pytest.mark.parametrize("body", ["", "[]", "{", '{"prompt": ""}', '{"prompt": "a cat", "width": 1e400}'])
def test_what_is_no_form_begins_nothing(page_process: RunningPage, body: str) -> None:
    answer = requests.post(f"{page_process.url}/atelier/begin", data=body, timeout=20)
    assert answer.status_code == 422
    assert answer.json()["job"] is None
    assert 'class="at-notice' in answer.json()["stage"]


def test_a_job_that_nobody_began_is_shown_as_none(page_process: RunningPage) -> None:
    answer = requests.get(f"{page_process.url}/atelier/begun/no-such-job", timeout=20)
    assert answer.json()["busy"] is False
    assert "at-job" not in answer.json()["stage"]
