"""Part `start`: how quickly things are there, and what they hold in memory.

The service until its default model is loaded, the second `generate` from the command line, the service's memory without
its models. The page until it can be used is among the figures of `benchmarks.page`; it is here too.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Options
from benchmarks.page import READY_S, start_and_open
from benchmarks.pocket import running
from tests.running import ROOT, RunningPage
from tests.ui.browser import CHROMIUM, chromium

GENERATE_MOST_S, MEMORY_MOST_MB = 4.0, 150.0
LIMIT_S = 600


def measure(options: Options) -> Iterator[Figure]:
    """The figures of one service."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        with running(options, folder / "service") as victim:
            yield Figure("service: start to ready, with its model", time.monotonic() - began, "s")
            for number in ("first", "second"):
                most = _most(GENERATE_MOST_S, options) if number == "second" else None
                yield Figure(
                    f"{number} `generate` from the command line", _generate(victim.url, folder), "s", most=most
                )
            resident = max(process.memory_info().rss for process in victim.servers())
            yield Figure("service: resident memory", resident / 1e6, "MB", most=_most(MEMORY_MOST_MB, options))
            if CHROMIUM and not options.tiny:
                page = RunningPage(folder / "page", victim.url)
                with chromium() as browser:
                    try:
                        started, used = start_and_open(page, browser)
                        yield Figure("page: start of its process until it answers", started, "s", most=READY_S)
                        yield Figure("page: opened until it can be used", used, "s", most=READY_S)
                    finally:
                        page.stop()


def _most(value: float, options: Options) -> float | None:
    return None if options.tiny else value


def _generate(url: str, folder: Path) -> float:
    """Seconds of the whole command, interpreter included."""
    command = [sys.executable, "-m", "app", "generate", "a red apple", "--url", url, "--out", str(folder / "out")]
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, timeout=LIMIT_S, check=True)
    return time.monotonic() - began
