"""What a browser remembers: words that were not sent yet, and the jobs of all its tabs."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from tests.running import RunningPage
from tests.ui.browser import ARGUMENTS, CHROMIUM, PATIENCE_MS, context, opened
from tests.ui.steps import SLOW, generate, set_number, write

pytestmark = pytest.mark.browser


def filled(page: Page) -> None:
    """The page has its model, so whatever it remembered is in its fields."""
    expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))


def test_words_and_settings_that_were_not_sent_survive_a_reload(page: Page) -> None:
    filled(page)
    write(page, "not sent yet", steps=17)
    page.get_by_label("Negative prompt").fill("no hats")
    set_number(page, "Seed", 99)
    page.get_by_role("radio", name="16:9").check()
    expect(page.get_by_label("Width")).not_to_have_value("128")
    width = page.get_by_label("Width").input_value()
    page.wait_for_function("width => JSON.parse(sessionStorage['atelier-draft']).width == width", arg=width)
    page.reload()
    filled(page)
    expect(page.locator("#at-prompt textarea")).to_have_value("not sent yet")
    expect(page.get_by_label("Negative prompt")).to_have_value("no hats")
    expect(page.get_by_label("number input for Steps")).to_have_value("17")
    expect(page.get_by_label("Seed (-1 = random)")).to_have_value("99")
    expect(page.get_by_label("Width")).to_have_value(width)


def test_no_draft_is_lost_to_reloads_and_second_tabs(browser: Browser, page_process: RunningPage) -> None:
    """`python -m benchmarks.drafts` does so a hundred times, with crashes, too."""
    with context(browser) as visitor:
        tabs: dict[str, Page] = {}
        for text in ("of the first tab", "of the second tab"):
            tabs[text] = visitor.new_page()
            opened(tabs[text], page_process.url)
            filled(tabs[text])
            tabs[text].locator("#at-prompt textarea").fill(text)
        for text, tab in tabs.items():  # each its own, whoever wrote last
            tab.reload()
            expect(tab.locator("#at-prompt textarea")).to_have_value(text)


def test_a_new_tab_begins_with_the_latest_draft_of_a_browser_that_was_closed(
    tmp_path: Path, page_process: RunningPage, browser: Browser
) -> None:
    for text in ("from the life before", None):
        kept = browser.browser_type.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=list(ARGUMENTS), locale="en-US"
        )
        kept.set_default_timeout(PATIENCE_MS)
        tab = kept.new_page()
        opened(tab, page_process.url)
        filled(tab)
        if text:
            write(tab, text)
        else:
            expect(tab.locator("#at-prompt textarea")).to_have_value("from the life before")
        kept.close()


def test_two_tabs_of_one_browser_know_each_others_jobs(
    browser: Browser, page_process: RunningPage, client: ImageServiceClient
) -> None:
    with context(browser) as visitor:
        first, second = visitor.new_page(), visitor.new_page()
        for tab in (first, second):
            opened(tab, page_process.url)
            filled(tab)
        texts = (f"of the first tab {SLOW}", f"of the second tab {SLOW}")
        jobs = [generate(tab, text, steps=60) for tab, text in zip((first, second), texts, strict=True)]
        expect(first.locator("#at-stage .at-chip", has_text="of the second tab")).to_be_visible()
        expect(second.locator("#at-stage .at-chip", has_text="of the first tab")).to_be_visible()
        first.reload()
        expect(first.locator("#at-stage .at-job")).to_contain_text("of the first tab")
        expect(first.locator("#at-stage .at-chip", has_text="of the second tab")).to_be_visible()
        for job in jobs:
            client.cancel(job)
