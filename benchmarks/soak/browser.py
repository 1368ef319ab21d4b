"""A browser that stays open on the page and makes a picture now and then."""

import threading

from playwright.sync_api import Error

from tests.ui.browser import chromium, visit
from tests.ui.steps import generate, until

PATIENCE_S = 120.0


def keep_browsing(url: str, stop: threading.Event, quiet: threading.Event, made: list[str], wrong: list[str]) -> None:
    """Until told to stop. While things are broken (`quiet` not set) a page may be away; later it may not."""
    with chromium() as browser:
        while not stop.is_set():
            was_quiet = quiet.is_set()
            try:
                with visit(browser, url) as page:
                    while not stop.wait(8):
                        was_quiet = quiet.is_set()
                        job = generate(page, f"from the page {len(made)}", steps=4)
                        until(page, "succeeded", PATIENCE_S)
                        made.append(job)
            except (Error, AssertionError) as error:
                if was_quiet and not stop.is_set():
                    wrong.append(f"browser: {str(error)[:300]}")
                stop.wait(2)
