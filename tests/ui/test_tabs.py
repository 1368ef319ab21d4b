"""Library, inspect and models tab; languages, sizes, colours, and people who use no mouse or no eyes."""

import io
import re
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from tests.hub_server import Hub
from tests.running import RunningPage
from tests.ui.browser import DESKTOP, PHONE, visit
from tests.ui.conftest import EVIL
from tests.ui.screenshots import TABS as SHOWN
from tests.ui.screenshots import views, violations
from tests.ui.steps import generate, open_tab, picture_is_there, until, write

pytestmark = pytest.mark.browser
TABS = ("Image generation", "Describe", "Grid", "Library", "Queue", "Inspect", "Models")


def test_a_downloaded_picture_is_the_saved_file_and_gives_the_identical_image_again(
    page: Page, client: ImageServiceClient
) -> None:
    job = client.job(generate(page, "the same again, please"))
    card = until(page, "succeeded")
    with page.expect_download() as download:
        card.get_by_role("link", name="Download PNG").click()
    assert re.fullmatch(r"atelier-\d+-[0-9a-f]{8}\.png", download.value.suggested_filename)  # the seed
    path = download.value.path()
    saved = client.image_bytes(client.job(job.id).images[0].id)
    assert path.read_bytes() == saved

    open_tab(page, "Inspect")
    page.locator("#at-inspect-file input[type=file]").set_input_files(
        {"name": f"{EVIL}.png", "mimeType": "image/png", "buffer": saved}
    )
    expect(page.locator("#at-inspect")).to_contain_text("Made with Atelier")
    page.locator("#at-inspect").get_by_role("button", name="Use as new settings").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("the same again, please")
    page.locator("#at-generate").click()
    page.wait_for_function("old => document.querySelector('#at-stage .at-job').dataset.job !== old", arg=job.id)
    again = until(page, "succeeded").get_attribute("data-job")
    pixels = [
        Image.open(io.BytesIO(client.image_bytes(client.job(str(id)).images[0].id))).tobytes() for id in (job.id, again)
    ]
    assert pixels[0] == pixels[1]


def test_a_picture_is_deleted_only_after_a_yes(page: Page, client: ImageServiceClient) -> None:
    job = client.generate({"prompt": "delete me from the library"})
    open_tab(page, "Library")
    page.get_by_role("radio", name="By prompt").check()
    page.get_by_label("Search prompts").fill("delete me from the library")
    group = page.locator("#at-library .at-group", has_text="delete me from the library")
    group.get_by_role("button", name="Delete", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert client.image(job.images[0].id)
    group.get_by_role("button", name="Delete", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#at-toast")).to_contain_text("deleted")
    expect(page.locator("#at-library")).to_contain_text("Nothing fits this search.")
    assert client.job(job.id).images == ()
    assert client.images(q="delete me from the library")[0] == []


def test_search_and_favourites_find_a_picture_again(page: Page, client: ImageServiceClient) -> None:
    client.generate({"prompt": "一只戴帽子的猫"})
    client.generate({"prompt": "a dog without a hat"})
    open_tab(page, "Library")
    page.get_by_role("radio", name="By prompt").check()
    page.get_by_label("Search prompts").fill("戴帽子")
    groups = page.locator("#at-library .at-group")
    expect(groups).to_have_count(1)
    star = groups.get_by_role("button", name="Favourite")
    star.click()
    expect(groups.locator("[data-act=favourite]")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Search prompts").fill("")
    page.get_by_label("Only favourites").check()
    expect(groups.first).to_contain_text("一只戴帽子的猫")
    expect(page.locator("#at-library")).not_to_contain_text("a dog without a hat")


def test_a_model_is_unloaded_and_loaded_again(page: Page) -> None:
    open_tab(page, "Models")
    card = page.locator("#at-models [data-model=pocket]")
    expect(card).to_contain_text(re.compile(r"\d+ MB"))
    if card.get_attribute("data-state") != "loaded":
        card.get_by_role("button", name="Load model").click()
    expect(card).to_have_attribute("data-state", "loaded")
    card.get_by_role("button", name="Unload").click()
    expect(card).to_have_attribute("data-state", "unloaded")
    card.get_by_role("button", name="Load model").click()
    expect(card).to_have_attribute("data-state", "loaded")


def test_a_model_of_the_hub_is_downloaded_stopped_gone_on_with_and_cleaned(
    page: Page, client: ImageServiceClient, hub: Hub
) -> None:
    open_tab(page, "Models")
    hub.bytes_per_s = 400_000
    expect(page.locator("#at-models [data-model=pocket]")).to_contain_text(
        re.compile("Runs here.*Yes: it needs .* of memory")
    )
    page.get_by_label("A model of the hub").fill(" https://huggingface.co/somebody/tiny/tree/main ")
    page.locator("#at-fetch").click()
    card = page.locator("#at-models [data-model='somebody/tiny']")
    expect(card).to_contain_text(re.compile(r"Downloading: .* of 2.0 MB · .*/s · .* left"))
    expect(page.get_by_label("A model of the hub")).to_have_value("")
    card.get_by_role("button", name="Stop the download").click()
    expect(card).to_contain_text("Partly here")
    hub.bytes_per_s = 0
    card.get_by_role("button", name="Go on with the download").click()
    expect(card).to_contain_text("Installed")
    expect(card.get_by_role("button", name="Load model")).to_be_visible()
    # One that fails says why, and goes away when it is told to.
    page.get_by_label("A model of the hub").fill("nobody/nothing")
    page.get_by_label("A model of the hub").press("Enter")
    wrong = page.locator("#at-models [data-model='nobody/nothing']")
    expect(wrong).to_contain_text("The hub has no model 'nobody/nothing'")
    wrong.get_by_role("button", name="Dismiss").click()
    expect(wrong).to_have_count(0)
    page.get_by_label("A model of the hub").fill("not a name")
    page.get_by_label("A model of the hub").press("Enter")
    expect(page.locator("#at-toast")).to_contain_text("There is no such model")
    # What is there in part is removed after a yes.
    hub.repository, hub.budget = "somebody/half", hub.bytes_sent + 500_000
    page.get_by_label("A model of the hub").fill("somebody/half")
    page.get_by_label("A model of the hub").press("Enter")
    half = page.locator("#at-models [data-model='somebody/half']")
    expect(half).to_contain_text(re.compile("Downloading: (?!0 B).* of 2.0 MB"))
    half.get_by_role("button", name="Stop the download").click()
    half.get_by_role("button", name="Remove the part").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(half).to_have_count(0)
    assert "somebody/half" not in {model.key for model in client.models()}


def test_one_click_downloads_a_model_that_is_not_here_and_draws(page: Page, hub: Hub) -> None:
    page.locator("#at-model input").click()
    page.get_by_role("option", name="Z-Image-Turbo").click()
    line = page.locator("#at-model-line")
    expect(line).to_contain_text("Not downloaded")
    expect(line).to_contain_text("licence:")
    write(page, "what is not here yet")
    page.locator("#at-generate").click()
    message = page.locator("#at-toast")
    expect(message).to_contain_text("The model's files are not on this machine.")
    hub.repository = "somebody/else"
    message.get_by_role("button", name=re.compile(r"^Download \d+(\.\d)? GB, then draw$")).click()
    expect(line).to_contain_text("The hub has no model 'Tongyi-MAI/Z-Image-Turbo'")
    expect(line).to_contain_text("Drawn as soon as z-image-turbo is here: “what is not here yet”")
    page.reload()  # it is the browser that waits, not this page
    hub.repository, hub.budget = "Tongyi-MAI/Z-Image-Turbo", None
    line.get_by_role("button", name="Download").click()
    expect(until(page, "succeeded")).to_contain_text("what is not here yet")
    expect(line).not_to_contain_text("Drawn as soon as")


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW"])
def test_a_chinese_browser_reads_chinese(browser: Browser, page_process: RunningPage, locale: str) -> None:
    with visit(browser, page_process.url, locale=locale) as page:
        expect(page.locator("#at-generate")).to_have_text("🎨 生成图像")
        expect(page.get_by_role("tab", name="多模态系统")).to_be_visible()
        for text in ("正向提示词", "负向提示词", "推理步数", "引导强度", "随机种子", "生成数量", "生成历史", "在线"):
            expect(page.get_by_text(text).first).to_be_attached()
        page.locator("#at-generate").click()
        expect(page.locator("#at-toast")).to_contain_text("请先填写正向提示词")


def test_any_other_browser_reads_english(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, locale="fr-FR") as page:
        expect(page.locator("#at-generate")).to_have_text("🎨 Generate")
        expect(page.locator("#at-header")).to_contain_text("Online")
        expect(page).to_have_title("Atelier")


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, viewport=PHONE, has_touch=True) as page:
        write(page, "x" * 300)
        page.locator("#at-generate").click()
        until(page, "succeeded")
        for tab in TABS:
            open_tab(page, tab)
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab


def test_a_dark_desktop_gets_a_dark_page(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, color_scheme="dark") as page:
        page.wait_for_function("document.body.classList.contains('dark')")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert all(int(value) < 60 for value in re.findall(r"\d+", ground)[:3]), ground


@pytest.mark.parametrize(
    ("language", "scheme", "size", "tabs"),
    [("en-US", "light", DESKTOP, SHOWN), ("zh-CN", "dark", PHONE, ("generate", "library"))],
)
def test_axe_finds_nothing_in_any_tab(
    browser: Browser,
    page_process: RunningPage,
    client: ImageServiceClient,
    language: str,
    scheme: str,
    size: Any,
    tabs: Sequence[str],
) -> None:
    """`python -m benchmarks.screens` asks it about every other combination, too."""
    job = client.generate({"prompt": "for everybody", "num_images": 2})
    client.delete_image(job.images[0].id)
    options = {"locale": language, "color_scheme": scheme, "viewport": size, "path": f"/?job={job.id}"}
    with visit(browser, page_process.url, **options) as page:
        until(page, "succeeded")
        found = {view: violations(page) for view in views(page, tabs=tabs)}
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


def test_an_attack_in_a_prompt_or_a_file_name_is_only_text(
    browser: Browser, page_process: RunningPage, client: ImageServiceClient
) -> None:
    attack = EVIL + "<script>alert(2)</script>{{constructor}}${alert(3)}` onclick=alert(4)"
    with visit(browser, page_process.url) as page:
        alarms: list[str] = []
        page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda sent: alarms.append(sent.url) if sent.url.endswith("/x") else None)
        generate(page, attack)
        expect(until(page, "succeeded").locator(".at-prompt")).to_have_text(attack)
        picture_is_there(page)
        for tab in TABS:
            open_tab(page, tab)
            page.wait_for_timeout(400)
        expect(page.locator("#at-models")).to_contain_text(EVIL)
        assert page.locator("img[src='x']").count() == 0
        assert alarms == []


def test_a_large_picture_opens_and_closes_with_the_keyboard(page: Page) -> None:
    generate(page, "look closely")
    until(page, "succeeded")
    page.locator("#at-stage .at-picture").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.className").startswith("at-picture")
