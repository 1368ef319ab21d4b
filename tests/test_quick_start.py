"""quick_start.sh as a person uses it: real processes, the fast test engine, a folder of its own."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.place import Place, a_place, installed, listens, wait_for

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads process groups from /proc")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with a_place(tmp_path / "atelier") as made:
        yield made


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
    assert listened_at(script.pid) == {("127.0.0.1", place.port), ("127.0.0.1", place.ui_port)}
    os.kill(script.pid, signal.SIGINT)
    printed, _ = script.communicate(timeout=60)
    assert script.returncode == 130
    assert f"http://127.0.0.1:{place.port}" in printed
    assert f"http://127.0.0.1:{place.ui_port}" in printed
    assert place.ours() == []


def listened_at(pid: int) -> set[tuple[str, int]]:
    """Address and port of all that a process and what it started listen at."""
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    found = [connection for each in tree for connection in each.net_connections("inet")]
    return {tuple(connection.laddr) for connection in found if connection.status == psutil.CONN_LISTEN}


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
    page = "--require-hashes -r requirements.lock"
    calls = [call.partition("install ")[2] for call in place.pip_calls]
    assert calls == [f"{page} -r image_generation_service_requirements.lock", f"{page} -r requirements-cuda.lock"]


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
