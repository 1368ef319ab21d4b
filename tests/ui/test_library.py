"""The library as a wall: many pictures on a screen, found, ticked, compared, walked through with keys."""

import io
import zipfile
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.ui.search import Search, parse
from tests.ui.browser import DESKTOP
from tests.ui.steps import open_tab

MANY = 30


@pytest.mark.parametrize(
    ("text", "words", "filters"),
    [
        ("red apple", "red apple", {}),
        ("model:pocket seed:7 cat", "cat", {"model": "pocket", "seed": 7}),
        ("size:512x256 after:2026-01-31", "", {"width": 512, "height": 256, "after": "2026-01-31"}),
        ("Favourite 猫", "猫", {"favourite": True}),
        ("seed:x size:5 after:soon model:", "seed:x size:5 after:soon model:", {}),
        ("seed:99999999999", "seed:99999999999", {}),
        ("Oldest cat", "cat", {"order": "oldest"}),
        ("最早", "", {"order": "oldest"}),
        ("", "", {}),
    ],
)  # fmt: skip
def test_what_is_typed_is_words_and_filters(text: str, words: str, filters: dict[str, Any]) -> None:
    assert parse(text) == Search(words, filters)


@pytest.fixture(scope="module")
def many(client: ImageServiceClient) -> list[str]:
    """The ids of pictures of one word, the newest first."""
    jobs = [
        client.generate({"prompt": "wallflower", "num_images": 10, "seed": 100 * (n + 1), "width": 64 * (1 + n % 2)})
        for n in range(MANY // 10)
    ]
    return [image.id for job in reversed(jobs) for image in reversed(job.images)]


def wall(page: Page, search: str = "wallflower") -> Any:
    """The library tab, searched."""
    open_tab(page, "Library")
    with page.expect_response(lambda answer: f'"{search}"' in (answer.request.post_data or "")):
        page.get_by_label("Search prompts").fill(search)
    return page.locator("#at-library .at-cell")


@pytest.mark.browser
def test_at_least_24_pictures_are_on_a_screen_and_their_number_is_said(page: Page, many: list[str]) -> None:
    cells = wall(page)
    expect(cells).to_have_count(MANY)
    expect(page.locator("#at-library")).to_contain_text(f"{MANY} pictures")
    inside = [
        box for cell in cells.all() if (box := cell.bounding_box()) and box["y"] + box["height"] <= DESKTOP["height"]
    ]
    assert len(inside) >= 24


@pytest.mark.browser
def test_filters_find_a_seed_and_a_size(page: Page, many: list[str]) -> None:
    cells = wall(page, "wallflower seed:205")
    expect(cells).to_have_count(1)
    page.get_by_label("Search prompts").fill("wallflower size:128x128")
    expect(cells).to_have_count(MANY // 3)
    page.get_by_label("Search prompts").fill("wallflower after:2999-01-01")
    expect(page.locator("#at-library")).to_contain_text("Nothing fits this search.")
    page.get_by_label("Search prompts").fill("wallflower")
    first = page.locator("#at-library [data-pick]").first
    expect(first).to_have_attribute("data-pick", many[0])
    page.get_by_label("Oldest first").check()
    expect(first).to_have_attribute("data-pick", many[-1])


@pytest.mark.browser
def test_the_keys_of_the_lightbox_walk_mark_and_delete(page: Page, client: ImageServiceClient) -> None:
    images = client.generate({"prompt": "keyboard only", "num_images": 3}).images
    newest = [image.id for image in reversed(images)]
    cells = wall(page, "keyboard only")
    expect(cells).to_have_count(3)
    cells.first.locator(".at-picture").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("keyboard only")
    expect(dialog).to_contain_text("1 / 3")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("2 / 3")
    page.keyboard.press("f")
    expect(dialog.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(
        "id => document.querySelector(`[data-act=favourite][data-id='${id}'][aria-pressed=true]`)", arg=newest[1]
    )
    assert client.image(newest[1]).favourite
    page.keyboard.press(" ")
    expect(page.locator(f"[data-pick='{newest[1]}']")).to_be_checked()
    page.keyboard.press("Delete")
    page.get_by_role("dialog", name="Delete this picture").get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("2 / 2")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(cells).to_have_count(2)
    assert newest[1] not in {image.id for image in client.images(q="keyboard only")[0]}


@pytest.mark.browser
def test_many_ticked_pictures_are_marked_downloaded_and_deleted_at_once(page: Page, client: ImageServiceClient) -> None:
    images = client.generate({"prompt": "ticked together", "num_images": 4}).images
    cells = wall(page, "ticked together")
    expect(cells).to_have_count(4)
    for number in range(3):
        cells.nth(number).locator("[data-pick]").check()
    picked = page.locator("#at-library .at-picked")
    expect(picked).to_contain_text("3 selected")
    with page.expect_download() as download:
        picked.get_by_role("link", name="Download ZIP").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert archive.testzip() is None
        saved = {client.image_bytes(image.id) for image in images[1:]}
        assert {archive.read(name) for name in archive.namelist()} == saved
    picked.get_by_role("button", name="Favourite").click()
    expect(page.locator("#at-library [data-act=favourite][aria-pressed=true]")).to_have_count(3)
    for number in range(3):
        cells.nth(number).locator("[data-pick]").check()
    picked.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#at-toast")).to_contain_text("3 pictures are deleted.")
    expect(cells).to_have_count(1)
    assert [image.id for image in client.images(q="ticked together")[0]] == [images[0].id]


@pytest.mark.browser
def test_deleted_pictures_come_back_with_one_click(page: Page, client: ImageServiceClient) -> None:
    client.generate({"prompt": "missed at once", "num_images": 2})
    cells = wall(page, "missed at once")
    expect(cells).to_have_count(2)
    for number in range(2):
        cells.nth(number).locator("[data-pick]").check()
    page.locator("#at-library .at-picked").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(cells).to_have_count(0)
    page.locator("#at-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#at-toast")).to_contain_text("2 pictures are back.")
    expect(cells).to_have_count(2)


@pytest.mark.browser
def test_two_pictures_are_compared_with_what_differs(page: Page, client: ImageServiceClient) -> None:
    client.generate({"prompt": "held side by side", "num_images": 2, "seed": 41})
    cells = wall(page, "held side by side")
    expect(cells).to_have_count(2)
    for number in range(2):
        cells.nth(number).locator("[data-pick]").check()
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog", name="Compare")
    expect(dialog.get_by_role("row", name="Seed 42 41")).to_be_visible()
    expect(dialog.get_by_role("row", name="Model")).to_have_count(0)
    dialog.get_by_role("slider").fill("20")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.browser
def test_the_settings_of_a_picture_are_used_from_the_lightbox(page: Page, client: ImageServiceClient) -> None:
    client.generate({"prompt": "use me again", "seed": 77, "num_inference_steps": 9})
    wall(page, "use me again").first.locator(".at-picture").click()
    page.get_by_role("dialog").get_by_role("button", name="Use as new settings").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("use me again")
    expect(page.get_by_label("Seed (-1 = random)")).to_have_value("77")


@pytest.mark.browser
def test_the_library_is_where_it_was_left(page: Page, many: list[str], client: ImageServiceClient) -> None:
    for number in range(4):
        client.generate({"prompt": f"wallflower of page two {number}", "num_images": 10})
    cells = wall(page)
    expect(page.locator("#at-library")).to_contain_text(f"{MANY + 40} pictures")  # no others: the search has come
    page.locator("#at-library").get_by_role("button", name="Older").click()
    expect(page.locator("#at-library")).to_contain_text("Page 2")
    open_tab(page, "Image generation")
    open_tab(page, "Library")
    expect(cells).to_have_count(MANY + 40 - 60)
    expect(page.locator("#at-library")).to_contain_text("Page 2")
