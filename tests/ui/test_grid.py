"""A grid, as a person makes it in the page: a table of pictures, and the same one again from its sheet alone."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from tests.ui.steps import open_tab, write

pytestmark = pytest.mark.browser


def test_a_grid_becomes_a_table_and_its_sheet_alone_makes_it_again(page: Page, client: ImageServiceClient) -> None:
    expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
    write(page, "a grid of red cups", steps=2)
    open_tab(page, "Grid")
    page.get_by_label("Values").nth(0).fill("1-2")
    page.get_by_label("Y: rows").click()
    page.get_by_role("option", name="Words of the prompt").click()
    page.get_by_label("Values").nth(1).fill("red, blue")
    page.locator("#at-grid-make").click()
    card = page.locator("#at-grid-page .at-card[data-state=succeeded]")
    expect(card).to_be_visible(timeout=30_000)
    expect(card.locator("thead th")).to_have_text(["Steps: 1", "Steps: 2"])
    expect(card.locator("tbody th")).to_have_text(["red", "blue"])
    expect(card.locator("td .at-picture")).to_have_count(4)
    grid = client.grid(str(card.get_attribute("data-grid")))
    with page.expect_download() as download:
        card.get_by_role("link", name="Download the sheet").click()
    sheet = download.value.path().read_bytes()
    with Image.open(io.BytesIO(sheet)) as shown:
        assert shown.format == "PNG"
    open_tab(page, "Inspect")
    file = {"name": "sheet.png", "mimeType": "image/png", "buffer": sheet}
    page.locator("#at-inspect-file input[type=file]").set_input_files(file)
    page.locator("#at-inspect").get_by_role("button", name="Make this grid").click()
    again = page.locator(f"#at-grid-page .at-card[data-state=succeeded]:not([data-grid='{grid.id}'])")
    expect(again).to_be_visible(timeout=30_000)
    made = client.grid(str(again.get_attribute("data-grid")))
    assert all(cell.reused for cell in made.cells)
    assert [cell.image for cell in made.cells] == [cell.image for cell in grid.cells]
