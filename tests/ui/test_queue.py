"""The queue tab and the jobs beside the form: order, priority, search, pages, cancel all, clear, dismiss."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.schema import Job
from app.ui.strings import Strings
from app.ui.views.job import situation
from tests.ui.steps import generate, open_tab, until

pytestmark = pytest.mark.browser
MANY = 33  # more than a page of the list


@pytest.fixture
def waiting(client: ImageServiceClient) -> Iterator[None]:
    """The line stands still, and is empty again afterwards."""
    client.cancel_all()
    client.set_paused(True)
    yield
    client.cancel_all()
    client.set_paused(False)


def test_the_line_is_put_in_order_searched_turned_over_cancelled_and_cleared(
    page: Page, client: ImageServiceClient, waiting: None
) -> None:
    ids = [client.submit({"prompt": f"in line {number:02}"}).id for number in range(MANY)]
    open_tab(page, "Queue")
    page.get_by_role("radio", name="Waiting and running").check()
    rows = page.locator("#at-queue .at-queue-row")
    row = page.locator(f"#at-queue [data-job='{ids[2]}']")
    expect(rows.first).to_contain_text("in line 00")
    row.get_by_role("button", name="To the front").click()
    expect(rows.first).to_contain_text("in line 02")
    row.get_by_role("button", name="One place down").click()
    expect(rows.nth(1)).to_contain_text("in line 02")
    row.get_by_role("button", name="One place up").click()
    expect(rows.first).to_contain_text("in line 02")
    row.get_by_role("button", name="Lower priority").click()
    expect(row).to_have_count(0)  # now it is the last, on the next page
    page.get_by_role("button", name="Next").click()
    expect(rows.last).to_contain_text("in line 02")
    expect(rows.last).to_contain_text("Priority -1")
    row.get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(MANY - 1 - 30)
    page.get_by_role("button", name="Back").click()
    page.get_by_label("Find jobs").fill("LINE 31")
    expect(rows).to_have_count(1)
    page.get_by_label("Find jobs").fill("")
    expect(rows).to_have_count(30)
    page.get_by_role("button", name="Cancel all").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel all").click()
    expect(page.locator("#at-queue")).to_contain_text("Nothing waits or runs.")
    page.get_by_role("radio", name="All jobs").check()
    page.get_by_role("button", name="Clear what has ended").click()
    expect(page.locator("#at-queue")).to_contain_text("There are no jobs yet.")
    assert client.job(ids[0]).state.finished  # cleared, not lost


def test_beside_the_form_stand_open_and_failed_jobs_until_they_are_dismissed(
    page: Page, client: ImageServiceClient
) -> None:
    chips = page.locator("#at-stage .at-chip")
    generate(page, "will be done")
    until(page, "succeeded")
    generate(page, "will fail !oom")
    until(page, "failed")
    slow = generate(page, "still open !slow", steps=90)
    expect(chips).to_have_count(1)
    generate(page, "looked at !slow", steps=90)
    expect(chips).to_have_count(2)
    expect(page.locator("#at-stage")).not_to_contain_text("will be done")
    page.locator("#at-stage li", has_text="will fail").get_by_role("button", name="Take off this list").click()
    expect(chips).to_have_count(1)
    page.locator("#at-stage .at-chip", has_text="still open").click()
    expect(page.locator("#at-stage .at-job")).to_have_attribute("data-job", slow)
    client.cancel_all()
    expect(page.locator("#at-stage .at-job")).to_have_attribute("data-state", "cancelled")


def test_a_second_try_says_that_it_is_one_in_both_languages() -> None:
    values = {"id": "j", "state": "running", "origin": "ui", "request": {"prompt": "a cat"}, "crashes": 1}
    job = Job.model_validate(values | {"max_crashes": 3, "created_at": "2026-11-21T00:00:00Z"})
    assert situation(job, Strings().words("en")).endswith("· try 2 of 3")
    assert "第 2 次尝试（共 3 次）" in situation(job, Strings().words("zh-CN"))
    assert "try" not in situation(job.model_copy(update={"crashes": 0}), Strings().words("en"))
