"""`generate`: files, JSON, refusals, Ctrl-C."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from rich.console import Console

from app.cli.main import main
from app.cli.progress import JobProgress
from app.client import Event
from app.core.schema import Job
from tests.cli.conftest import DONE, PICTURE, SAVED, answer_well
from tests.client.fake_service import JOB, Call, FakeService, send_events, send_json


def test_a_picture_of_this_machine_is_named_where_the_service_saved_it(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "saved" / SAVED["path"]
    file.parent.mkdir(parents=True)
    file.write_bytes(PICTURE)
    assert main(["generate", "a red apple"]) == 0
    assert capsys.readouterr().out == f"{file}\n"


def test_a_picture_of_another_machine_is_copied_here(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "A red: apple/../ on a table"]) == 0
    file = Path(capsys.readouterr().out.strip())
    assert file.parent == tmp_path
    assert file.name == "a-red-apple-on-a-table-42-abcdefgh.png" or file.name == "a-red-apple-42-abcdefgh.png"
    assert file.read_bytes() == PICTURE


def test_all_parameters_reach_the_service(service: FakeService, tmp_path: Path) -> None:
    words = (
        "generate cat --negative-prompt dog --model m --steps 4 --cfg 0 --width 64 --height 72 --seed 0 -n 2 "
        "--scheduler Euler --out folder/"
    )
    assert main(words.split()) == 0
    assert json.loads(service.calls[1].body) == {
        "prompt": "cat", "negative_prompt": "dog", "model": "m", "num_inference_steps": 4, "guidance_scale": 0.0,
        "width": 64, "height": 72, "seed": 0, "num_images": 2, "scheduler": "Euler",
    }  # fmt: skip
    assert service.calls[1].headers["X-Atelier-Origin"] == "cli"
    assert len(list((tmp_path / "folder").iterdir())) == 1


def test_control_is_said_by_model_picture_weight_preprocessor_and_window(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edges.png").write_bytes(PICTURE)
    assert (
        main(["generate", "cat", "--control", "canny:edges.png", "--control", "deep:edges.png:0.5:softedge:0-0.6"]) == 0
    )
    uploads = [call for call in service.calls if call.path == "/api/inputs"]
    assert [call.body for call in uploads] == [PICTURE] * 2
    sent = next(json.loads(call.body) for call in service.calls if (call.method, call.path) == ("POST", "/api/jobs"))
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    assert sent["control"] == [
        {"model": "canny", "image": sha256, "preprocessor": "none", "weight": 1.0, "start": 0.0, "end": 1.0},
        {"model": "deep", "image": sha256, "preprocessor": "softedge", "weight": 0.5, "start": 0.0, "end": 0.6},
    ]
    for wrong in (
        "canny",
        "canny:",
        ":edges.png",
        "canny:edges.png:heavy",
        "canny:edges.png:1:none:0",
        "a:b:1:none:0-1:x",
    ):
        assert main(["generate", "cat", "--control", wrong]) == 2
        assert "is no control; allowed is MODEL:PICTURE" in capsys.readouterr().err


def test_out_names_the_file_and_never_replaces_one_unasked(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "cat", "--out", "new/cat.png"]) == 0
    assert (tmp_path / "new" / "cat.png").read_bytes() == PICTURE
    submits = len(service.calls)
    assert main(["generate", "cat", "--out", "new/cat.png"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert len(service.calls) == submits
    assert main(["generate", "cat", "--out", "new/cat.png", "--overwrite"]) == 0


@pytest.mark.parametrize("name", ["cat.gif", "folder/cat.HEIC"])
def test_a_name_of_another_format_is_refused_before_anything_is_made(
    name: str, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "cat", "--out", name]) == 1
    assert f"--out: {name} is not allowed; allowed is a name that ends in .png, .jpg" in capsys.readouterr().err
    assert service.calls == []


def test_the_ending_of_the_name_says_the_format(service: FakeService, tmp_path: Path) -> None:
    assert main(["generate", "cat", "--out", "cat.JPG"]) == 0
    assert (tmp_path / "cat.JPG").is_file()
    assert service.calls[-1].path.endswith(".png?format=jpeg&quality=92")


def test_a_prompt_is_read_from_standard_input(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("a red\n苹果\n".encode()), encoding="utf-8"))
    assert main(["generate", "-"]) == 0
    assert json.loads(service.calls[1].body)["prompt"] == "a red\n苹果"


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_prompt_is_wrong_use(empty: str, service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", empty]) == 2
    assert "say what the picture shows" in capsys.readouterr().err
    assert service.calls == []


def test_several_pictures_get_numbered_files(service: FakeService, tmp_path: Path) -> None:
    two = DONE | {"images": [DONE["images"][0], DONE["images"][0] | {"index": 1, "seed": 43}]}

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        send_json(handler, two) if call.path == "/api/jobs/j1" else answer_well(call, handler)

    service.answer = answer
    assert main(["generate", "cat", "-n", "2", "--out", "cat.png"]) == 0
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["cat-1.png", "cat-2.png"]


def test_json_is_the_job_with_its_files_and_nothing_else(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "cat", "--json"]) == 0
    captured = capsys.readouterr()
    job = json.loads(captured.out)
    assert (job["state"], len(job["files"]), captured.err) == ("succeeded", 1, "")


def test_a_refusal_names_the_field(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"detail": "width: 7 is not allowed; allowed is 64 to 512", "code": "invalid_request"}

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        send_json(handler, problem, 422) if call.path == "/api/jobs" else answer_well(call, handler)

    service.answer = answer
    assert main(["generate", "cat", "--width", "7"]) == 1
    assert "width: 7 is not allowed" in capsys.readouterr().err


def test_a_failed_job_says_why_and_what_helps(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "out_of_memory", "message": "There was not enough memory.", "hint": "A smaller size needs less."}

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path == "/api/jobs/j1":
            send_json(handler, JOB | {"state": "failed", "error": error})
        else:
            answer_well(call, handler)

    service.answer = answer
    assert main(["generate", "cat"]) == 1
    printed = capsys.readouterr().err
    assert error["message"] in printed
    assert error["hint"] in printed


def test_without_a_service_it_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATELIER_SERVICE_URL", "http://127.0.0.1:9")
    assert main(["doctor"]) == 0
    assert main(["generate", "cat"]) == 1
    printed = capsys.readouterr().err
    assert "http://127.0.0.1:9 does not answer" in printed
    assert "./quick_start.sh generate" in printed


def test_ctrl_c_cancels_the_job(service: FakeService, tmp_path: Path) -> None:
    watched = threading.Event()
    cancelled = threading.Event()

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path.endswith("/events"):
            send_events(handler, STREAM_BEGIN)
            handler.wfile.flush()
            watched.set()
            cancelled.wait(20)
        else:
            if call.path.endswith("/cancel"):
                cancelled.set()
            answer_well(call, handler)

    service.answer = answer
    command = [sys.executable, "-m", "app", "generate", "cat"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert watched.wait(20)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=20)
    assert process.returncode == 130
    assert cancelled.is_set()
    assert list(tmp_path.iterdir()) == []
    assert "is cancelled" in printed
    assert "Traceback" not in printed


STREAM_BEGIN = 'id: 1\nevent: queued\ndata: {"position": 1}\n\n'


def test_the_progress_bar_tells_place_phase_steps_and_speed() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    job = Job.model_validate(JOB | {"position": 3, "eta_s": 65.0})
    with JobProgress(job, console=console) as progress:
        progress._bar.refresh()
        progress.show(Event("loading", {"step": 1, "of": 4}))
        progress._bar.refresh()
        for step in range(1, 6):
            progress.show(Event("step", {"step": step, "of": 10, "phase": "denoising"}))
            progress._bar.refresh()
        progress.show(Event("step", {"step": 0, "of": 1, "phase": "saving"}))
        progress.show(Event("succeeded"))
    shown = screen.getvalue()
    for words in ("3 before it", "1 min 05 s", "loading the model", "drawing", "5/10", "steps/s", "left"):
        assert words in shown, words
