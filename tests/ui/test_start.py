"""A picture to start from, as a person chooses it and paints over it."""

import io
import re
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.models import ModelInfo
from app.core.schema import InputRole, Job
from app.core.sizes import size_of_picture
from app.core.task import Task
from app.ui.memory import StartNow
from app.ui.strings import ENGLISH, Strings
from app.ui.tabs.start_panel import panel_of
from tests.ui.steps import generate, open_tab, set_number, until, write

browser = pytest.mark.browser
WIDTH, HEIGHT = 192, 128


@pytest.fixture(scope="module")
def picture() -> bytes:
    ramp = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    stream = io.BytesIO()
    Image.merge("RGB", (ramp, ramp.rotate(180), ramp)).save(stream, "PNG")
    return stream.getvalue()


def hand_in(page: Page, picture: bytes) -> None:
    """Choose a file in the panel and wait until it can be painted on."""
    expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
    if page.locator("#at-start details[open]").count() == 0:
        page.locator("#at-start summary").click()
    file = {"name": "start.png", "mimeType": "image/png", "buffer": picture}
    page.locator("#at-start input[type=file]").set_input_files(file)
    painting(page)


def painting(page: Page) -> None:
    """The picture is there and has pixels."""
    expect(page.locator("#at-start canvas")).to_be_visible()
    page.wait_for_function(
        "() => { const area = document.querySelector('#at-start canvas');"
        " return area && area.parentElement.style.width; }"
    )


def paint(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """A stroke from one place to another, as shares of the picture's sides."""
    area = page.locator("#at-start canvas")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    x, y, wide, high = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + begin[0] * wide, y + begin[1] * high)
    page.mouse.down()
    page.mouse.move(x + end[0] * wide, y + end[1] * high, steps=4)
    page.mouse.up()


def drawn_with(page: Page, client: ImageServiceClient, prompt: str) -> Job:
    job = generate(page, prompt)
    until(page, "succeeded")
    return client.job(job)


def mask_of(client: ImageServiceClient, job: Job) -> Image.Image:
    [sha256] = [item.sha256 for item in job.request.inputs if item.role is InputRole.MASK]
    return Image.open(io.BytesIO(client.input_bytes(sha256))).convert("L")


@browser
def test_what_is_painted_over_a_picture_is_all_that_is_made_anew(
    page: Page, client: ImageServiceClient, picture: bytes
) -> None:
    hand_in(page, picture)
    says = page.locator("#at-start .at-paint-says")
    expect(says).to_contain_text("the whole picture")
    expect(page.get_by_label("Width")).to_have_value(str(WIDTH))
    steps = page.get_by_role("spinbutton", name="Steps", exact=False).first
    expect(steps).to_have_value("4")  # a strength takes a share of them
    page.get_by_label("Extend evenly to a ratio").select_option("16:9")
    expect(says).to_have_text("It is extended to 224 × 128; what is there stays as it is.")
    expect(page.get_by_label("Width")).to_have_value("224")  # the picture's own size follows
    job = drawn_with(page, client, "a wide table")
    assert (job.request.task, job.request.extend, len(job.request.inputs)) == (Task.INPAINT, (16, 0, 16, 0), 1)
    assert (job.request.width, job.request.height) == (224, 128)
    for side in ("left", "right"):
        page.get_by_label(f"Extend to the {side}").fill("0")
    expect(page.get_by_label("Width")).to_have_value(str(WIDTH))
    paint(page, (0.4, 0.5), (0.6, 0.5))
    expect(says).to_contain_text("Only what is painted")
    job = drawn_with(page, client, "a lemon")
    expect(page.locator("#at-stage .at-facts")).to_contain_text("a picture, a part of it anew")
    mask = mask_of(client, job)
    assert (job.request.task, mask.size) == (Task.INPAINT, (WIDTH, HEIGHT))
    assert (mask.getpixel((WIDTH // 2, HEIGHT // 2)), mask.getpixel((4, 4))) == (255, 0)
    assert {value for _, value in mask.getcolors() or ()} == {0, 255}
    page.get_by_role("button", name="Undo").click()
    whole = str(page.locator("#at-start [data-start]").get_attribute("data-start"))
    page.get_by_role("button", name="Cut out a part").click()
    paint(page, (0.25, 0.25), (0.75, 0.75))
    expect(page.locator("#at-start [data-start]")).not_to_have_attribute("data-start", whole)
    painting(page)
    expect(says).to_contain_text("the whole picture")
    set_number(page, "Strength", 0.6)
    job = drawn_with(page, client, "all of it")
    assert (job.request.task, job.request.strength, len(job.request.inputs)) == (Task.IMAGE, 0.6, 1)
    part = client.input(job.request.inputs[0].sha256)
    assert (abs(part.width - WIDTH // 2) < 4, abs(part.height - HEIGHT // 2) < 4) == (True, True)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#at-start .at-drop")).to_be_visible()
    expect(steps).to_have_value("2")
    job = drawn_with(page, client, "from words")
    assert (job.request.task, job.request.strength, job.request.inputs) == (Task.TEXT, None, ())


@browser
def test_the_picture_and_what_is_painted_survive_a_reload(
    page: Page, client: ImageServiceClient, picture: bytes
) -> None:
    hand_in(page, picture)
    paint(page, (0.2, 0.3), (0.3, 0.3))
    page.get_by_role("button", name="Eraser").click()
    paint(page, (0.9, 0.9), (0.9, 0.9))
    before = drawn_with(page, client, "before")
    page.reload()
    painting(page)
    assert drawn_with(page, client, "after").request.inputs == before.request.inputs


@browser
def test_a_picture_that_is_gone_is_told_after_a_reload(page: Page) -> None:
    page.evaluate(f"sessionStorage.setItem('atelier-start', '{'0' * 64}')")
    page.reload()
    expect(page.locator("#at-start .at-notice")).to_contain_text("no longer here")
    write(page, "still there")
    page.locator("#at-generate").click()
    until(page, "succeeded")


@browser
def test_a_picture_made_here_is_the_next_start_from_the_stage_and_from_the_library(
    page: Page, client: ImageServiceClient
) -> None:
    first = drawn_with(page, client, "the first of a chain")
    page.locator("#at-stage [data-act=start]").click()
    painting(page)
    second = drawn_with(page, client, "the second of a chain")
    image = client.image_bytes(first.images[0].id)
    [start] = second.request.inputs
    assert client.input(start.sha256).said["made_by"]
    assert Image.open(io.BytesIO(client.input_bytes(start.sha256))).tobytes() == Image.open(io.BytesIO(image)).tobytes()
    page.get_by_role("button", name="Remove", exact=True).click()
    open_tab(page, "Library")
    page.locator(f'#at-library [data-zoom][data-start-from="{second.images[0].id}"]').click()
    page.get_by_role("dialog").get_by_role("button", name="Use as start").click()
    painting(page)
    page.locator("#at-stage").wait_for()
    third = drawn_with(page, client, "the third of a chain")
    assert third.request.inputs[0].sha256 != start.sha256


@browser
def test_one_click_makes_four_variations_of_a_picture(page: Page, client: ImageServiceClient) -> None:
    first = drawn_with(page, client, "one of five")
    page.get_by_label("How far the variations go").fill("0.15")
    page.locator("#at-stage [data-act=variations]").click()
    expect(page.locator("#at-stage .at-job[data-state=succeeded] .at-gallery figure")).to_have_count(4)
    job = client.job(str(page.locator("#at-stage .at-job").get_attribute("data-job")))
    assert (job.request.prompt, job.request.seed, job.request.task) == ("one of five", first.request.seed, Task.TEXT)
    assert job.request.subseed_strength == 0.15
    assert len({client.image_bytes(image.id) for image in (*first.images, *job.images)}) == 5


@browser
def test_an_inspected_picture_and_a_recipes_own_start_come_back(
    page: Page, client: ImageServiceClient, picture: bytes
) -> None:
    open_tab(page, "Inspect")
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": picture}
    page.locator("#at-inspect-file input[type=file]").set_input_files(file)
    page.locator("#at-inspect").get_by_role("button", name="Use as start").click()
    painting(page)
    paint(page, (0.5, 0.5), (0.6, 0.6))
    made = drawn_with(page, client, "with its start")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#at-start .at-drop")).to_be_visible()
    page.locator("#at-stage").get_by_role("button", name="Use as new settings").click()
    painting(page)
    expect(page.locator("#at-start .at-paint-says")).to_contain_text("Only what is painted")
    again = drawn_with(page, client, "with its start again")
    assert again.request.inputs == made.request.inputs


@pytest.mark.parametrize("value", [None, [], "x", {}, {"sha256": 7}, {"sha256": "A" * 64}, {"sha256": "a" * 63}])
def test_what_a_browser_says_of_a_start_is_believed_only_if_it_is_a_name(value: object) -> None:
    assert StartNow.read(value) is None


def test_a_recipe_with_strange_pictures_shows_an_empty_panel() -> None:
    words = Strings().words(ENGLISH)
    strange: list[Any] = [None, 7, ["x"], [{}], [{"role": "mask", "sha256": "a" * 64}], [{"sha256": "<script>"}]]
    for inputs in strange:
        assert 'data-start=""' in panel_of({"inputs": inputs}, words)
    assert f'data-start="{"a" * 64}"' in panel_of({"inputs": [{"sha256": "a" * 64}]}, words)


@pytest.mark.parametrize(
    ("size", "wanted"), [((256, 128), (256, 128)), ((4000, 4000), (128, 128)), ((130, 130), (128, 128))]
)
def test_a_new_picture_has_the_size_of_its_start_where_the_model_can(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    model = ModelInfo(key="pocket", title="Pocket", pipeline="StableDiffusionPipeline", width=128, height=128)
    assert size_of_picture(*size, model) == wanted
