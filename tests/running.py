"""The real programs in processes of their own, on free ports, with their own folders: for tests that break them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import requests

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningProgram:
    """A program that serves HTTP. `settings` are environment variables without `ATELIER_`; nobody else's count.

    Use as a context manager: it ends what it started.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], port: int, ready: str, settings: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        quiet = {"ATELIER_FIND_MODEL": ""}  # engines look at no pictures while a test counts what they do
        self.environment = inherited | quiet | {f"ATELIER_{name}": value for name, value in settings.items()}
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int | None:
        """Of the running process; None while there is none."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.folder / "program.out").read_text("utf-8", "replace")

    def start(self, timeout_s: float = 60) -> float:
        """Start it and wait until it is ready; the seconds that took."""
        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (self.folder / "program.out").open("ab") as out:
            command = [sys.executable, *self._command]
            self._process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=out, stderr=out)
        while time.monotonic() - began < timeout_s:
            if self._process.poll() is not None:
                raise AssertionError(f"the program ended with {self._process.returncode}:\n{self.log[-3000:]}")
            if self._is_ready():
                return time.monotonic() - began
            time.sleep(0.05)
        raise AssertionError(f"the program was not ready after {timeout_s} s:\n{self.log[-3000:]}")

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
                return session.get(self.url + self._ready, timeout=2).status_code == 200
        except requests.RequestException:
            return False


class RunningService(RunningProgram):
    """`image_generation_service.py` in `folder`, with the fast test engine unless `settings` say otherwise."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = free_port()
        wanted = {
            "PORT": str(port),
            "DATA_FOLDER": str(folder / "data"),
            "OUTPUT_FOLDER": str(folder / "output"),
            "LOGS_FOLDER": str(folder / "logs"),
            "ENGINE": "test",
            **settings,
        }
        super().__init__(folder, ["image_generation_service.py"], port, "/ready", wanted)


class RunningPage(RunningProgram):
    """`python -m app.ui` in `folder`, looking at the service at `service_url`."""

    program: tuple[str, ...] = ("-m", "app.ui")

    def __init__(self, folder: Path, service_url: str, *arguments: str, **settings: str) -> None:
        port = free_port()
        wanted = {"SERVICE_URL": service_url, "DATA_FOLDER": str(folder / "data"), **settings}
        command = [*self.program, "--port", str(port), *arguments]
        super().__init__(folder, command, port, "/atelier/health", wanted)


class WatchedPage(RunningPage):
    """The page, with a list of what it opens and calls."""

    def __init__(self, folder: Path, service_url: str, *arguments: str, **settings: str) -> None:
        self._watch = folder / "opened.txt"
        self.program = ("-m", "tests.ui.watched_page", str(self._watch))
        super().__init__(folder, service_url, *arguments, **settings)

    @property
    def opened(self) -> str:
        """A line for each path that it opened and each address that it called so far."""
        return self._watch.read_text("utf-8", "replace")
