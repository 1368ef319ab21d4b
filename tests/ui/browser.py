"""Debian's chromium, driven as a person would drive it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 20_000  # a machine that is busy with other tests is slow, not broken
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser that ends with the block."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, *, locale: str = "en-US", path: str = "/", **options: Any) -> Iterator[Page]:
    """A fresh visitor's page, opened and ready to be used."""
    with context(browser, locale=locale, **options) as visitor:
        page = visitor.new_page()
        opened(page, url + path)
        yield page


@contextmanager
def context(browser: Browser, *, locale: str = "en-US", **options: Any) -> Iterator[BrowserContext]:
    """A fresh visitor: own storage, own language."""
    options.setdefault("viewport", DESKTOP)
    made = browser.new_context(locale=locale, **options)
    made.set_default_timeout(PATIENCE_MS)
    try:
        yield made
    finally:
        made.close()


def opened(page: Page, url: str) -> None:
    """Go there and wait until the page has its words and its model."""
    page.goto(url)
    page.wait_for_selector("#at-header .at-state")
