"""Drawing while typing: off until it is wished, in the place of the last picture, and kept nowhere."""

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.models import ModelInfo
from app.ui.addresses import SKETCH_PATH
from app.ui.strings import Strings
from app.ui.views.sketch import live_switch
from tests.running import RunningPage
from tests.ui.steps import generate, until, write

WORDS = Strings().words("en")


@pytest.mark.browser
def test_what_is_typed_is_drawn_where_that_is_wished_and_nothing_of_it_is_saved(
    page: Page, client: ImageServiceClient
) -> None:
    generate(page, "the first picture, which says how long one takes")
    until(page, "succeeded")
    switch, picture = page.get_by_role("switch", name="Draw while typing"), page.locator("#at-sketch img")
    expect(switch).to_be_enabled()
    expect(switch).to_have_attribute("aria-checked", "false")
    write(page, "not wished yet")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(picture).to_have_attribute("alt", "not wished yet")
    write(page, "a blue cup of nobody")
    expect(picture).to_have_attribute("alt", "a blue cup of nobody")
    expect(picture).to_be_visible()
    expect(page.locator("#at-stage")).to_be_hidden()
    expect(page.locator("#at-sketch [role=status]")).to_contain_text("Not saved")
    assert client.jobs(q="a blue cup of nobody")[0] == []
    page.get_by_role("button", name="Use its seed").click()
    expect(page.locator("#at-seed input")).to_have_value(re.compile(r"^\d+$"))
    job = generate(page, "a blue cup of nobody")
    expect(picture).to_be_hidden()
    until(page, "succeeded")
    assert [each.id for each in client.jobs(q="a blue cup of nobody")[0]] == [job]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 100_000, b'{"prompt": 5}', b'{"prompt": "x", "seed": 1e999}', b'{"prompt": " "}']
)
def test_what_a_browser_sends_is_drawn_only_if_it_is_a_form(page_process: RunningPage, body: bytes) -> None:
    with requests.Session() as session:
        session.trust_env = False
        asking = {"Accept-Language": "zh"}
        answer = session.post(page_process.url + SKETCH_PATH, data=body, headers=asking, timeout=60)
    assert answer.status_code == 422
    assert re.search("[\u4e00-\u9fff]", answer.json()["said"])


def test_the_switch_says_why_it_cannot_be_turned() -> None:
    model = ModelInfo(key="slow", title="Slow", pipeline="StableDiffusionPipeline", num_inference_steps=8)
    unknown = live_switch(model, WORDS)
    assert " disabled" in unknown
    assert WORDS("live_unknown") in unknown
    slow = live_switch(model.model_copy(update={"seconds_a_picture": 12.0}), WORDS)
    assert " disabled" in slow
    assert "12 s" in slow
    quick = live_switch(model.model_copy(update={"seconds_a_picture": 0.6, "sketch_steps": 4}), WORDS)
    assert " disabled" not in quick
    assert "4 of 8" in quick
