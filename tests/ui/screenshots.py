"""`python -m tests.ui.screenshots FOLDER --page URL`: every view × language × light and dark × desktop and phone.

Of each it draws a picture, asks axe, and looks for a horizontal scroll bar.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.ui.browser import DESKTOP, PHONE, chromium, visit

TABS = ("generate", "grid", "library", "queue", "inspect", "models")
LANGUAGES = ("en-US", "zh-CN")
SCHEMES = ("light", "dark")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
SETTLE_MS = 700


def main() -> None:
    """Write the pictures and say what is wrong with each."""
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
            kind = f"{language}-{scheme}-{size}"
            path = f"/?job={chosen.job}" if chosen.job else "/"
            options = {"color_scheme": scheme, "viewport": SIZES[size], "has_touch": size == "phone"}
            with visit(browser, chosen.page, locale=language, path=path, **options) as page:
                for view in views(page, chosen.file):
                    if chosen.only in f"{view}-{kind}":
                        page.screenshot(path=chosen.folder / f"{view}-{kind}.png", full_page=True)
                        print(f"{view}-{kind}: {overflow(page)} {violations(page)}", flush=True)


def views(page: Page, file: Path | None = None) -> Iterator[str]:
    """Shows every tab and the trash, one after the other; their names. `file` is a picture for the inspect tab."""
    for place, name in enumerate(TABS):
        page.locator("#at-tabs [role=tab]").nth(place).click()
        if name == "inspect" and file:
            page.locator("#at-inspect-file input[type=file]").set_input_files(file)
            page.wait_for_selector("#at-inspect .at-card")
        page.wait_for_timeout(SETTLE_MS)
        yield name
        if name == "library":
            page.locator("input[type=radio][value=thrown-away]").check()
            page.wait_for_selector("#at-library .at-trash")
            page.wait_for_timeout(SETTLE_MS)
            yield "trash"
            page.locator("input[type=radio][value=wall]").check()


def violations(page: Page) -> list[str]:
    """What axe finds, of any level."""
    return [
        f"{found['id']} ({found['impact']}): {[node['html'][:160] for node in found['nodes'][:3]]}"
        for found in Axe().run(page).response["violations"]
    ]


def overflow(page: Page) -> str:
    """Whether something is wider than the window."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return "fits" if wide <= window else f"TOO WIDE: {wide} > {window}"


if __name__ == "__main__":
    main()
