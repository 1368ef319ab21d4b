"""Everything a person needs, without a mouse."""

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from tests.ui.steps import until

pytestmark = pytest.mark.browser
FARTHEST = 150  # presses of Tab that bring one around the page


def go_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on such an element."""
    for _ in range(FARTHEST):
        if page.evaluate("wanted => document.activeElement?.matches(wanted) ?? false", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no key leads to {selector}")


def test_the_keyboard_alone_makes_finds_compares_deletes_and_restores_a_picture(
    page: Page, client: ImageServiceClient
) -> None:
    keys = page.keyboard
    for number in (1, 2):
        go_to(page, "#at-prompt textarea")
        keys.press("Control+A")
        keys.type(f"by hand and key {number}")
        keys.press("Control+Enter")
        expect(page.locator("#at-stage .at-job")).to_contain_text(f"by hand and key {number}")
        until(page, "succeeded")

    go_to(page, "#at-tabs [role=tab]:nth-child(3)")
    keys.press("Enter")
    go_to(page, "#at-search textarea, #at-search input")
    keys.type("by hand and key")
    cells = page.locator("#at-library .at-cell")
    expect(cells).to_have_count(2)

    go_to(page, "#at-library [data-pick]")
    keys.press("Space")
    keys.press("Tab")
    go_to(page, "#at-library [data-pick]")
    keys.press("Space")
    go_to(page, "[data-compare]")
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("table")).to_contain_text("by hand and key 1")
    go_to(page, ".at-compare-slider")
    keys.press("ArrowRight")
    keys.press("Escape")
    expect(dialog).to_have_count(0)

    go_to(page, "#at-library [data-zoom]")
    keys.press("Enter")
    expect(dialog).to_be_visible()
    keys.press("Delete")
    go_to(page, "dialog .at-danger")
    keys.press("Enter")
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    expect(cells).to_have_count(1)

    for view, shown in (("wall", ".at-group"), ("by-prompt", "[data-deleted]")):
        go_to(page, f"input[type=radio][value={view}]")
        keys.press("ArrowRight")
        expect(page.locator(f"#at-library {shown}")).to_have_count(1)
    deleted = page.locator("#at-library [data-deleted]")
    expect(deleted).to_have_count(1)
    expect(deleted).to_contain_text("7 days left")
    page.wait_for_function("document.querySelector('[data-deleted] img').naturalWidth > 0")
    go_to(page, "[data-act=untrash]")
    keys.press("Enter")
    expect(deleted).to_have_count(0)
    assert len(client.images(q="by hand and key")[0]) == 2
