"""Every view of the page, and what is wrong with how it looks; `python -m benchmarks.screens` looks at all of them."""

from collections.abc import Collection, Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TABS = ("generate", "describe", "grid", "library", "queue", "inspect", "models")
SETTLE_MS = 300


def views(page: Page, file: Path | None = None, tabs: Collection[str] = TABS) -> Iterator[str]:
    """Shows the tabs and the trash, one after the other; their names. `file` is a picture for the inspect tab."""
    for place, name in enumerate(TABS):
        if name not in tabs:
            continue
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
    """What axe finds, of any level; and whether something is wider than the window."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    found = [f"too wide: {wide} > {window}"] if wide > window else []
    return found + [
        f"{found['id']} ({found['impact']}): {[node['html'][:160] for node in found['nodes'][:3]]}"
        for found in Axe().run(page).response["violations"]
    ]
