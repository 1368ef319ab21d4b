"""`python -m tests.ui.screenshots FOLDER --page URL`: every tab × language × light and dark × desktop and phone."""

import argparse
import itertools
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.ui.browser import DESKTOP, PHONE, chromium, visit

TABS = ("generate", "library", "queue", "inspect", "models")
LANGUAGES = ("en-US", "zh-CN")
SCHEMES = ("light", "dark")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
SETTLE_MS = 1200


def main() -> None:
    """Write the pictures and say where there is a horizontal scroll bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", required=True, help="a running page")
    parser.add_argument("--only", default="", help="part of the names to take")
    parser.add_argument("--job", default="", help="the job that the generate tab shows")
    parser.add_argument("--file", type=Path, help="a picture for the inspect tab")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for language, scheme, size in itertools.product(LANGUAGES, SCHEMES, SIZES):
            for tab in TABS:
                name = f"{tab}-{language}-{scheme}-{size}"
                if chosen.only in name:
                    take(browser, chosen, name, tab, language, scheme, size)


def take(
    browser: Browser, chosen: argparse.Namespace, name: str, tab: str, language: str, scheme: str, size: str
) -> None:
    """One picture of the whole page."""
    path = f"/?tab={tab}" + (f"&job={chosen.job}" if chosen.job else "")
    options = {"color_scheme": scheme, "viewport": SIZES[size], "has_touch": size == "phone"}
    with visit(browser, chosen.page, locale=language, path=path, **options) as page:
        if tab == "inspect" and chosen.file:
            page.locator("#at-inspect-file input[type=file]").set_input_files(chosen.file)
            page.wait_for_selector("#at-inspect .at-card")
        page.wait_for_timeout(SETTLE_MS)
        page.screenshot(path=chosen.folder / f"{name}.png", full_page=True)
        print(f"{name}: {overflow(page)}")


def overflow(page: Page) -> str:
    """Whether something is wider than the window."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return "fits" if wide <= window else f"TOO WIDE: {wide} > {window}"


if __name__ == "__main__":
    main()
