"""The service as a process: how it starts, what it refuses, how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.settings import WebServer
from tests.running import ROOT, RunningService, free_port


def run_once(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a service that is expected to refuse."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    wanted = {"DATA_FOLDER": str(folder / "data"), "OUTPUT_FOLDER": str(folder / "output"),
              "LOGS_FOLDER": str(folder / "logs"), "ENGINE": "test", "PORT": str(free_port()), **settings}  # fmt: skip
    return subprocess.run(
        [sys.executable, "image_generation_service.py"],
        cwd=ROOT,
        env=environment | {f"ATELIER_{name}": value for name, value in wanted.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_second_service_on_one_data_folder_refuses_and_names_the_first(tmp_path: Path) -> None:
    with RunningService(tmp_path) as first:
        refused = run_once(tmp_path)
        assert refused.returncode == 3
        assert "Process" in refused.stderr
        assert any(part.strip(".,()").isdigit() for part in refused.stderr.split())
        assert requests.get(f"{first.url}/health", timeout=5).status_code == 200


@pytest.mark.parametrize("through", ["its path", "a link"])
def test_a_second_service_on_the_same_sqlite_file_is_refused_whatever_its_data_folder(
    tmp_path: Path, through: str
) -> None:
    with RunningService(tmp_path / "first") as first:
        file = tmp_path / "first" / "data" / "atelier.db"
        if through == "a link":
            (tmp_path / "link").symlink_to(file.parent)
            file = tmp_path / "link" / "atelier.db"
        job = requests.post(
            f"{first.url}/api/jobs", json={"prompt": "!slow a cat", "width": 64, "height": 64}, timeout=9
        )
        refused = run_once(tmp_path / "second", DATABASE_URL=f"sqlite:///{file}")
        assert refused.returncode == 3
        assert "atelier.db" in refused.stderr
        assert f"Process {first.process.pid} " in refused.stderr
        assert requests.get(f"{first.url}/api/jobs/{job.json()['id']}", timeout=5).json()["attempt"] <= 1


def test_a_damaged_database_is_told_in_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "atelier.db").write_bytes(b"no database at all, whatever its name says" * 500)
    refused = run_once(tmp_path)
    assert refused.returncode == 3
    told = [line for line in refused.stderr.splitlines() if "damaged" in line]
    assert len(told) == 1
    assert "restore" in told[0]
    assert "Traceback" not in refused.stderr


def test_a_service_whose_database_file_is_deleted_says_503_everywhere_and_202_never(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        (tmp_path / "data" / "atelier.db").unlink()
        asked = {"prompt": "a cat", "width": 64, "height": 64}
        answers = [requests.post(f"{service.url}/api/jobs", json=asked, timeout=20) for _ in range(3)]
        answers += [requests.get(f"{service.url}{path}", timeout=20) for path in ("/ready", "/api/status", "/api/jobs")]
        assert [answer.status_code for answer in answers] == [503] * 6
        assert {answer.json()["code"] for answer in answers} == {"database_gone"}
        assert all(answer.headers["Retry-After"] for answer in answers)
        assert requests.get(f"{service.url}/health", timeout=5).status_code == 200
        assert not (tmp_path / "data" / "atelier.db").exists()


def test_a_taken_port_is_an_error_that_names_who_has_it(tmp_path: Path) -> None:
    with RunningService(tmp_path / "first") as first:
        refused = run_once(tmp_path / "second", PORT=str(first.port))
        assert refused.returncode == 4
        assert str(first.port) in refused.stderr


def test_without_keys_it_does_not_listen_beyond_loopback(tmp_path: Path) -> None:
    refused = run_once(tmp_path, HOST="0.0.0.0")
    assert refused.returncode == 2
    assert "key" in refused.stderr


@pytest.mark.parametrize("web_server", list(WebServer))
def test_sigterm_ends_it_with_status_0_and_leaves_no_job_behind(tmp_path: Path, web_server: str) -> None:
    service = RunningService(tmp_path, WEB_SERVER=web_server)
    service.start()
    job = requests.post(f"{service.url}/api/jobs", json={"prompt": "!slow a cat", "width": 64, "height": 64}, timeout=9)
    assert job.status_code == 202
    assert service.stop(40) == 0
    service.start()
    try:
        deadline = time.monotonic() + 30
        while True:
            state = requests.get(f"{service.url}/api/jobs/{job.json()['id']}", timeout=5).json()["state"]
            if state not in ("queued", "running"):
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert state == "succeeded"
    finally:
        service.stop()


def test_a_service_that_was_killed_can_be_started_again_at_once(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    service.start()
    service.kill()
    service.start()
    assert service.stop() == 0


def test_the_start_imports_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import image_generation_service"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "flask" in modules
    assert modules.isdisjoint({"torch", "diffusers", "transformers", "numpy", "gradio"})


@pytest.mark.parametrize("web_server", list(WebServer))
def test_ctrl_c_ends_it_too(tmp_path: Path, web_server: str) -> None:
    service = RunningService(tmp_path, WEB_SERVER=web_server)
    service.start()
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(40) == 0


def test_waitress_serves_pictures_and_sends_events_as_they_happen(tmp_path: Path) -> None:
    with RunningService(tmp_path, WEB_SERVER="waitress") as service:
        client = ImageServiceClient(service.url)
        job = client.submit({"prompt": "!slow a cat", "width": 64, "height": 64, "num_inference_steps": 5})
        heard = []
        for event in client.events(job.id):
            heard.append((event.kind, client.job(job.id).state))
        assert ("step", "running") in heard  # heard while it ran, not when all was over
        assert heard[-1][0] == "succeeded"
        assert client.image_bytes(client.job(job.id).images[0].id).startswith(b"\x89PNG")
        refused = run_once(tmp_path, WEB_SERVER="waitress")
        assert refused.returncode == 3
        with pytest.raises(ServiceError) as error:
            client.inspect(b"x" * (33 * 2**20))
        assert error.value.http_status == 413
