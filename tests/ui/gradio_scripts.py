"""`python -m tests.ui.gradio_scripts`: write down which of Gradio's scripts the page asks for when it is opened, so
that the page can tell a browser of all of them at once (`app/ui/gradio_files.py`)."""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

from app.ui.gradio_files import LISTED
from tests.running import RunningPage, RunningService
from tests.ui.browser import chromium, visit

ASKED = "performance.getEntriesByType('resource').map((each) => each.name)"


def asked_by(page: Page) -> set[str]:
    """The scripts that this page found, besides the one that runs Gradio."""
    paths = [Path(urlsplit(name).path) for name in page.evaluate(ASKED)]
    first = page.evaluate("document.querySelector('link[data-needs]').href").rpartition("/")[2]
    return {path.name for path in paths if path.parent.name == "assets" and path.suffix == ".js"} - {first}


def main() -> None:
    """Write the list."""
    LISTED.write_text("", "utf-8")  # the page finds them by itself
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(Path(folder) / "service") as service,
        RunningPage(Path(folder) / "page", service.url) as process,
        chromium() as browser,
        visit(browser, process.url) as page,
    ):
        names = sorted(asked_by(page))
    LISTED.write_text("".join(f"{name}\n" for name in names), "utf-8")


if __name__ == "__main__":
    main()
