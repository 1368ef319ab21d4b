"""`python -m benchmarks.story FOLDER`: from one picture to the next in a real browser, filmed; each from its PNG again.

A real service that draws with `pocket`, the real page, Chromium. A screenshot after each step; then every PNG alone is
dropped into Inspect, used, and the picture that comes of it is held against it. Prints one JSON object; status 1 if a
pixel outside a mask changed, or a picture was not the same the second time.
"""

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import DESKTOP, chromium, visit
from tests.ui.steps import generate, open_tab, picture_is_there, set_number, until, write

FIRST, LEMON = "a red apple on a white table", "a lemon on a white table"
SEED = 7
WIDE = (100, 100)  # pixels beyond left and right: 456x256 is as near to 16:9 as steps of 8 are
SHOWN = "() => document.querySelector('#at-inspect img')?.src"  # no two files that follow each other look alike
PATIENCE_S = 240.0  # seconds of one job on a busy machine


class Story:
    """One visitor, and what was seen."""

    def __init__(self, page: Page, client: ImageServiceClient, folder: Path) -> None:
        self.page, self.client, self.folder = page, client, folder
        self.seen: dict[str, bool] = {}
        self.files: dict[str, bytes] = {}

    def film(self, name: str) -> None:
        """A screenshot of what is shown now."""
        self.page.screenshot(path=self.folder / f"{len(list(self.folder.iterdir())):02}-{name}.png")

    def picture(self, job: str, index: int = 0) -> Image.Image:
        """A picture of a job, as its file has it."""
        return Image.open(io.BytesIO(self.client.image_bytes(self.client.job(job).images[index].id))).convert("RGB")

    def done(self, name: str, job: str) -> None:
        """The job has succeeded: its first picture is to be made again, and what is shown is filmed."""
        until(self.page, "succeeded", PATIENCE_S)
        picture_is_there(self.page)
        self.files[name] = self.client.image_bytes(self.client.job(job).images[0].id)
        self.film(name)

    def pressed(self, press: Callable[[], None]) -> str:
        """The id of the job that comes of pressing something."""
        before = self.page.locator("#at-stage .at-job").first.get_attribute("data-job")
        press()
        new = self.page.locator(f"#at-stage .at-job:not([data-job='{before}'])").first
        new.wait_for()
        return str(new.get_attribute("data-job"))


def begin(story: Story) -> str:
    """The first picture."""
    expect(story.page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
    set_number(story.page, "Seed", SEED)
    job = generate(story.page, FIRST)
    story.done("apple", job)
    return job


def lemon(story: Story, apple: str) -> None:
    """A mask over the apple; the rest stays as it is."""
    page = story.page
    page.locator("#at-stage [data-act=start]").first.click()
    area = page.locator("#at-start canvas")
    expect(area).to_be_visible()
    page.wait_for_function("() => document.querySelector('#at-start canvas').parentElement.style.width")
    page.locator("#at-start .at-brush").fill("40")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    for down in (0.3, 0.4, 0.5, 0.6):  # the brush is 40 % wide: the apple with its leaf
        page.mouse.move(box["x"] + 0.35 * box["width"], box["y"] + down * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.65 * box["width"], box["y"] + down * box["height"], steps=6)
        page.mouse.up()
    story.film("mask")
    set_number(page, "Strength", 1)
    job = generate(page, LEMON)
    story.done("lemon", job)
    made, before = story.picture(job), story.picture(apple)
    [sha256] = [item.sha256 for item in story.client.job(job).request.inputs if item.role.value == "mask"]
    mask = Image.open(io.BytesIO(story.client.input_bytes(sha256))).convert("L").resize(before.size, 0)
    changed = ImageChops.difference(made, before).convert("L").point(lambda value: value and 255)
    outside = ImageChops.multiply(changed, ImageChops.invert(mask))
    story.seen["the table stays, byte by byte"] = outside.getbbox() is None
    story.seen["under the mask it is another picture"] = changed.getbbox() is not None


def outpaint(story: Story, apple: str) -> None:
    """The first picture, made wider."""
    page = story.page
    page.get_by_role("button", name="Remove all that is painted").click()
    page.get_by_label("Extend evenly to a ratio").select_option("16:9")
    expect(page.get_by_label("Width")).to_have_value(str(256 + sum(WIDE)))
    story.film("wider")
    job = generate(page, FIRST)
    story.done("outpaint", job)
    made, before = story.picture(job), story.picture(apple)
    inside = made.crop((WIDE[0], 0, WIDE[0] + before.width, before.height))
    story.seen["what is extended keeps its middle"] = inside.tobytes() == before.tobytes()
    story.seen["it is as wide as asked for"] = made.size == (before.width + sum(WIDE), before.height)
    page.get_by_role("button", name="Remove", exact=True).click()


def more(story: Story) -> None:
    """Four variations, and twice as large."""
    page = story.page
    set_number(page, "Seed", SEED)
    page.get_by_label("1:1").check()
    story.done("again", generate(page, FIRST))
    job = story.pressed(lambda: page.locator("#at-stage [data-act=variations]").first.click())
    story.done("variations", job)
    story.seen["four variations, all of them others"] = (
        len({image.sha256 for image in story.client.job(job).images}) == 4
    )
    job = story.pressed(lambda: page.locator("#at-stage [data-act=upscale]").first.click())
    story.done("twice", job)
    story.seen["twice as large"] = story.picture(job).size == (512, 512)


def grid(story: Story) -> None:
    """Colours and nouns, three each."""
    page = story.page
    write(page, "a red apple")
    open_tab(page, "Grid")
    for axis, words in (("X: columns", "red, green, blue"), ("Y: rows", "apple, cup, car")):
        page.get_by_label(axis).click()
        page.get_by_role("option", name="Words of the prompt").last.click()
        page.get_by_label("Values").nth(0 if axis.startswith("X") else 1).fill(words)
    page.locator("#at-grid-make").click()
    card = page.locator("#at-grid-page .at-card[data-state=succeeded]")
    expect(card).to_be_visible(timeout=PATIENCE_S * 1000)
    expect(card.locator("td .at-picture")).to_have_count(9)
    card.locator("table").scroll_into_view_if_needed()
    story.film("grid")
    found = story.client.grid(str(card.get_attribute("data-grid")))
    cells = [story.client.job(cell.job_id).images[0] for cell in found.cells]
    story.seen["nine cells, all of them others"] = len({image.sha256 for image in cells}) == 9
    story.files["cell"] = story.client.image_bytes(cells[4].id)
    sheet_again(story, found.id)


def sheet_again(story: Story, grid_id: str) -> None:
    """The sheet of a grid alone: dropped into Inspect, made again, and the same pixels come of it."""
    page, sheet = story.page, story.client.sheet(grid_id)
    drop(page, "sheet", sheet)
    button = page.locator("#at-inspect [data-act=make-grid]")
    expect(button).to_be_visible()
    story.film("inspect-sheet")
    button.click()
    card = page.locator(f"#at-grid-page .at-card[data-state=succeeded]:not([data-grid='{grid_id}'])")
    expect(card).to_be_visible()
    made = story.client.sheet(str(card.get_attribute("data-grid")))
    story.seen["the sheet again from its PNG alone"] = pixels(made) == pixels(sheet)


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a PNG into Inspect, and wait for what is said of it."""
    open_tab(page, "Inspect")
    before = page.evaluate(SHOWN)
    page.locator("#at-inspect-file input[type=file]").set_input_files(
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": data}
    )
    page.wait_for_function(f"before => ({SHOWN})() !== before", arg=before)


def pixels(data: bytes) -> bytes:
    """Those of a PNG."""
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def again(story: Story, name: str, data: bytes) -> None:
    """A PNG alone: dropped into Inspect, used, and the same pixels come of it."""
    page = story.page
    drop(page, name, data)
    before = page.locator("#at-stage .at-job").first.get_attribute("data-job")
    button = page.locator("#at-inspect [data-act=apply]").first
    expect(button).to_be_visible()
    story.film(f"inspect-{name}")
    button.click()
    expect(page.get_by_role("tab", name="Image generation")).to_have_attribute("aria-selected", "true")
    if name != "twice":
        expect(page.locator("#at-toast")).to_contain_text("settings")
        page.locator("#at-generate").click()
    new = page.locator(f"#at-stage .at-job:not([data-job='{before}'])").first
    new.wait_for()
    job = str(new.get_attribute("data-job"))
    until(page, "succeeded", PATIENCE_S)
    story.seen[f"{name} again from its PNG alone"] = story.picture(job).tobytes() == pixels(data)


def contact_sheet(folder: Path) -> None:
    """All screenshots as one picture."""
    shots = sorted(folder.glob("[0-9]*.png"))
    sheet = Image.new("RGB", (3 * 480, (len(shots) + 2) // 3 * 320), "white")
    for place, shot in enumerate(shots):
        with Image.open(shot) as opened:
            small = opened.convert("RGB").resize((470, 294))
        at = place % 3 * 480, place // 3 * 320
        sheet.paste(small, (at[0] + 5, at[1] + 20))
        ImageDraw.Draw(sheet).text((at[0] + 5, at[1] + 4), shot.stem, fill="black")
    sheet.save(folder / "all.png")


def main(folder: Path) -> int:
    """Tell the story; the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    with (
        tempfile.TemporaryDirectory() as name,
        RunningService(Path(name) / "service", ENGINE="local") as service,
        RunningPage(Path(name) / "page", service.url) as process,
        chromium() as browser,
        visit(browser, process.url, viewport=DESKTOP) as page,
        ImageServiceClient(service.url) as client,
    ):
        page.set_default_timeout(1000 * PATIENCE_S)
        expect.set_options(timeout=1000 * PATIENCE_S)
        story = Story(page, client, folder)
        apple = begin(story)
        lemon(story, apple)
        outpaint(story, apple)
        more(story)
        grid(story)
        for each, data in story.files.items():
            again(story, each, data)
    contact_sheet(folder)
    sys.stdout.write(json.dumps(story.seen, indent=1) + "\n")
    return 0 if all(story.seen.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
