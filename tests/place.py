"""A copy of the project that quick_start.sh runs in, with its own ports, folders and environment."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.running import free_port

PROJECT = Path(__file__).resolve().parents[1]
FILES = (
    "quick_start.sh",
    "pyproject.toml",
    "image_generation_service.py",
    "image_generation_service_requirements.txt",
    "requirements.txt",
    "requirements-dev.txt",
    "pyproject.toml",  # it is how a checkout is told from an installed package
)
# A .venv that is complete already: its pip only writes down what it was asked.
FAKE_PYTHON = """#!/bin/sh
case "$*" in *"-m pip"*) echo "$@" >>"{log}"; exit ${{PIP_FAILS:-0}} ;; esac
exec "{python}" "$@"
"""


@dataclass
class Place:
    """One copy of the project with its own ports, folders and .venv."""

    folder: Path
    port: int
    ui_port: int
    env: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def pip_calls(self) -> list[str]:
        """What pip was asked to do, a line for each call."""
        log = self.folder / "pip.log"
        return log.read_text().splitlines() if log.exists() else []

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """The script in the background, in a process group of its own like in a terminal."""
        process = subprocess.Popen(
            ["./quick_start.sh", *arguments],
            cwd=self.folder,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Exit status, and what it printed."""
        process = self.start(*arguments, **env)
        printed, _ = process.communicate(timeout=150)
        return process.returncode, printed

    def ours(self) -> list[psutil.Process]:
        """All processes that work in this folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@contextmanager
def a_place(folder: Path) -> Iterator[Place]:
    """The new folder `folder` with a copy in it; whatever still runs there at the end is killed."""
    folder.mkdir()
    for name in FILES:
        shutil.copy(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "app", folder / "app")  # with what Python has compiled already
    (folder / "models").mkdir()
    shutil.copy(PROJECT / "models" / "catalog.toml", folder / "models")
    (folder / "models" / "pocket").symlink_to(PROJECT / "models" / "pocket")
    port, ui_port = free_port(), free_port()
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE_PYTHON.format(log=folder / "pip.log", python=sys.executable))
    python.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ATELIER_", "CONDA"))}
    env |= {
        "ATELIER_ENGINE": "test",
        "ATELIER_PORT": str(port),
        "ATELIER_UI_PORT": str(ui_port),
        "OMP_NUM_THREADS": "1",
    }
    place = Place(folder, port, ui_port, env)
    try:
        yield place
    finally:
        for process in place.ours():
            process.kill()
        for script in place.processes:
            script.communicate()


def installed(place: Place) -> None:
    """Mark the .venv as made from the present requirement files."""
    text = "".join(
        (place.folder / name).read_text() for name in ("requirements.txt", "image_generation_service_requirements.txt")
    )
    mark = hashlib.sha256(sys.version.encode() + text.encode()).hexdigest()
    (place.folder / ".venv" / "requirements.sha256").write_text(f"{mark}\n")


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Ask until it is true, for at most `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """True if somebody on this machine answers at the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
