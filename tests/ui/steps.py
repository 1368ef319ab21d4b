"""What a person does on the page, in words."""

import re

from playwright.sync_api import Locator, Page, expect

SLOW = "!slow"  # the test engine then takes 100 ms a step


def write(page: Page, prompt: str, *, steps: int | None = None) -> None:
    """Fill in the form."""
    page.locator("#at-prompt textarea").fill(prompt)
    if steps is not None:
        set_number(page, "Steps", steps)


def set_number(page: Page, label: str, value: float) -> None:
    """Type a number into the box of a slider or a number field."""
    box = page.get_by_label(re.compile(f"^(number input for )?{re.escape(label)}", re.IGNORECASE)).first
    box.fill(str(value))
    box.press("Tab")


def generate(page: Page, prompt: str, *, steps: int | None = None) -> str:
    """Write, press Generate, and wait until the job is on the page; its id."""
    write(page, prompt, steps=steps)
    before = job_ids(page)
    page.locator("#at-generate").click()
    found = page.wait_for_function(
        "known => { const id = document.querySelector('#at-stage .at-job')?.dataset.job;"
        " return known.includes(id) ? null : id; }",
        arg=before,
    )
    return str(found.json_value())


def job_ids(page: Page) -> list[str]:
    """The job in the big card, if there is one."""
    return [str(card.get_attribute("data-job")) for card in page.locator("#at-stage .at-job").all()]


def until(page: Page, state: str, timeout_s: float = 30) -> Locator:
    """Wait until the job in the big card has this state."""
    card = page.locator(f"#at-stage .at-job[data-state={state}]")
    expect(card).to_be_visible(timeout=timeout_s * 1000)
    return card


def until_step(page: Page, number: int) -> None:
    """Wait until at least this step is shown."""
    page.wait_for_function(
        "least => { const found = document.querySelector('#at-stage .at-situation')?.textContent.match(/Step (\\d+)/);"
        " return found && Number(found[1]) >= least; }",
        arg=number,
    )


def open_tab(page: Page, name: str) -> None:
    """Choose a tab by its name."""
    page.get_by_role("tab", name=re.compile(name)).click()


def picture_is_there(page: Page) -> None:
    """The picture of the big card has arrived and has pixels."""
    page.wait_for_function("document.querySelector('#at-stage .at-picture img')?.naturalWidth > 0")
