"""A picture changed by instruction, and others that it speaks of, as a person chooses them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.task import Task
from tests.ui.steps import generate, until
from tests.ui.test_start import hand_in, picture

__all__ = ["picture"]


@pytest.fixture
def editor(models_folder: Path) -> Iterator[None]:
    """A model that changes a picture as it is told, and looks at two more, for one test."""
    folder = models_folder / "editor"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "QwenImageEditPlusPipeline"}))
    yield
    shutil.rmtree(folder)


@pytest.mark.browser
@pytest.mark.usefixtures("editor")
def test_a_picture_is_changed_as_it_is_told_with_others_beside_it(
    page: Page, client: ImageServiceClient, picture: bytes
) -> None:
    page.reload()
    hand_in(page, picture)
    page.locator("#at-model input").click()
    page.get_by_role("option", name="editor").click()
    expect(page.locator("#at-strength")).to_be_hidden()
    beside = page.locator("#at-references")
    for count in (1, 2):
        stream = picture if count == 1 else client.image_bytes(client.generate({"prompt": "a sofa"}).images[0].id)
        file = {"name": "other.png", "mimeType": "image/png", "buffer": stream}
        beside.locator("input[type=file]").set_input_files(file)
        expect(beside.locator("li")).to_have_count(count)
    job = client.job(generate(page, "a room like the second picture"))
    until(page, "succeeded")
    assert (job.request.task, job.request.strength) == (Task.EDIT, None)
    assert [item.role.value for item in job.request.inputs] == ["image", "reference", "reference"]
    beside.locator("[data-act=remove-reference]").first.click()
    expect(beside.locator("li")).to_have_count(1)
    page.locator("#at-stage [data-act=reuse]").click()
    expect(beside.locator("li")).to_have_count(2)
    page.get_by_role("button", name="Remove", exact=True).first.click()
    expect(page.locator("#at-start .at-drop")).to_be_visible()
