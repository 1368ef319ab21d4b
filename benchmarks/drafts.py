"""`python -m benchmarks.drafts`: 100 drafts, and what happens to browsers. Exit status 0 = none was lost.

After each draft one thing is drawn by chance: a reload, a second tab, a crash of the tab's process, the page's server
killed (`kill -9`) and started again, or the browser closed and opened again. Then the draft must stand in the form.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import BrowserContext, Error, Page, Playwright, TimeoutError, expect, sync_playwright

from tests.running import RunningPage, RunningService
from tests.ui.browser import ARGUMENTS, CHROMIUM, PATIENCE_MS, opened

LOOK_MS = 10_000


class Visitor:
    """One browser with its profile, and the tab that is written in."""

    def __init__(self, playwright: Playwright, folder: Path, process: RunningPage) -> None:
        self._playwright = playwright
        self._folder = folder
        self._process = process
        self._browser = self._open()
        self.tab = self._new_tab()
        self.happenings: dict[str, Callable[[], object]] = {
            "reload": lambda: self.tab.reload(),
            "second tab": self._second_tab,
            "crash": self._crash,
            "server killed": self._kill_server,
            "browser restart": self._restart_browser,
        }

    def close(self) -> None:
        """End the browser."""
        self._browser.close()

    def _second_tab(self) -> None:
        """A new tab begins with the latest draft; the old one is closed."""
        before, self.tab = self.tab, self._new_tab()
        before.close()

    def _crash(self) -> None:
        """The tab's own process dies; its address is opened again in a new one."""
        with suppress(Error):  # that is the answer of a page that has crashed
            self.tab.goto("chrome://crash", timeout=5000)
        self.tab.close()
        self.tab = self._new_tab()

    def _kill_server(self) -> None:
        """`kill -9` of the page's server."""
        self._process.kill()
        self._process.start()
        self.tab.reload()

    def _restart_browser(self) -> None:
        """All windows are closed, and the browser is opened again."""
        self._browser.close()
        self._browser = self._open()
        self.tab = self._new_tab()

    def _open(self) -> BrowserContext:
        return self._playwright.chromium.launch_persistent_context(
            self._folder, executable_path=CHROMIUM, args=list(ARGUMENTS), locale="en-US"
        )

    def _new_tab(self) -> Page:
        tab = self._browser.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        opened(tab, self._process.url)
        return tab


def main() -> int:
    """Write, disturb, look; say how many were lost to what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drafts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=13, help="stop after so long, and say how many there were")
    chosen = parser.parse_args()
    chance, end = random.Random(chosen.seed), time.monotonic() + 60 * chosen.minutes
    folder = Path(tempfile.mkdtemp(prefix="atelier-drafts-"))
    done: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    try:
        with (
            RunningService(folder / "service") as service,
            RunningPage(folder / "page", service.url) as process,
            sync_playwright() as playwright,
        ):
            visitor = Visitor(playwright, folder / "profile", process)
            for number in range(chosen.drafts):
                if time.monotonic() > end:
                    break
                happens = chance.choice([*visitor.happenings])
                text = f"draft {number}: {chance.randbytes(6).hex()}"
                visitor.tab.locator("#at-prompt textarea").fill(text)
                visitor.happenings[happens]()
                done[happens] += 1
                lost[happens] += not _stands(visitor.tab, text)
            visitor.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, number in sorted(done.items()):
        print(f"{name:16} {number:4} times, {lost[name]} lost")
    print(f"{done.total()} drafts, {lost.total()} lost")
    return 0 if lost.total() == 0 else 1


def _stands(tab: Page, text: str) -> bool:
    try:
        expect(tab.locator("#at-prompt textarea")).to_have_value(text, timeout=LOOK_MS)
    except (AssertionError, TimeoutError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
