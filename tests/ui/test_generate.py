"""Making pictures, as a person does it: real page, real service, real browser."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.system.load_clock import LoadClock
from tests.ui.browser import context, opened, visit
from tests.ui.steps import SLOW, generate, open_tab, picture_is_there, set_number, until, until_step, write

pytestmark = pytest.mark.browser


def test_a_person_picks_an_example_presses_generate_and_sees_the_picture(page: Page) -> None:
    page.locator(".at-example", has_text="a red apple on a white table").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("a red apple on a white table")
    page.locator("#at-generate").click()
    card = until(page, "succeeded")
    picture_is_there(page)
    expect(card.locator(".at-facts")).to_contain_text("128 × 128")
    expect(page.locator("#at-history")).to_contain_text("a red apple on a white table")


def test_generate_shows_place_or_progress_at_once(page: Page) -> None:
    write(page, f"quick answer {SLOW}")
    with LoadClock() as clock:
        page.locator("#at-generate").click()
        page.wait_for_selector("#at-stage .at-job [role=progressbar]")
        assert clock.seconds < 3  # benchmarks/page.py measures the 500 ms on a quiet machine


def test_control_and_enter_generate_without_the_mouse(page: Page) -> None:
    page.locator("#at-prompt textarea").click()
    page.keyboard.type("typed only")
    page.keyboard.press("Control+Enter")
    expect(until(page, "succeeded")).to_contain_text("typed only")


def test_control_and_enter_in_another_field_or_a_double_click_make_no_further_job(
    page: Page, client: ImageServiceClient
) -> None:
    write(page, "not from the library")
    open_tab(page, "Library")
    page.get_by_label("Search prompts").press("Control+Enter")
    open_tab(page, "Image generation")
    write(page, "clicked twice")
    page.locator("#at-generate").dblclick()
    until(page, "succeeded")
    generate(page, "and then once")  # whatever was sent before this is in the queue by now
    prompts = [job.request.prompt for job in client.jobs(limit=50)[0]]
    assert prompts.count("clicked twice") == prompts.count("and then once") == 1
    assert "not from the library" not in prompts


def test_no_reset_button_changes_steps_or_guidance(page: Page) -> None:
    expect(page.get_by_label("number input for Steps")).not_to_have_value("")
    names = ("Steps", "CFG scale")
    before = [page.get_by_label(f"number input for {name}").input_value() for name in names]
    for button in page.get_by_role("button", name=re.compile("reset", re.IGNORECASE)).all():
        button.click()
    set_number(page, "Seed", 5)  # an answer of the page comes after those clicks
    assert [page.get_by_label(f"number input for {name}").input_value() for name in names] == before


def test_an_empty_prompt_is_refused_in_words(page: Page) -> None:
    page.locator("#at-generate").click()
    expect(page.locator("#at-toast")).to_contain_text("Write a prompt first.")
    write(page, "a seed and a half")
    set_number(page, "Seed (-1 = random)", 1.5)
    page.locator("#at-generate").click()
    expect(page.locator("#at-toast")).to_contain_text(re.compile("1.5 is not allowed; allowed is .* in whole numbers"))


def test_progress_counts_steps_and_shows_previews(page: Page) -> None:
    generate(page, f"watch me {SLOW}", steps=40)
    until_step(page, 3)
    expect(page.locator("#at-stage .at-canvas img")).to_be_visible()
    assert page.locator("#at-stage [role=progressbar]").first.get_attribute("aria-valuenow")
    expect(page.locator("#at-stage [aria-live=polite]")).to_contain_text("percent")
    stop = page.get_by_role("button", name="Stop", exact=True)  # beside the button that began it
    stop.click()
    until(page, "cancelled")
    expect(stop).to_be_hidden()


def test_cancel_at_step_three_ends_the_job_and_it_can_be_run_again(page: Page, client: ImageServiceClient) -> None:
    job = generate(page, f"cancel me {SLOW}", steps=60)
    until_step(page, 3)
    page.get_by_role("button", name="Cancel").first.click()
    card = until(page, "cancelled", timeout_s=10)
    assert client.job(job).state == "cancelled"
    expect(card.get_by_role("button", name="Run again")).to_be_visible()


def test_a_closed_tab_loses_nothing(browser: Browser, page_process: RunningPage) -> None:
    with context(browser) as visitor:
        page = visitor.new_page()
        opened(page, page_process.url)
        job = generate(page, f"close the tab {SLOW}", steps=25)
        until_step(page, 3)
        page.close()
        again = visitor.new_page()
        opened(again, page_process.url)
        expect(again.locator(f"#at-stage [data-job='{job}']")).to_be_visible()
        until(again, "succeeded")
        picture_is_there(again)


def test_a_service_killed_in_mid_job_is_said_and_then_the_picture_comes(page: Page, service: RunningService) -> None:
    generate(page, f"kill the service {SLOW}", steps=40)
    until_step(page, 3)
    service.kill()
    expect(page.locator("#at-header")).to_contain_text("Service not running")
    expect(page.locator("#at-header")).to_contain_text("./quick_start.sh")
    expect(page.locator("#at-stage")).to_contain_text("Accepted jobs are kept")
    service.start()
    until(page, "succeeded")
    picture_is_there(page)
    expect(page.locator("#at-header")).to_contain_text("Online")


def test_a_page_opened_while_the_service_is_away_fills_itself_when_it_is_back(
    browser: Browser, page_process: RunningPage, service: RunningService
) -> None:
    service.kill()
    with visit(browser, page_process.url) as page:
        expect(page.locator("#at-header")).to_contain_text("Service not running")
        write(page, "typed meanwhile")
        service.start()
        expect(page.locator("#at-header")).to_contain_text("Online")
        expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
        page.locator("#at-generate").click()
        expect(until(page, "succeeded")).to_contain_text("typed meanwhile")


def test_a_restarted_page_process_shows_the_job_where_it_is(page: Page, page_process: RunningPage) -> None:
    job = generate(page, f"restart the page {SLOW}", steps=30)
    until_step(page, 2)
    page_process.stop()
    page_process.start()
    page.reload()
    expect(page.locator(f"#at-stage [data-job='{job}']")).to_be_visible()
    until(page, "succeeded")


def test_two_tabs_each_show_their_own_job(browser: Browser, page_process: RunningPage) -> None:
    with context(browser) as visitor:
        first, second = visitor.new_page(), visitor.new_page()
        for tab in (first, second):
            opened(tab, page_process.url)
        generate(first, f"tab one {SLOW}", steps=12)
        generate(second, "tab two")
        expect(until(second, "succeeded")).to_contain_text("tab two")
        expect(until(first, "succeeded")).to_contain_text("tab one")


def test_one_click_in_the_history_restores_all_settings(page: Page) -> None:
    write(page, "restore all of this")
    page.get_by_label("Negative prompt").fill("blurry")
    set_number(page, "Steps", 7)
    set_number(page, "Seed", 4242)
    page.locator("#at-generate").click()
    until(page, "succeeded")
    page.get_by_role("button", name="Random").click()
    write(page, "something else", steps=20)
    page.locator("#at-history .at-past", has_text="restore all of this").first.get_by_role(
        "button", name="Restore settings"
    ).click()
    expect(page.locator("#at-prompt textarea")).to_have_value("restore all of this")
    expect(page.get_by_label("Negative prompt")).to_have_value("blurry")
    expect(page.get_by_label("Seed (-1 = random)")).to_have_value("4242")
    expect(page.get_by_label("number input for Steps")).to_have_value("7")


def test_the_form_follows_the_chosen_model(page: Page) -> None:
    page.locator("#at-model input").click()
    page.get_by_role("option", name=re.compile("sdxl-turbo")).click()
    expect(page.get_by_label("number input for Steps")).to_have_value("4")
    expect(page.get_by_label("number input for CFG scale")).to_have_value("0")
    expect(page.get_by_label("Width")).to_have_value("512")
    page.get_by_role("radio", name="16:9").check()
    expect(page.get_by_label("Width")).not_to_have_value("512")
    width, height = (int(page.get_by_label(name).input_value()) for name in ("Width", "Height"))
    assert width % 8 == height % 8 == 0
    assert width / height == pytest.approx(16 / 9, rel=0.1)
    page.get_by_role("button", name=re.compile("^More")).click()
    page.get_by_label("Scheduler").click()
    expect(page.get_by_role("option").filter(has_text="★")).to_have_text([re.compile("default"), re.compile("Euler a")])


def test_the_last_seed_can_be_used_again(page: Page, client: ImageServiceClient) -> None:
    job = generate(page, "seed to keep")
    until(page, "succeeded")
    page.get_by_role("button", name="Last seed").click()
    expect(page.get_by_label("Seed (-1 = random)")).to_have_value(str(client.job(job).request.seed))


def test_links_carry_a_prompt_or_a_job(browser: Browser, page_process: RunningPage, client: ImageServiceClient) -> None:
    with visit(browser, page_process.url, path="/?prompt=a%20linked%20prompt") as page:
        expect(page.locator("#at-prompt textarea")).to_have_value("a linked prompt")
    job = client.generate({"prompt": "made elsewhere"})
    with visit(browser, page_process.url, path=f"/?job={job.id}") as page:
        expect(until(page, "succeeded")).to_contain_text("made elsewhere")
    with visit(browser, page_process.url, path="/?job=nobody") as page:
        expect(page.locator("#at-toast")).to_contain_text("This job no longer exists.")


def test_a_failed_job_says_why_and_offers_another_try(page: Page) -> None:
    generate(page, "this will !oom")
    card = until(page, "failed")
    expect(card).to_contain_text("There was not enough memory")
    expect(card.get_by_role("button", name="Try again")).to_be_visible()
