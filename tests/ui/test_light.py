"""What it costs to open the page, for the line and for the browser."""

import json
from collections import Counter
from typing import Any

import gradio as gr
import pytest
import requests
from playwright.sync_api import Browser, Page, Request

from app.ui.gradio_files import FOLDER, LISTED
from app.ui.shell import unlike_built
from app.ui.strings import CHINESE, ENGLISH, Strings
from tests.running import RunningPage
from tests.ui.browser import context, opened
from tests.ui.gradio_scripts import asked_by

pytestmark = pytest.mark.browser
PACKED_KB = 60  # it was 550


def test_the_page_comes_packed_to_whoever_can_unpack_it(page_process: RunningPage) -> None:
    plain = requests.get(page_process.url, headers={"accept-encoding": "identity"}, timeout=10)
    packed = requests.get(page_process.url, headers={"accept-encoding": "gzip"}, timeout=10, stream=True)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(packed.raw.read(decode_content=False)) < PACKED_KB * 1000
    assert requests.get(page_process.url, timeout=10).text.count("<head>") == plain.text.count("<head>") == 1


def test_the_page_knows_the_scripts_that_it_needs_before_they_are_asked_for(page: Page) -> None:
    """After another release of Gradio: `python -m tests.ui.gradio_scripts`."""
    told = page.evaluate("document.querySelector('link[data-needs]').dataset.needs").split()
    assert set(told) == asked_by(page)


def test_a_browser_keeps_gradios_scripts_and_gets_them_packed(page_process: RunningPage) -> None:
    name = LISTED.read_text("utf-8").split()[0]
    url = f"{page_process.url}/assets/{name}"
    packed = requests.get(url, headers={"accept-encoding": "gzip"}, timeout=10)
    plain = requests.get(url, headers={"accept-encoding": "identity"}, timeout=10)
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers.get("content-encoding") is None, plain.headers
    assert packed.content == plain.content == (FOLDER / name).read_bytes()
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")
    assert requests.get(f"{page_process.url}/assets/no-such.js", timeout=10).status_code == 404


def test_only_the_texts_that_a_page_asked_for_go_along() -> None:
    labels = Strings().for_gradio()
    assert labels.translations_dict[CHINESE] == {}
    labels("tab_library")
    told = labels.translations_dict
    assert told[ENGLISH] == {"tab_library": Strings().words(ENGLISH)("tab_library")}
    assert list(told["zh-TW"]) == ["tab_library"]


def test_opening_the_page_calls_it_a_few_times_only(browser: Browser, page_process: RunningPage) -> None:
    sent: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if "predict" in request.url:
            sent.append(json.loads(request.post_data or "{}"))

    with context(browser) as visitor:
        page = visitor.new_page()
        page.on("request", note)
        opened(page, page_process.url)
        page.locator("#at-generate").wait_for()
        page.wait_for_timeout(300)
        names = {each["id"]: each["api_name"] for each in page.evaluate("window.gradio_config.dependencies")}
    calls = Counter(names[each["fn_index"]].rstrip("_0123456789") for each in sent)
    calls.pop("pulse", None)
    assert calls["opened"] == 1
    assert calls["advise"] <= 1  # not once for each field that was filled
    assert calls.total() <= 4, calls


def test_no_call_tells_every_part_of_the_page_that_it_began(page: Page) -> None:
    told = page.evaluate("window.gradio_config.dependencies.map((each) => each.show_progress_on)")
    assert told
    assert all(each == [] for each in told)


def test_what_is_as_it_was_built_is_not_told_again() -> None:
    with gr.Blocks():
        steps = gr.Slider(1, 100, value=20)
        sampler = gr.Dropdown(["a", "b"], value="a")
        seed, page = gr.Number(), gr.HTML("<p>")
    same = {
        steps: gr.update(minimum=1, maximum=100, value=20),
        sampler: gr.update(choices=["a", ("b", "b")], value="a"),
        page: "<p>",
    }
    assert unlike_built(same) == {}
    other = {
        steps: gr.update(minimum=1, value=30),
        sampler: gr.update(choices=["a"]),
        seed: gr.update(value=None),  # in the browser it was built with 0
        page: "<h1>",
    }
    assert unlike_built(other) == {**other, steps: gr.update(value=30)}
