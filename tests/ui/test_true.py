"""What the page says is so: about the queue, about itself, about pictures that others made, and in whose language."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from tests.running import RunningPage
from tests.ui.browser import PHONE, visit
from tests.ui.steps import SLOW, generate, open_tab, set_number, until, write

pytestmark = pytest.mark.browser


@pytest.fixture
def paused(client: ImageServiceClient) -> Iterator[None]:
    client.set_paused(True)
    yield
    client.set_paused(False)


def test_a_paused_queue_promises_nothing_and_goes_on_from_the_page(
    page: Page, client: ImageServiceClient, paused: None
) -> None:
    client.submit({"prompt": "waits for the pause to end"})
    generate(page, "paused too")
    expect(page.locator("#at-stage .at-situation")).to_contain_text("the queue is paused")
    expect(page.locator("#at-stage .at-situation")).not_to_contain_text("left")
    expect(page.locator("#at-header")).to_contain_text("Queue paused")
    page.locator("#at-header").get_by_role("button", name="Go on").click()
    until(page, "succeeded")
    expect(page.locator("#at-header")).to_contain_text("Online")


def test_the_queue_is_paused_from_its_tab(page: Page, client: ImageServiceClient) -> None:
    open_tab(page, "Queue")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.locator("#at-header")).to_contain_text("The queue is paused")
    assert client.status().queue.paused
    page.locator("#at-header").get_by_role("button", name="Go on").click()
    expect(page.locator("#at-toast")).to_contain_text("The queue goes on.")
    assert not client.status().queue.paused


def test_a_page_whose_own_server_is_gone_says_so_until_it_is_back(page: Page, page_process: RunningPage) -> None:
    expect(page.locator("#at-header")).to_contain_text("Online")
    page_process.stop()
    try:
        expect(page.locator("#at-cut")).to_contain_text("This page lost its server")
        expect(page.locator("#at-header .at-state")).to_be_hidden()
    finally:
        page_process.start()
    expect(page.locator("#at-cut")).to_have_count(0)
    expect(page.locator("#at-header .at-state")).to_be_visible()


def test_an_old_mistake_does_not_stay_beside_what_went_well_since(page: Page) -> None:
    page.locator("#at-generate").click()
    toast = page.locator("#at-toast .at-toast")
    expect(toast).to_contain_text("Write a prompt first.")
    generate(page, "now with words")
    expect(toast).to_have_count(0)


def test_pictures_of_other_doors_come_and_go_by_themselves(page: Page, client: ImageServiceClient) -> None:
    past = page.locator("#at-history .at-past", has_text="made by a script")
    job = client.generate({"prompt": "made by a script"})
    expect(past).to_be_visible()
    client.delete_image(job.images[0].id)
    expect(past).to_have_count(0)

    open_tab(page, "Library")
    job = client.generate({"prompt": "made while the library was open"})
    picture = page.locator(f"#at-library [data-id='{job.images[0].id}']").first
    expect(picture).to_be_visible()
    client.delete_image(job.images[0].id)
    expect(picture).to_have_count(0)


def test_a_picture_deleted_in_the_library_is_gone_from_the_stage_too(page: Page, client: ImageServiceClient) -> None:
    job = generate(page, "here and there")
    until(page, "succeeded")
    client.delete_image(client.job(job).images[0].id)
    expect(page.locator("#at-stage")).to_contain_text("The pictures of this job were deleted.")


def test_a_chinese_reader_gets_chinese_examples(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, locale="zh-CN") as page:
        examples = page.locator(".at-example")
        expect(examples).to_have_count(6)
        for text in examples.all_inner_texts():
            assert re.search("[\u4e00-\u9fff]", text), text
        page.locator(".at-example", has_text="白色桌子上的红苹果").click()
        expect(page.locator("#at-prompt textarea")).to_have_value("白色桌子上的红苹果")


def test_an_example_is_taken_back_by_undo(page: Page) -> None:
    write(page, "words of my own")
    page.locator(".at-example", has_text="a red apple on a white table").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("a red apple on a white table")
    page.keyboard.press("Control+z")
    expect(page.locator("#at-prompt textarea")).to_have_value("words of my own")


def test_the_time_left_is_that_of_the_running_steps(page: Page, client: ImageServiceClient) -> None:
    for _ in range(3):
        client.generate({"prompt": f"slow before {SLOW}", "num_inference_steps": 20})
    generate(page, "quick now", steps=90)  # 4 ms a step, where the jobs before took 100
    until(page, "succeeded")
    generate(page, f"and slow again {SLOW}", steps=60)
    page.wait_for_function(
        "() => { const text = document.querySelector('#at-stage .at-situation')?.textContent ?? '';"
        " const found = text.match(/Step (\\d+) of 60 · about ([\\d.]+) s left/);"
        " return found && found[1] >= 12 && Math.abs((60 - found[1]) * 0.1 - found[2]) <= 0.25 * found[2] + 0.5; }"
    )
    page.get_by_role("button", name="Cancel").first.click()
    until(page, "cancelled")


def test_settings_that_a_model_is_bad_at_are_said_and_mended_with_one_click(page: Page) -> None:
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    set_number(page, "Steps", 50)
    set_number(page, "CFG scale", 7.5)
    advice = page.locator("#at-advice")
    expect(advice).to_contain_text("Pocket draws well with Steps 1 to 20 and CFG scale 0 to 2.")
    advice.get_by_role("button", name="Use these").click()
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    expect(page.get_by_label("number input for CFG scale")).to_have_value("1.5")
    expect(advice).not_to_contain_text("draws well")


def test_the_models_own_values_come_back_and_the_words_stay(page: Page) -> None:
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    write(page, "my words", steps=33)
    set_number(page, "Width", 256)
    page.locator("#at-defaults").click()
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    expect(page.get_by_label("Width")).to_have_value("128")
    expect(page.locator("#at-prompt textarea")).to_have_value("my words")


def test_another_model_keeps_the_chosen_ratio(page: Page) -> None:
    expect(page.get_by_label("Width")).to_have_value("128")
    page.get_by_role("radio", name="16:9").check()
    page.locator("#at-model input").click()
    page.get_by_role("option", name=re.compile("sdxl-turbo")).click()
    expect(page.get_by_label("number input for Steps")).to_have_value("4")
    width, height = (int(page.get_by_label(name).input_value()) for name in ("Width", "Height"))
    assert width / height == pytest.approx(16 / 9, rel=0.1)
    expect(page.get_by_role("radio", name="16:9")).to_be_checked()


def test_an_empty_page_shows_what_the_model_draws_and_a_click_draws_it(page: Page) -> None:
    samples = page.locator("#at-stage .at-sample")
    expect(samples).to_have_count(8)
    page.wait_for_function("[...document.querySelectorAll('.at-sample img')].every(image => image.naturalWidth > 0)")
    samples.filter(has_text="a glass of water on a table").click()
    expect(until(page, "succeeded")).to_contain_text("a glass of water on a table")


def test_on_a_phone_the_picture_comes_right_below_the_button(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, viewport=PHONE, has_touch=True) as page:
        expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
        expect(page.get_by_label("Width")).to_be_hidden()
        button, stage = page.locator("#at-generate").bounding_box(), page.locator("#at-stage").bounding_box()
        assert button
        assert stage
        assert 0 <= stage["y"] - button["y"] - button["height"] <= 40
        prompt = page.locator("#at-prompt").bounding_box()
        assert prompt
        assert prompt["y"] <= 240
