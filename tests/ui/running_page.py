"""The real page in a process of its own, on a free port."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import requests

from tests.running import ROOT, free_port


class RunningPage:
    """`python -m app.ui` in `folder`, looking at the service at `service_url`. It ends with its `with` block."""

    def __init__(self, folder: Path, service_url: str, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        wanted = {"SERVICE_URL": service_url, "DATA_FOLDER": str(folder / "data"), **settings}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        self._environment = inherited | {f"ATELIER_{name}": value for name, value in wanted.items()}
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process behind it."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.folder / "page.out").read_text("utf-8", "replace")

    def start(self, timeout_s: float = 60) -> float:
        """Start it and wait until it answers; the seconds that took."""
        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (self.folder / "page.out").open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.ui", "--port", str(self.port), *self._arguments],
                env=self._environment,
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
        while time.monotonic() - began < timeout_s:
            if self._process.poll() is not None:
                raise AssertionError(f"the page ended with {self._process.returncode}:\n{self.log[-3000:]}")
            try:
                if requests.get(self.url + "/atelier/health", timeout=2).ok:
                    return time.monotonic() - began
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"the page was not there after {timeout_s} s:\n{self.log[-3000:]}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._process = None
