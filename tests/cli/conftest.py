"""A fake service that the command line finds by itself, and a quiet surrounding."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.client.fake_service import JOB, Call, FakeService, fake_service, send_events, send_json

PICTURE = b"\x89PNG the bytes as saved"
IMAGE = {
    "id": "0192-abcdefgh", "index": 0, "seed": 42, "width": 64, "height": 64, "url": "/images/0192-abcdefgh.png",
    "sha256": hashlib.sha256(PICTURE).hexdigest(),
}  # fmt: skip
SAVED = IMAGE | {
    "job_id": "j1", "path": "2026-11-20/0192-abcdefgh.png", "bytes": len(PICTURE), "prompt": "a red apple",
    "model": "pocket", "origin": "cli", "favourite": True, "created_at": "2026-11-20T12:00:00Z", "recipe": {},
}  # fmt: skip
DONE = JOB | {"state": "succeeded", "images": [IMAGE], "seconds": 1.5}
DEVICE = {
    "device": "ray:0", "name": "gpu-box: H200", "pid": 1, "alive": True, "busy": True, "loaded_models": ["pocket"],
    "memory_used_bytes": None, "memory_total_bytes": None, "restarts": 0, "last_end": None,
}  # fmt: skip
STATUS = {
    "version": "0", "uptime_s": 1, "stopping": False, "queue": {"paused": False, "queued": 0, "running": 0},
    "running": [], "devices": [DEVICE], "loaded_models": [], "waiting_calls": 0, "problems": [], "trash_days": 7,
}  # fmt: skip
STREAM = (
    'id: 1\nevent: queued\ndata: {"position": 1}\n\n'
    'event: loading\ndata: {"step": 1, "of": 2}\n\n'
    'event: step\ndata: {"step": 4, "of": 8, "phase": "denoising"}\n\n'
    "id: 2\nevent: succeeded\ndata: {}\n\n"
)


def answer_well(call: Call, handler: BaseHTTPRequestHandler) -> None:
    """What a healthy service answers to everything that the command line asks."""
    path = call.path.partition("?")[0]
    if path == "/api/inputs":
        kept = {"sha256": hashlib.sha256(call.body).hexdigest(), "width": 8, "height": 8, "mode": "RGB"}
        send_json(handler, kept | {"bytes": len(call.body)}, 201)
        return
    answers = {
        ("GET", "/health"): {"status": "ok"},
        ("POST", "/api/jobs"): JOB | {"request": json.loads(call.body or b"{}")},
        ("GET", "/api/status"): STATUS,
        ("GET", "/api/trash"): {"items": [SAVED | {"deleted_at": SAVED["created_at"]}], "days": 7},
        ("DELETE", "/api/trash"): {"removed": 3},
        ("POST", f"/api/trash/{IMAGE['id']}/restore"): SAVED,
        ("GET", "/api/jobs"): {"items": [DONE], "next": None},
        ("GET", "/api/jobs/j1"): DONE,
        ("POST", "/api/jobs/j1/cancel"): JOB | {"state": "cancelled"},
        ("POST", "/api/jobs/j1/move"): JOB | {"state": "queued", "position": 1},
        ("PATCH", "/api/jobs/j1"): JOB | {"state": "queued", "position": 2},
        ("POST", "/api/queue/cancel"): {"cancelled": 4},
        ("POST", "/api/queue/clear"): {"cleared": 5},
        ("POST", "/api/queue/pause"): {"paused": True},
        ("POST", "/api/queue/resume"): {"paused": False},
        ("GET", "/api/images"): {"items": [SAVED], "next": "more"},
        ("GET", f"/api/images/{IMAGE['id']}"): SAVED,
        ("PATCH", f"/api/images/{IMAGE['id']}"): SAVED,
        ("DELETE", f"/api/images/{IMAGE['id']}"): {},
    }
    if path.endswith("/events"):
        send_events(handler, STREAM)
    elif path.startswith("/images/"):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(PICTURE)))
        handler.end_headers()
        handler.wfile.write(PICTURE)
    elif (call.method, path) in answers:
        send_json(handler, answers[call.method, path])
    else:
        send_json(handler, {"detail": f"no {path}", "code": "unknown"}, 404)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    """A running fake service; the current folder and the output folder are empty ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_OUTPUT_FOLDER", str(tmp_path / "saved"))
    monkeypatch.setenv("COLUMNS", "200")
    with fake_service() as service:
        service.answer = answer_well
        monkeypatch.setenv("ATELIER_SERVICE_URL", service.url)
        yield service
