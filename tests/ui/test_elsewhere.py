"""For readers of another language, for those who look elsewhere while a picture is drawn, and for old prompts."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from app.ui.strings import CHINESE, Strings
from tests.running import RunningPage
from tests.ui.browser import visit
from tests.ui.steps import generate, until, write

HIDDEN = "Object.defineProperty(document, 'hidden', { get: () => window.away === true });"
# Chromium without a screen has no notifications: this keeps what would be shown.
NOTIFIED = """
window.told = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static requestPermission() { this.permission = "granted"; return Promise.resolve("granted"); }
  constructor(title, { body }) { super(); window.told.push([title, body]); }
};
"""


class _Request:
    def __init__(self, **headers: str) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    ("cookie", "language"),
    [
        ("atelier-language=zh-CN", "zh-CN"),
        ("a=b; atelier-language=en", "en"),
        ("atelier-language=fr", "en"),
        ("", "en"),
    ],
)
def test_a_chosen_language_goes_before_that_of_the_browser(cookie: str, language: str) -> None:
    request: Any = _Request(cookie=cookie, **{"accept-language": "de"})
    assert Strings().for_request(request).language == language


@pytest.mark.browser
def test_the_language_is_switched_in_the_page_and_stays(page: Page, page_process: RunningPage) -> None:
    write(page, "a prompt that stays")
    page.get_by_role("button", name="中文").click()
    chinese = Strings().words(CHINESE)
    expect(page.locator("#at-header")).to_contain_text(chinese("service_online"))
    expect(page.locator("#at-generate")).to_contain_text(chinese("generate"))
    expect(page.locator("#at-prompt textarea")).to_have_value("a prompt that stays")
    page.goto(page_process.url)
    expect(page.locator("#at-generate")).to_contain_text(chinese("generate"))
    page.get_by_role("button", name="English").click()
    expect(page.locator("#at-header")).to_contain_text("Online")


@pytest.mark.browser
def test_prompts_that_were_drawn_come_back_with_alt_and_the_arrows(page: Page) -> None:
    for prompt in ("first of all", "second of all"):
        generate(page, prompt)
        until(page, "succeeded")
    write(page, "not drawn yet")
    field = page.locator("#at-prompt textarea")
    for key, prompt in (
        ("ArrowUp", "second of all"),
        ("ArrowUp", "first of all"),
        ("ArrowUp", "first of all"),
        ("ArrowDown", "second of all"),
        ("ArrowDown", "not drawn yet"),
    ):
        field.press(f"Alt+{key}")
        expect(field).to_have_value(prompt)


@pytest.mark.browser
def test_whoever_looks_elsewhere_is_told_when_the_picture_is_done(
    browser: Browser, page_process: RunningPage, client: ImageServiceClient
) -> None:
    client.set_paused(True)
    try:
        with visit(browser, page_process.url) as page:
            page.evaluate(f"{HIDDEN}{NOTIFIED}null")
            generate(page, "a long one")
            expect(page).to_have_title("0 % · Atelier")
            page.get_by_role("button", name="Notify me").click()
            expect(page.get_by_role("button", name="Notify me")).to_have_count(0)
            page.evaluate("window.away = true")
            client.set_paused(False)
            until(page, "succeeded")
            expect(page).to_have_title("✓ · Atelier")
            assert page.evaluate("window.told") == [["✓ Done", "a long one"]]
            page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
            expect(page).to_have_title("Atelier")
    finally:
        client.set_paused(False)
