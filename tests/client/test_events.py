"""Events that survive lost lines, full streams and restarts."""

import io
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from app.client import Event, ImageServiceClient
from app.client_stream import Backoff, read_events, read_lines
from app.core.errors import ServiceError, ServiceUnreachable
from app.core.schema import JobState
from tests.client.fake_service import JOB, Call, FakeService, send_events, send_json

QUEUED = "id: 1\nevent: queued\ndata: {}\n\n"
STEP = ': still here\n\nevent: step\ndata: {"step": 1, "of": 4}\n\n'
IMAGE = 'id: 2\nevent: image\ndata: {"id": "i1"}\n\n'
DONE = "id: 3\nevent: succeeded\ndata: {}\n\n"


def kinds(events: Iterable[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_stream_is_read_to_its_last_event(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_events(handler, QUEUED + STEP + IMAGE + DONE)
    events = list(client.events("j1"))
    assert kinds(events) == ["queued", "step", "image", "succeeded"]
    assert [event.seq for event in events] == [1, None, 2, 3]
    assert events[1].data == {"step": 1, "of": 4}


def test_a_cut_line_goes_on_behind_the_last_numbered_event(service: FakeService, client: ImageServiceClient) -> None:
    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if not call.path.endswith("/events"):
            send_json(handler, JOB)
        elif call.headers.get("Last-Event-ID") == "2":
            send_events(handler, DONE)
        else:
            send_events(handler, QUEUED + STEP + IMAGE + "id: 3\nevent: succee")

    service.answer = answer
    assert kinds(client.events("j1")) == ["queued", "step", "image", "succeeded"]


def test_a_job_that_ended_while_the_line_was_cut_is_still_reported(
    service: FakeService, client: ImageServiceClient
) -> None:
    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path.endswith("/events"):
            send_events(handler, QUEUED + "event: shutdown\ndata: {}\n\n")
        else:
            send_json(handler, JOB | {"state": "succeeded"})

    service.answer = answer
    assert kinds(client.events("j1")) == ["queued", "succeeded"]


def test_when_all_streams_are_taken_the_job_is_asked_instead(service: FakeService, client: ImageServiceClient) -> None:
    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if call.path.endswith("/events"):
            send_json(handler, {"code": "too_many_streams"}, 503, Retry_After="1")
        else:
            state = "running" if len(service.calls) < 5 else "cancelled"
            send_json(handler, JOB | {"state": state})

    service.answer = answer
    assert client.wait("j1").state is JobState.CANCELLED


def test_waiting_survives_a_restart_of_the_service(service: FakeService, client: ImageServiceClient) -> None:
    gone = threading.Event()

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        if gone.is_set():
            handler.connection.close()
            handler.close_connection = True
        elif not call.path.endswith("/events"):
            send_json(handler, JOB | {"state": "succeeded"})
        elif call.headers.get("Last-Event-ID") is None:
            gone.set()
            threading.Timer(0.5, gone.clear).start()
            send_events(handler, QUEUED)
        else:
            send_events(handler, IMAGE + DONE)

    service.answer = answer
    seen: list[Event] = []
    assert client.wait("j1", seen.append).state is JobState.SUCCEEDED
    assert kinds(seen)[0] == "queued"
    assert kinds(seen)[-1] == "succeeded"


def test_waiting_for_a_service_that_stays_away_ends(service: FakeService) -> None:
    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        handler.connection.close()
        handler.close_connection = True

    service.answer = answer
    began = time.monotonic()
    with (
        ImageServiceClient(service.url, patience_s=0.5) as client,
        pytest.raises(ServiceUnreachable, match=r"Gave up after 0\.5 s"),
    ):
        client.wait("j1")
    assert time.monotonic() - began < 30


def test_an_unknown_job_is_an_error_at_once(service: FakeService, client: ImageServiceClient) -> None:
    service.answer = lambda call, handler: send_json(handler, {"detail": "no job x", "code": "unknown_job"}, 404)
    with pytest.raises(ServiceError, match="no job x"):
        client.wait("x")
    assert len(service.calls) == 1


def test_an_event_arrives_before_the_stream_ends(service: FakeService, client: ImageServiceClient) -> None:
    seen = threading.Event()

    def answer(call: Call, handler: BaseHTTPRequestHandler) -> None:
        send_events(handler, QUEUED)
        handler.wfile.flush()
        assert seen.wait(5)
        handler.wfile.write(DONE.encode())

    service.answer = answer
    stream = client.events("j1")
    assert next(stream).kind == "queued"
    seen.set()
    assert kinds(stream) == ["succeeded"]


@given(st.lists(st.integers(1, 40)), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_the_same_however_the_bytes_are_cut(cuts: list[int], newline: str) -> None:
    text = (QUEUED + STEP + IMAGE + DONE).replace("\n", newline)

    class Pieces(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(cuts.pop() if cuts else size)

    body = HTTPResponse(Pieces(text.encode()), preload_content=False)
    assert kinds(read_events(read_lines(body))) == ["queued", "step", "image", "succeeded"]


def test_data_that_is_not_an_object_is_kept_as_it_is() -> None:
    lines = [b"data: one", b"data: two", b"", b"event: n", b"data: 3", b""]
    assert [event.data for event in read_events(lines)] == [{"text": "one\ntwo"}, {"value": 3}]


def test_an_answer_gives_back_the_full_patience() -> None:
    backoff = Backoff(0.3)
    error = ServiceUnreachable("away")
    for _ in range(3):
        backoff.wait(because=error)
        backoff.reset()
    backoff.wait(because=error)
    with pytest.raises(ServiceUnreachable):
        backoff.wait(because=error)
