"""jobs, models, library, doctor and the settings page."""

import json
import os
import shlex
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len

from app import __version__
from app.cli.common import SHORTEST_COLUMN
from app.cli.examples import EXAMPLES
from app.cli.main import build, main
from app.core.models import ModelFacts
from app.core.settings import PROJECT_FOLDER
from app.machine import Gpu, Machine
from app.tiers.plans import plan_of, plan_row, room_of
from tests.cli.conftest import IMAGE, answer_well
from tests.client.fake_service import JOB, Call, FakeService, send_json

GIB = 2**30
ERROR = {"code": "model_not_installed", "message": "Not here.", "hint": "Fetch it."}
MODEL = {
    "error": ERROR,
    "key": "pocket",
    "title": "Pocket",
    "pipeline": "StableDiffusionPipeline",
    "size_bytes": 40_000_000,
    "licence": "Apache-2.0",
    "best_for": "a first picture",
}


def machine(memory_gib: int, *gpus_gib: int) -> Machine:
    gpus = tuple(Gpu("GPU", size * GIB) for size in gpus_gib)
    return Machine("Linux", "3.11", "CPU", 2, False, memory_gib * GIB, memory_gib * GIB, GIB, gpus)


def with_models(*states: str) -> Any:
    left = list(states)

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path == "/api/models":
            send_json(handler, {"items": [MODEL | {"state": left[0]}], "next": None})
        elif call.path.startswith("/api/models/pocket"):
            send_json(handler, MODEL | {"state": left.pop(0) if len(left) > 1 else left[0]})
        elif call.path in ("/health", "/ready"):
            send_json(handler, {"status": "ok"})
        else:
            answer_well(call, handler)

    return answer


def test_jobs_are_listed_shown_and_cancelled(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--state", "succeeded", "--limit", "3"]) == 0
    assert "state=succeeded" in service.calls[1].path
    assert "a red apple" in capsys.readouterr().out
    assert main(["jobs", "show", "j1"]) == 0
    assert f"{service.url}{IMAGE['url']}" in capsys.readouterr().out
    assert main(["jobs", "cancel", "j1"]) == 0
    assert capsys.readouterr().out == "j1: cancelled\n"
    assert main(["jobs", "pause"]) == main(["jobs", "resume"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "The queue is paused. Go on with: atelier jobs resume", "The queue goes on.",
    ]  # fmt: skip
    assert main(["jobs", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "j1"


def test_the_queue_is_put_in_order_cancelled_and_cleared(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", "move", "j1", "front"]) == 0
    assert json.loads(service.calls[-1].body) == {"to": "front"}
    assert main(["jobs", "priority", "j1", "--", "-5"]) == 0
    assert json.loads(service.calls[-1].body) == {"priority": -5}
    assert main(["jobs", "cancel", "--all", "--yes"]) == 0
    assert main(["jobs", "cancel", "--all", "--everybody", "--yes"]) == 0
    assert service.calls[-1].path == "/api/queue/cancel?whose=everybody"
    assert main(["jobs", "clear"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "j1: 1 before it", "j1: 2 before it", "4 job(s) cancelled", "4 job(s) cancelled",
        "5 job(s) cleared from the list",
    ]  # fmt: skip
    assert main(["jobs", "list", "--line", "--search", "apple"]) == 0
    assert service.calls[-1].path == "/api/jobs?limit=20&q=apple&order=line"
    for wrong in (["cancel"], ["cancel", "j1", "--all"], ["cancel", "j1", "--everybody"], ["move", "j1", "back"]):
        assert main(["jobs", *wrong]) == 2
    assert main(["jobs", "list", "--line", "--state", "failed"]) == 2


def test_an_unknown_job_is_an_error_without_a_traceback(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", "show", "nothing"]) == 1
    assert capsys.readouterr().err.startswith("Error: no /api/jobs/nothing")


def test_pictures_are_found_marked_and_deleted(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["library", "search", "apple", "--seed", "42", "--favourites"]) == 0
    assert service.calls[1].path == "/api/images?q=apple&favourite=true&limit=20&seed=42"
    captured = capsys.readouterr()
    assert IMAGE["id"] in captured.out
    assert "more than these 20" in captured.err
    assert main(["library", "search", "--oldest"]) == 0
    assert service.calls[-1].path == "/api/images?limit=20&order=oldest"
    assert main(["library", "favourite", IMAGE["id"], "--off"]) == 0
    assert json.loads(service.calls[-1].body) == {"favourite": False}
    assert main(["library", "delete", IMAGE["id"], "--yes"]) == 0
    assert (service.calls[-1].method, service.calls[-1].path) == ("DELETE", f"/api/images/{IMAGE['id']}")


def test_deleted_pictures_are_in_the_trash_and_come_back(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["library", "delete", IMAGE["id"], "--yes"]) == 0
    assert capsys.readouterr().out == f"{IMAGE['id']}: in the trash for 7 days\n"
    assert main(["library", "trash"]) == 0
    assert IMAGE["id"] in capsys.readouterr().out
    assert main(["library", "restore", IMAGE["id"]]) == 0
    assert (service.calls[-1].method, service.calls[-1].path) == ("POST", f"/api/trash/{IMAGE['id']}/restore")
    assert main(["library", "delete", IMAGE["id"], "--forever", "--yes"]) == 0
    assert service.calls[-1].path == f"/api/images/{IMAGE['id']}?forever=true"
    assert main(["library", "trash", "--empty", "--yes"]) == 0
    assert capsys.readouterr().out.endswith("3 picture(s) removed\n")


def test_loading_waits_until_the_model_is_there(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = with_models("loading", "loading", "loaded")
    assert main(["models", "load", "pocket"]) == 0
    assert capsys.readouterr().out == "pocket is loaded.\n"
    assert main(["models", "list"]) == 0
    assert "loaded" in capsys.readouterr().out
    assert main(["models", "unload", "pocket"]) == 0


def test_a_model_that_cannot_be_loaded_is_an_error_with_what_helps(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answer = with_models("waiting", "loading", "failed")
    assert main(["models", "load", "pocket"]) == 1
    assert capsys.readouterr().err == "Error: Not here.\nFetch it.\n"


def test_doctor_tells_machine_service_ports_and_models(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answer = with_models("loaded")
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"up at {service.url}" in printed
    assert "gpu-box: H200, draws, holds pocket" in printed
    assert "pid " in printed  # the port of the service is taken by this very process
    assert "everything stays in memory" in printed
    assert "Computed by (ATELIER_COMPUTE=auto):" in printed
    assert "torch.compile is not offered: " in printed
    assert "  pocket: torch, because " in printed
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["models"][0]["compute"]["by"] == "torch"
    assert found["service"]["ready"] is True
    assert found["machine"]["memory_bytes"] > 0


def test_the_owner_of_a_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["port-owner", str(port)]) == 0
        assert "(pid " in capsys.readouterr().out
    assert main(["port-owner", str(port)]) == 1


@pytest.mark.parametrize(
    ("size_gib", "here", "words"),
    [
        (1, machine(8), "resident"),
        (5, machine(8), "released"),
        (40, machine(8), "does not fit"),
        (6, machine(32, 12), "resident"),
        (7, machine(32, 8), "model-offload"),
        (0, machine(8), "unknown"),
    ],
)
def test_the_doctor_plans_a_model_by_its_size(size_gib: int, here: Machine, words: str) -> None:
    model = ModelFacts(key="m", title="M", size_bytes=size_gib * GIB, pipeline="StableDiffusionXLPipeline")
    assert words in plan_row(plan_of(model, room_of(here)))[-1]


@pytest.mark.parametrize(
    ("vram", "ram", "words"),
    [("10", "64", "group-offload"), ("0", "64", "released"), ("80", "128", "resident"),
     ("6", "8", "does not fit")],
)  # fmt: skip
def test_the_doctor_plans_for_a_machine_that_is_not_here(
    vram: str, ram: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_SERVICE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("ATELIER_MODELS_FOLDER", str(PROJECT_FOLDER / "models"))
    assert main(["doctor", "--json", "--vram", vram, "--ram", ram]) == 0
    plans = {model["key"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    assert words in plans["qwen-image"]["verdict"]
    assert plans["qwen-image"]["plan"]["reason"]
    upscaler = plans["pocket-upscaler"]
    assert (upscaler["kinds"], upscaler["verdict"]) == (["upscales"], "resident")
    assert main(["doctor", "--vram", vram, "--ram", ram]) == 0
    printed = capsys.readouterr().out
    assert "RAM" in printed
    assert plans["qwen-image"]["plan"]["hint" if words == "does not fit" else "reason"] in printed


def test_terminal_codes_in_a_prompt_do_nothing(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        job = {"id": "j1", "state": "queued", "origin": "api", "created_at": "2026-11-20T12:00:00Z"}
        send_json(
            handler,
            {"items": [job | {"request": {"prompt": "\x1b[31mred\x9b2J [bold]x"}}], "next": None, "status": "ok"},
        )

    service.answer = answer
    assert main(["jobs", "list"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x9b" not in printed
    assert "[bold]x" in printed
    assert main(["jobs", "list", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "\x9b" not in printed
    assert json.loads(printed)[0]["request"]["prompt"] == "\x1b[31mred\x9b2J [bold]x"


def test_wrong_use_is_explained_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate"]) == 2
    assert main(["generate", "cat", "--seed", "x"]) == 2
    assert main(["no-such-command"]) == 2
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def commands() -> list[tuple[str, Any]]:
    """Every command that a person is shown, by its path."""
    found = []

    def walk(path: str, command: Any) -> None:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                walk(f"{path} {name}".strip(), inner)
        elif not command.hidden:
            found.append((path, command))

    walk("", typer.main.get_command(build()))
    return found


COMMANDS = [pytest.param(path, command, id=path) for path, command in commands() if path != "ui"]


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_the_help_of_every_command_ends_with_examples_that_are_understood(
    path: str,
    command: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drop").mkdir()
    assert main([*path.split(), "-h"]) == 0
    assert "Examples:" in capsys.readouterr().out
    for line in EXAMPLES[path]:
        words = shlex.split(line.partition(" < ")[0])
        assert words[: len(path.split())] == path.split()
        command.make_context(path, words[len(path.split()) :])  # raises for what it does not understand


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_long_prompt_costs_no_other_column(
    columns: int, service: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"id": "0193c0de-0000-7000-8000-000000000000", "state": "queued", "origin": "api", "position": 3, "eta_s": 65}
    items = [
        job | {"created_at": "2026-11-20T12:00:00Z", "request": {"prompt": "苹果 and so on " * 1400, "model": "pocket"}}
    ]
    service.answer = lambda call, handler: send_json(handler, {"items": items, "next": None, "status": "ok"})
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["jobs", "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    for whole in (job["id"], "queued", "3 before it, 1 min 05 s", "pocket", "苹果"):
        assert whole in row
    assert row.endswith("…")
    assert cell_len(row) <= max(columns, cell_len(head) + SHORTEST_COLUMN)


def test_a_table_in_a_pipe_is_not_cut(
    service: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    items = [JOB | {"request": {"prompt": "word " * 400 + "end", "model": "pocket"}}]
    service.answer = lambda call, handler: send_json(handler, {"items": items, "next": None, "status": "ok"})
    assert main(["jobs", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("end")


def test_the_addresses_of_a_jobs_pictures_are_whole_on_a_narrow_terminal(
    service: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["jobs", "show", "j1"]) == 0
    assert f"{service.url}{IMAGE['url']}" in capsys.readouterr().out


def test_an_address_where_something_else_answers_is_told_so(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answer = lambda call, handler: send_json(handler, {"detail": "Not Found"}, 404)
    assert main(["jobs", "list"]) == 1
    told = capsys.readouterr().err
    assert f"{service.url} answers, but not as Atelier's image service" in told
    assert "ATELIER_SERVICE_URL" in told


def test_errors_of_a_program_that_asked_for_json_are_json(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", "show", "nothing", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "unknown"
    assert captured.err == ""


def test_deleting_a_picture_that_is_not_there_fails(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["library", "delete", "nope", "--yes"]) == 1
    captured = capsys.readouterr()
    assert "deleted" not in captured.out
    assert captured.err.startswith("Error:")
    assert all(call.method != "DELETE" for call in service.calls)


def test_the_installed_command_completes_words_in_a_shell(tmp_path: Path) -> None:
    code = "import sys; from app.cli.main import main; sys.argv[0] = 'atelier'; sys.exit(main())"
    environment = os.environ | {"_ATELIER_COMPLETE": "complete_bash", "COMP_WORDS": "atelier jo", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["jobs"]


def test_inspect_says_how_a_picture_was_made_and_what_cannot_be_had_here(
    service: FakeService, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = {"prompt": "a fox", "num_inference_steps": 400, "seed": 7}
    found = {"kind": "comfyui", "made_by": "ComfyUI", "width": 768, "height": 512, "request": made}
    found["model"] = "x.safetensors"
    ranges = {"num_inference_steps": {"low": 1, "high": 100}}

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path == "/api/inspect":
            assert call.body == b"the file"
            send_json(handler, found)
        elif call.path == "/api/models":
            model = MODEL | {"error": None, "installed": True, "default": True, "ranges": ranges}
            send_json(handler, {"items": [model], "next": None})
        else:
            answer_well(call, handler)

    service.answer = answer
    file = tmp_path / "a.png"
    file.write_bytes(b"the file")
    assert main(["inspect", str(file)]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "made by              ComfyUI",
        "pixels               768x512",
        "model                x.safetensors",
        "prompt               a fox",
        "num_inference_steps  400",
        "seed                 7",
    ]
    assert "model x.safetensors cannot be had here; the nearest is pocket." in shown.err
    assert "num_inference_steps 400 cannot be had here; the nearest is 100." in shown.err
    assert main(["inspect", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fitted"] == made | {"model": "pocket", "num_inference_steps": 100}
    assert main(["inspect", str(tmp_path / "none.png")]) == 1
    assert "none.png cannot be read: No such file or directory." in capsys.readouterr().err
