"""`python -m benchmarks.screens FOLDER`: the page as a person sees it. Exit status 0 = nothing is wrong.

Every tab and the trash × English and Chinese × light and dark × desktop and phone: of each a picture, what axe finds of
any level, and whether something is wider than the window. `FOLDER/sheet-*.jpg` have those of one view side by side.
The real service with the shipped models draws what is shown, or the test engine (`--engine test`).
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from app.client import ImageServiceClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import DESKTOP, PHONE, chromium, visit
from tests.ui.screenshots import views, violations

LANGUAGES = ("en-US", "zh-CN")
SCHEMES = ("light", "dark")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
ENGINES = ("local", "test")
PROMPTS = {"a red apple on a wooden table": 1, "a house by the sea at sunset": 4, "两只猫": 1}
IN_A_SHEET = 560  # pixels that each picture is wide there
TALLEST = 2400


def main() -> int:
    """Draw, look, print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=ENGINES, default="local")
    parser.add_argument("--only", default="", help="part of the names to take, as library-zh-CN-dark-phone")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="atelier-screens-") as name,
        RunningService(Path(name) / "service", ENGINE=chosen.engine) as service,
        RunningPage(Path(name) / "page", service.url) as page,
        ImageServiceClient(service.url) as client,
        chromium() as browser,
    ):
        file = Path(name) / "inspected.png"
        job = _fill(client, file)
        wrong = _look(browser, f"{page.url}/?job={job}", chosen.folder, file, chosen.only)
    _sheets(chosen.folder)
    print(f"{wrong} things are wrong")
    return 1 if wrong else 0


def _fill(client: ImageServiceClient, file: Path) -> str:
    """Pictures, a deleted one, jobs that wait, one that was cancelled; `file` is a saved picture. The job to show."""
    done = [client.generate({"prompt": prompt, "num_images": count}) for prompt, count in PROMPTS.items()]
    file.write_bytes(client.image_bytes(done[0].images[0].id))
    client.set_favourite(done[1].images[0].id, True)
    client.delete_image(done[2].images[0].id)
    client.set_paused(True)
    for number in range(3):
        client.submit({"prompt": f"what waits, number {number}"})
    client.cancel(client.submit({"prompt": "what was cancelled"}).id)
    return done[0].id


def _look(browser: Browser, url: str, folder: Path, file: Path, only: str) -> int:
    """How many things are wrong in all views."""
    wrong = 0
    address, path = url.rsplit("/", 1)
    for language, scheme, size in itertools.product(LANGUAGES, SCHEMES, SIZES):
        options = {"color_scheme": scheme, "viewport": SIZES[size], "has_touch": size == "phone"}
        with visit(browser, address, locale=language, path=f"/{path}", **options) as page:
            for view in views(page, file):
                name = f"{view}-{language}-{scheme}-{size}"
                if only in name:
                    page.screenshot(path=folder / f"{name}.png", full_page=True)
                    found = violations(page)
                    wrong += len(found)
                    print(name, *(found or ["ok"]), flush=True)
    return wrong


def _sheets(folder: Path) -> None:
    """The pictures of one view and one size beside each other."""
    for size, view in itertools.product(SIZES, sorted({file.name.split("-")[0] for file in folder.glob("*-*-*.png")})):
        pictures = [Image.open(file).convert("RGB") for file in sorted(folder.glob(f"{view}-*-{size}.png"))]
        small = [picture.resize((IN_A_SHEET, picture.height * IN_A_SHEET // picture.width)) for picture in pictures]
        if small:
            sheet = Image.new("RGB", (IN_A_SHEET * len(small), min(TALLEST, max(each.height for each in small))))
            for place, each in enumerate(small):
                sheet.paste(each, (place * IN_A_SHEET, 0))
            sheet.save(folder / f"sheet-{view}-{size}.jpg", quality=85)


if __name__ == "__main__":
    sys.exit(main())
