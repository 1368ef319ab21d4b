"""What the client promises about single calls."""

import json
import socket
import time
from typing import Any

import pytest

from app.client import ImageServiceClient
from app.core.errors import ServiceError, ServiceUnreachable
from app.core.schema import GenerationRequest, JobState
from tests.client.fake_service import JOB, FakeService, send_json

IMAGE = {
    "id": "i1", "job_id": "j1", "index": 0, "seed": 42, "width": 64, "height": 64, "path": "2026-11-20/i1.png",
    "sha256": "00", "bytes": 10, "prompt": "a red apple", "model": "pocket", "origin": "cli",
    "created_at": "2026-11-20T12:00:00Z", "recipe": {}, "url": "/images/i1.png",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_submit_carries_key_origin_and_only_what_was_set(service: FakeService) -> None:
    service.answer = lambda call, handler: send_json(handler, JOB, 202)
    with ImageServiceClient(service.url, "secret", origin="cli") as client:
        job = client.submit(GenerationRequest(prompt="a red apple", seed=7))
    (call,) = service.calls
    assert job.state is JobState.RUNNING
    assert (call.method, call.path) == ("POST", "/api/jobs")
    assert json.loads(call.body) == {"prompt": "a red apple", "seed": 7}
    assert call.headers["Authorization"] == "Bearer secret"
    assert call.headers["X-Atelier-Origin"] == "cli"
    assert len(call.headers["Idempotency-Key"]) == 36


def test_a_submit_whose_answer_was_lost_is_repeated_with_the_same_key(
    service: FakeService, client: ImageServiceClient
) -> None:
    def answer(call: Any, handler: Any) -> Any:
        if len(service.calls) == 1:
            handler.connection.close()
            handler.close_connection = True
        elif len(service.calls) == 2:
            send_json(handler, {}, 503)
        else:
            send_json(handler, JOB, 202)

    service.answer = answer
    assert client.submit({"prompt": "a red apple"}).id == "j1"
    assert len({call.headers["Idempotency-Key"] for call in service.calls}) == 1
    assert len(service.calls) == 3


def test_a_refusal_keeps_code_fields_hint_and_retry_after(service: FakeService, client: ImageServiceClient) -> None:
    problem = {
        "detail": "width: 7 is not allowed", "code": "invalid_request", "hint": "try 64",
        "errors": [{"field": "width", "value": 7, "allowed": "64 to 512"}],
    }  # fmt: skip
    service.answer = lambda call, handler: send_json(handler, problem, 422, Retry_After="3")
    with pytest.raises(ServiceError, match="width: 7 is not allowed") as caught:
        client.submit({"prompt": "x", "width": 7})
    error = caught.value
    assert (error.code, error.http_status, error.hint, error.retry_after_s) == ("invalid_request", 422, "try 64", 3)
    assert error.errors[0]["field"] == "width"
    assert len(service.calls) == 1


def test_an_answer_that_is_not_json_is_said_so(service: FakeService, client: ImageServiceClient) -> None:
    def answer(call: Any, handler: Any) -> Any:
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"hi")

    service.answer = answer
    with pytest.raises(ServiceError, match="did not answer with a JSON object"):
        client.status()


def test_a_dead_service_is_known_at_once_by_health_and_named() -> None:
    with ImageServiceClient(f"http://127.0.0.1:{free_port()}", retries=9) as client:
        began = time.monotonic()
        with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:\d+ does not answer") as caught:
            client.health()
    assert time.monotonic() - began < 60  # trying again would take more than two minutes
    assert "quick_start.sh" in caught.value.hint


def test_proxy_variables_are_never_used(
    service: FakeService, client: ImageServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    service.answer = lambda call, handler: send_json(handler, {"status": "ok"})
    assert client.health() == {"status": "ok"}


def test_ready_is_false_while_the_service_says_so(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_json(handler, {"code": "shutting_down"}, 503)
    assert client.ready() is False
    assert len(service.calls) == 1


def test_lists_come_as_values_with_the_next_cursor(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_json(handler, {"items": [IMAGE], "next": "c2"})
    images, cursor = client.images(q="apple", favourite=True, seed=0)
    assert (images[0].seed, images[0].url, cursor) == (42, "/images/i1.png", "c2")
    assert service.calls[0].path == "/api/images?q=apple&favourite=true&limit=50&seed=0"

    group = {"prompt": "p", "model": "m", "created_at": "2026-11-20T12:00:00Z", "job_id": "j", "images": [IMAGE]}
    service.answer = lambda call, handler: send_json(handler, {"items": [group], "next": None})
    groups, cursor = client.groups()
    assert (groups[0].images[0].id, cursor) == ("i1", None)


def test_a_field_of_a_newer_service_is_ignored(service: FakeService, client: ImageServiceClient) -> None:
    newer = JOB | {"mood": "fine", "request": {"prompt": "x", "style": "oil"}}
    service.answer = lambda call, handler: send_json(handler, newer)
    assert client.job("j1").request.prompt == "x"


def test_an_id_cannot_reach_another_address(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_json(handler, {"code": "unknown_job"}, 404)
    with pytest.raises(ServiceError):
        client.job("../images/i1?x=#y")
    assert service.calls[0].path == "/api/jobs/..%2Fimages%2Fi1%3Fx%3D%23y"


def test_a_redirect_is_not_followed(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_json(handler, {}, 302, Location="http://127.0.0.1:9/")
    with pytest.raises(ServiceError, match="302"):
        client.status()
