"""A grid, as a person makes it in the page: a table of pictures, and a sheet that Inspect offers to make again."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.ui.strings import ENGLISH, Strings
from app.ui.views.inspect import inspection_page
from tests.ui.steps import open_tab, write

pytestmark = pytest.mark.browser


def test_a_grid_becomes_a_table_and_its_sheet_says_it(page: Page, client: ImageServiceClient) -> None:
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
    found = client.inspect(sheet)
    assert found.grid == grid.asked()
    assert 'data-act="make-grid"' in inspection_page(found, Strings().words(ENGLISH))
