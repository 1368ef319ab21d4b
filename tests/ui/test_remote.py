"""A page whose service asks for a key, as one on another machine does."""

import hashlib
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.steps import generate

KEY = "a-key-that-only-this-test-knows"


def test_a_page_with_a_key_works_and_one_without_says_what_is_missing(browser: Browser, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"generate:{hashlib.sha256(KEY.encode()).hexdigest()}\n")
    keys.chmod(0o600)
    with (
        RunningService(tmp_path / "service", API_KEYS_FILE=str(keys)) as service,
        RunningPage(tmp_path / "with", service.url, API_KEY=KEY) as allowed,
        RunningPage(tmp_path / "without", service.url) as stranger,
    ):
        with visit(browser, allowed.url) as page:
            generate(page, "a red apple")
            expect(page.locator("#at-stage img").first).to_be_visible()
        with browser.new_context(locale="en-US") as visitor:
            page = visitor.new_page()
            page.goto(stranger.url)
            expect(page.locator("#at-header")).to_contain_text("key")
