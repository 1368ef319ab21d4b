"""A real image service in a process of its own, on a free port, with its own data folder: for tests that break it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import requests

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningService:
    """`image_generation_service.py` in `folder`, with the fast test engine unless `settings` say otherwise.

    `settings` are environment variables without `ATELIER_`. Use as a context manager: it ends what it started.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        wanted = {
            "PORT": str(self.port),
            "DATA_FOLDER": str(folder / "data"),
            "OUTPUT_FOLDER": str(folder / "output"),
            "LOGS_FOLDER": str(folder / "logs"),
            "ENGINE": "test",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        self.environment = inherited | {f"ATELIER_{name}": value for name, value in wanted.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the service printed so far."""
        return (self.folder / "service.out").read_text("utf-8", "replace")

    def start(self, timeout_s: float = 60) -> None:
        """Start it and wait until it takes work."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "service.out").open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "image_generation_service.py")],
                env=self.environment,
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"the service ended with {self._process.returncode}:\n{self.log[-3000:]}")
            if self._is_ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"the service was not ready after {timeout_s} s:\n{self.log[-3000:]}")

    def stop(self, timeout_s: float = 30) -> int | None:
        """SIGTERM and wait; its exit status."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        return status

    def kill(self) -> None:
        """`kill -9` of the process that was started. What it started itself must end by itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.get(f"{self.url}/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False
