"""Answers of the page's server overtake each other. One that comes late takes nothing away for longer than a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import APIResponse, Error, Page, Route, expect

from app.client import ImageServiceClient
from tests.ui.steps import generate, open_tab, until

pytestmark = pytest.mark.browser
EVENTS = "**/gradio_api/run/**"
# Notes the mark of whatever a part shows, so that a moment's flash is seen too.
NOTE = """([part, mark]) => {
  const root = document.querySelector(part);
  window.noted = [];
  new MutationObserver(() => window.noted.push(root.querySelector(`[${mark}]`)?.getAttribute(mark)))
    .observe(root, { childList: true, subtree: true, attributes: true });
}"""


@dataclass
class Late:
    """Holds back the next answer that shows `part`."""

    page: Page
    part: str
    held: list[tuple[Route, APIResponse]] = field(default_factory=list)

    def __call__(self, route: Route) -> None:
        answer = route.fetch()
        if not self.held and f'data-shows=\\"{self.part}\\"' in answer.text():
            self.held.append((route, answer))
            return
        try:
            route.fulfill(response=answer)
        except Error as error:  # the block ended meanwhile, and what it had not answered yet went its own way
            if "already handled" not in error.message:
                raise

    def wait(self) -> None:
        """Until it is held."""
        for _ in range(400):
            if self.held:
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"no answer showed {self.part}")


@contextmanager
def late(page: Page, part: str) -> Iterator[Late]:
    """The next answer that shows `part` arrives at the end of the block."""
    late = Late(page, part)
    page.route(EVENTS, late)
    yield late
    for route, answer in late.held:
        route.fulfill(response=answer)
    page.unroute(EVENTS, late)


def test_a_late_look_at_the_first_page_of_the_library_does_not_bring_it_back(
    page: Page, client: ImageServiceClient
) -> None:
    for number in range(7):
        client.generate({"prompt": f"latecomer {number}", "num_images": 10})
    open_tab(page, "Library")
    page.get_by_label("Search prompts").fill("latecomer")
    library, cells = page.locator("#at-library"), page.locator("#at-library .at-cell")
    expect(library).to_contain_text("70 pictures")  # no others: the search has come
    with late(page, "library") as look:
        client.generate({"prompt": "latecomer of the last moment"})
        look.wait()
        library.get_by_role("button", name="Older").click()
        expect(library).to_contain_text("Page 2")
        page.evaluate(NOTE, ["#at-library", "data-stack"])
    page.wait_for_function("() => window.noted.includes('[]')")
    expect(library).to_contain_text("Page 2")
    expect(cells).to_have_count(10)


def test_a_late_look_at_a_job_does_not_bring_its_deleted_picture_back(page: Page, client: ImageServiceClient) -> None:
    job = generate(page, "gone for good")
    until(page, "succeeded")
    stage = page.locator("#at-stage")
    expect(page.locator("#at-history [data-shows=history]")).to_contain_text("gone for good")
    with late(page, "stage") as look:
        stage.get_by_role("button", name="Favourite").click()
        look.wait()
        client.delete_image(client.job(job).images[0].id)
        expect(stage).to_contain_text("The pictures of this job were deleted.")
        page.evaluate(NOTE, ["#at-stage", "data-mark"])
    page.wait_for_function("id => window.noted.some((mark) => mark?.split(' ').length > 2)")
    expect(stage).to_contain_text("The pictures of this job were deleted.")
