"""Downloads on the command line: asked for, followed, stopped, cleaned."""

import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from app.cli.main import main
from app.cli.progress import download_words
from app.core.models import Download
from tests.client.fake_service import Call, FakeService, send_json

GIB = 2**30
MODEL = {
    "key": "big/one",
    "title": "Big",
    "pipeline": "FluxPipeline",
    "files": "partial",
    "bytes_on_disk": GIB,
    "size_bytes": 4 * GIB,
    "state": "unloaded",
}
RUNNING = {"state": "downloading", "done": GIB, "of": 4 * GIB, "bytes_per_s": 64 * 2**20, "eta_s": 48.0, "error": None}
COMPLETE = MODEL | {"files": "complete", "bytes_on_disk": 4 * GIB, "installed": True, "download": None}
FAILED = RUNNING | {
    "state": "failed",
    "error": {"code": "disk_full", "message": "The disk is full.", "hint": "Free some."},
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.models.POLL_S", 0.0)


def answering(service: FakeService, *states: dict[str, Any]) -> None:
    """Each look at the model shows the next of `states`; the last one stays."""
    left = list(states)

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path == "/health":
            send_json(handler, {"status": "ok"})
        elif call.path == "/api/models":
            done = MODEL | {
                "key": "done",
                "files": "complete",
                "size_bytes": GIB,
                "installed": True,
                "state": "unloaded",
            }
            busy = MODEL | {"key": "busy", "download": RUNNING}
            send_json(handler, {"items": [left[0], done, busy], "next": None})
        elif call.path.endswith("/clean"):
            send_json(handler, {"key": "big/one", "freed_bytes": GIB})
        else:
            send_json(handler, left.pop(0) if len(left) > 1 else left[0])

    service.answer = answer


def paths(service: FakeService) -> list[tuple[str, str]]:
    return [(call.method, call.path) for call in service.calls]


def test_a_download_is_followed_until_it_is_there(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = RUNNING | {"state": "waiting", "of": 0}
    answering(service, MODEL | {"download": waiting}, MODEL | {"download": RUNNING}, COMPLETE)
    assert main(["models", "download", "big/one"]) == 0
    assert ("POST", "/api/models/big%2Fone/download") in paths(service)
    printed = capsys.readouterr()
    assert printed.out == "big/one is downloaded (4.0 GiB).\n"
    assert "big/one: waiting" in printed.err


def test_a_download_that_fails_says_why(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    answering(service, MODEL | {"download": RUNNING}, MODEL | {"download": FAILED})
    assert main(["models", "download", "big/one"]) == 1
    assert capsys.readouterr().err.endswith("Error: The disk is full.\nFree some.\n")


def test_a_download_that_someone_else_stops_is_told(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    answering(service, MODEL | {"download": RUNNING}, MODEL | {"download": None})
    assert main(["models", "download", "big/one"]) == 1
    assert "was cancelled" in capsys.readouterr().err


def test_ctrl_c_stops_the_download_and_says_how_to_go_on(
    service: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    answering(service, MODEL | {"download": RUNNING})
    monkeypatch.setattr(time, "sleep", interrupt)
    assert main(["models", "download", "big/one"]) == 130
    assert ("DELETE", "/api/models/big%2Fone/download") in paths(service)
    assert "1.0 GiB are kept. Go on with: python -m app models download big/one" in capsys.readouterr().err


def test_what_is_there_in_part_is_listed_and_cleaned(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    answering(service, MODEL)
    assert main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert "partial 1.0 GiB of 4.0 GiB" in listed
    assert "downloading 1.0 GiB of 4.0 GiB" in listed
    assert main(["models", "clean"]) == 0
    assert capsys.readouterr().out == "big/one: 1.0 GiB removed.\n"
    cleaned = [path for method, path in paths(service) if method == "POST"]
    assert cleaned == ["/api/models/big%2Fone/clean"]
    assert main(["models", "clean", "other"]) == 0
    assert service.calls[-1].path == "/api/models/other/clean"
    answering(service, COMPLETE)
    assert main(["models", "clean"]) == 0
    assert capsys.readouterr().out.endswith("There is nothing to clean.\n")


def test_a_downloads_words_grow_with_what_is_known() -> None:
    assert download_words(Download(state="downloading", done=0, of=0)) == "asking the hub"
    assert download_words(Download(state="waiting", done=0, of=4)) == "waiting"
    assert download_words(Download(state="downloading", done=0, of=GIB)) == "– of 1.0 GiB"
    assert download_words(Download.model_validate(RUNNING)) == "1.0 GiB of 4.0 GiB · 64 MiB/s · 48.0 s left"
