"""A person without a mouse: every key is really pressed, and at each step it is seen where the focus is."""

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient

MOST_PRESSES = 200
# What is wrong with where the focus is: it must be drawn, within the window, and under nothing else.
WRONG = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return "nothing has the focus";
  const name = `${at.tagName} ${at.id || at.getAttribute("aria-label") || at.className}`;
  const shown = at.closest("label:has(.at-hidden:focus)") ?? at, look = getComputedStyle(shown);
  if (look.outlineStyle === "none" || parseFloat(look.outlineWidth) < 2) return `${name} does not look focused`;
  for (let part = shown; part; part = part.parentElement) {
    if (getComputedStyle(part).opacity === "0") return `${name} is transparent`;
  }
  const { left, right, top, bottom } = shown.getBoundingClientRect();
  if (right - left < 4 || bottom - top < 4) return `${name} has no size`;
  const [x, y] = [(left + right) / 2, (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2];
  const seen = document.elementFromPoint(x, y);
  if (!seen) return `${name} is outside of the window`;
  return shown.contains(seen) || seen.contains(shown) ? null : `${name} lies under ${seen.tagName} ${seen.className}`;
}"""


def go(page: Page, selector: str, key: str = "Tab") -> None:
    """Press the key until the focus is there; say where it could not be seen on the way."""
    for _ in range(MOST_PRESSES):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
        wrong = page.evaluate(WRONG)
        assert wrong is None, f"on the way to {selector}: {wrong}"
    raise AssertionError(f"{MOST_PRESSES} times {key} do not lead to {selector}")


def make(page: Page, prompt: str) -> None:
    """Write a prompt, go to Generate, press it, wait for the picture."""
    page.keyboard.type(prompt)
    go(page, "#at-generate")
    page.keyboard.press("Enter")
    card = page.locator("#at-stage .at-job[data-state=succeeded]").filter(has_text=prompt)
    expect(card.locator(".at-picture img")).to_be_visible()


@pytest.mark.browser
def test_the_keyboard_alone_makes_finds_compares_deletes_and_restores_a_picture(
    page: Page, client: ImageServiceClient
) -> None:
    page.emulate_media(reduced_motion="reduce")  # nothing fades in while it is looked at
    page.wait_for_function("document.activeElement.matches('#at-prompt textarea')")
    make(page, "one of two for the keys")
    go(page, "#at-prompt textarea", "Shift+Tab")
    page.keyboard.press("Control+a")
    make(page, "the other of two for the keys")
    # Find both.
    go(page, "#at-tabs [role=tab]:nth-of-type(4)", "Shift+Tab")
    page.keyboard.press("Enter")
    go(page, "#at-search :is(input, textarea)")
    page.keyboard.type("of two for the keys")
    cells = page.locator("#at-library .at-cell")
    expect(cells).to_have_count(2)
    # Compare them.
    for place in (1, 2):
        go(page, f"#at-library .at-cell:nth-of-type({place}) [data-pick]")
        page.keyboard.press("Space")
    go(page, "#at-library [data-compare]", "Shift+Tab")
    page.keyboard.press("Enter")
    compared = page.get_by_role("dialog", name="Compare")
    expect(compared).to_contain_text("one of two for the keys")
    go(page, ".at-compared .at-compare-slider")
    page.keyboard.press("ArrowRight")
    expect(compared.get_by_role("slider")).to_have_value("51")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    # Delete the newer one.
    go(page, "#at-library .at-cell .at-picture")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("1 / 2")
    page.keyboard.press("Delete")
    go(page, ".at-dialog .at-danger")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("one of two for the keys")
    page.keyboard.press("Escape")
    expect(cells).to_have_count(1)
    # Restore it from the trash.
    go(page, "input[type=radio][value=thrown-away]", "Shift+Tab")
    page.keyboard.press("Space")
    deleted = page.locator("#at-library [data-deleted]")
    expect(deleted).to_have_count(1)
    go(page, "#at-library [data-act=untrash]")
    page.keyboard.press("Enter")
    expect(deleted).to_have_count(0)
    assert {image.prompt for image in client.images(q="of two for the keys")[0]} == {
        "one of two for the keys", "the other of two for the keys",
    }  # fmt: skip
