"""quick_start.sh as a person uses it: real processes, the fast test engine, a folder of its own."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

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

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads process groups from /proc")


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "atelier"
    folder.mkdir()
    for name in FILES:
        shutil.copy(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
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
    yield place
    for left in place.ours():
        left.kill()
    for process in place.processes:
        process.communicate()


def installed(place: Place) -> None:
    """Mark the .venv as made from the present requirement files."""
    text = "".join(
        (place.folder / name).read_text() for name in ("requirements.txt", "image_generation_service_requirements.txt")
    )
    mark = hashlib.sha256(sys.version.encode() + text.encode()).hexdigest()
    (place.folder / ".venv" / "requirements.sha256").write_text(f"{mark}\n")


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_help_names_every_command(place: Place) -> None:
    status, printed = place.run("--help")
    assert status == 0
    for command in ("generate", "stop", "doctor", "test"):
        assert command in printed
    status, printed = place.run("nonsense")
    assert status == 1
    assert "no command 'nonsense'" in printed
    assert place.pip_calls == []


def test_generate_starts_the_service_makes_a_picture_and_ends_what_it_started(place: Place) -> None:
    installed(place)
    socks = {
        "all_proxy": "socks5://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    status, printed = place.run("generate", "a red apple on a white table", **socks)
    assert status == 0, printed
    file = Path(printed.splitlines()[-1])
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.is_relative_to(place.folder / "models" / "generated_images_service")
    assert place.pip_calls == []
    assert place.ours() == []
    assert (place.folder / "logs" / "image_service.log").stat().st_size > 0


def test_service_and_page_come_up_are_used_and_ctrl_c_ends_both(place: Place) -> None:
    installed(place)
    script = place.start()
    wait_for(lambda: listens(place.ui_port), "the page")
    status, printed = place.run("generate", "a red apple")
    assert status == 0, printed
    assert listens(place.port), "generate ended a service that it had not started"
    os.kill(script.pid, signal.SIGINT)
    printed, _ = script.communicate(timeout=60)
    assert script.returncode == 130
    assert f"http://127.0.0.1:{place.port}" in printed
    assert f"http://127.0.0.1:{place.ui_port}" in printed
    assert place.ours() == []


def test_a_killed_service_is_started_again(place: Place) -> None:
    installed(place)
    script = place.start()
    pid_file = place.folder / "data" / "run" / "service.pid"
    wait_for(lambda: (place.folder / "data" / "run" / "service.ready").exists(), "the service")
    first = int(pid_file.read_text())
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip() not in ("", str(first)), "a new process")
    status, printed = place.run("generate", "a red apple")
    assert status == 0, printed
    wait_for(lambda: listens(place.ui_port), "the page")
    status, printed = place.run("stop")
    assert status == 0, printed
    printed, _ = script.communicate(timeout=20)
    assert script.returncode == 143, printed  # `stop` asks the script itself, which ends all it started
    assert place.ours() == []


def test_two_at_once_share_one_service(place: Place) -> None:
    installed(place)
    both = [place.start("generate", f"picture {number}") for number in (1, 2)]
    for script in both:
        printed, _ = script.communicate(timeout=150)
        assert script.returncode == 0, printed
    assert len(list((place.folder / "models" / "generated_images_service").rglob("*.png"))) == 2
    assert place.ours() == []


def test_a_taken_port_is_an_error_that_names_the_process(place: Place) -> None:
    installed(place)
    with socket.create_server(("127.0.0.1", place.port)):
        status, printed = place.run()
        assert listens(place.port), "somebody else's process was ended"
    assert status == 1
    assert f"port {place.port}" in printed
    assert f"pid {os.getpid()}" in printed
    assert place.ours() == []


def test_a_service_that_does_not_come_up_says_why(place: Place) -> None:
    installed(place)
    status, printed = place.run("generate", "cat", ATELIER_THREADS="none")
    assert status == 1
    assert "The setting ATELIER_THREADS is 'none'" in printed
    assert "did not start" in printed
    assert place.ours() == []


def test_changed_requirements_are_installed_torch_first_and_only_once(place: Place) -> None:
    status, printed = place.run("doctor")
    assert status == 0, printed
    torch, rest = (call.partition("install ")[2] for call in place.pip_calls)
    assert torch == "torch==2.13.0"
    assert rest == "-r requirements.txt -r image_generation_service_requirements.txt"
    assert place.run("doctor")[0] == 0
    assert len(place.pip_calls) == 2
    with (place.folder / "requirements.txt").open("a") as stream:
        stream.write("# changed\n")
    assert place.run("doctor")[0] == 0
    assert len(place.pip_calls) == 4


def test_from_the_locks_only_files_of_known_hashes_are_installed(place: Place) -> None:
    assert place.run("doctor", ATELIER_LOCKED="1")[0] == 0
    assert place.run("doctor", ATELIER_LOCKED="1")[0] == 0
    assert place.run("doctor", ATELIER_LOCKED="cuda")[0] == 0
    both = "--require-hashes -r requirements.lock -r image_generation_service_requirements.lock"
    calls = [call.partition("install ")[2] for call in place.pip_calls]
    assert calls == [both, f"{both} -r requirements-cuda.lock"]


def test_a_failed_installation_is_an_error_and_tried_again(place: Place) -> None:
    status, printed = place.run("doctor", PIP_FAILS="1")
    assert status == 1
    assert "the installation failed" in printed
    assert place.run("doctor")[0] == 0
    assert len(place.pip_calls) == 3


def test_an_own_environment_for_the_service_is_used_and_not_touched(place: Place) -> None:
    python = place.folder / ".venv-image" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    status, printed = place.run("generate", "a red apple")
    assert status == 0, printed
    assert f"The image service uses {python}" in printed
    assert [call.partition("install ")[2] for call in place.pip_calls] == ["-r requirements.txt"]


def test_an_own_environment_that_lacks_packages_is_named(place: Place) -> None:
    python = place.folder / ".venv-image" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    status, printed = place.run("doctor")
    assert status == 1
    assert f"{python} -m pip install -r image_generation_service_requirements.txt" in printed


def test_an_own_environment_with_an_older_python_is_told_and_left_alone(place: Place) -> None:
    python = place.folder / ".venv-image" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in --version) echo "Python 3.10.14" ;; *) exit 1 ;; esac\n')
    python.chmod(0o755)
    status, printed = place.run("generate", "a red apple")
    assert status == 0, printed
    assert f"{python} is Python 3.10.14; the image service needs Python 3.11 or 3.12, so it runs in .venv" in printed
    assert "conda create -n testbed-image python=3.12" in printed
    assert place.pip_calls[-1].endswith("-r requirements.txt -r image_generation_service_requirements.txt")


def test_what_a_killed_script_left_running_is_ended_by_stop(place: Place) -> None:
    installed(place)
    script = place.start()
    wait_for(lambda: listens(place.ui_port), "the page")
    script.kill()
    assert listens(place.port)
    assert place.run("stop")[0] == 0
    assert place.ours() == []


def test_stop_without_anything_running_says_so(place: Place) -> None:
    assert place.run("stop") == (0, "Nothing that was started from this folder is running.\n")
