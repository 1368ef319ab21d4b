"""What somebody sees first: a page that stands still, fits the screen, can be installed, and asks nobody else."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import RunningPage
from tests.ui.browser import DESKTOP, PHONE, context, opened
from tests.ui.steps import open_tab

pytestmark = pytest.mark.browser
MOST_SHIFT = 0.05  # of Cumulative Layout Shift, https://web.dev/articles/cls
WATCH_SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
  }).observe({ type: "layout-shift", buffered: true });
"""
TABS = "#at-tabs > .tab-wrapper [role=tab]"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_stands_still_from_the_first_moment_to_the_first_picture(
    browser: Browser, page_process: RunningPage, size: dict[str, int]
) -> None:
    with context(browser, viewport=size) as visitor:
        visitor.add_init_script(WATCH_SHIFTS)
        page = visitor.new_page()
        opened(page, page_process.url)
        expect(page.locator("#at-header")).to_contain_text("Online")
        expect(page.locator("#at-model-line")).to_contain_text("Speed")
        page.locator(".at-sample").first.click()  # one click draws that one
        expect(page.locator("#at-stage .at-job[data-state=succeeded]")).to_be_visible()
        assert page.locator("#at-prompt textarea").input_value() == "a red apple on a white table"
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("window.shifts.reduce((sum, each) => sum + each, 0)") <= MOST_SHIFT


def test_a_phone_shows_its_tabs_in_one_row_and_the_picture_under_the_button(
    browser: Browser, page_process: RunningPage
) -> None:
    with context(browser, viewport=PHONE, has_touch=True, is_mobile=True) as visitor:
        page = visitor.new_page()
        opened(page, page_process.url)
        tabs = [tab.bounding_box() for tab in page.locator(TABS).all()]
        assert len(tabs) == 7
        assert len({round(box["y"]) for box in tabs if box}) == 1
        assert page.evaluate(
            f"[...document.querySelectorAll('{TABS}')].every((tab) => tab.scrollWidth <= tab.clientWidth + 1)"
        )
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in tabs)
        button, stage = page.locator("#at-generate").bounding_box(), page.locator("#at-stage").bounding_box()
        assert button
        assert stage
        assert 0 <= stage["y"] - (button["y"] + button["height"]) < 40
        expect(page.get_by_label("number input for Steps")).to_be_hidden()


def test_a_browser_can_install_the_page_and_asks_no_other_machine(browser: Browser, page_process: RunningPage) -> None:
    asked: list[str] = []
    with context(browser) as visitor:
        visitor.on("request", lambda sent: asked.append(sent.url))
        page = visitor.new_page()
        opened(page, page_process.url)
        for name in ("Library", "Queue", "Inspect", "Models", "Image generation"):
            open_tab(page, name)
        line = visitor.new_cdp_session(page)
        told = line.send("Page.getAppManifest")
        assert told["errors"] == []
        assert '"standalone"' in told["data"]
        faults = {error["errorId"] for error in line.send("Page.getInstallabilityErrors")["installabilityErrors"]}
        assert faults <= {"in-incognito"}  # as each visitor of a test is
    own = (page_process.url + "/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_the_schedules_stand_beneath_their_samplers_and_all_are_searched(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^More")).click()
    field = page.get_by_label("Scheduler")
    field.click()
    options = page.get_by_role("option")
    assert options.count() > 60
    first = [text.strip().lstrip("✓").strip() for text in options.all_inner_texts()[:4]]
    assert first == ["default", "Euler a", "Euler a Uniform", "Euler a SGM Uniform"]
    inset = "(option) => parseFloat(getComputedStyle(option).paddingLeft)"
    assert options.nth(2).evaluate(inset) > options.nth(1).evaluate(inset)
    field.press("Control+a")
    field.press_sequentially("2m kar")
    expect(options).to_have_text([re.compile("DPM\\+\\+ 2M Karras")])
    field.press("Enter")
    expect(field).to_have_value("DPM++ 2M Karras")
