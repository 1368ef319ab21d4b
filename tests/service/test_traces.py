"""Traces, sent by the real exporter to a collector that keeps what it is sent."""

import gzip
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core.settings import Settings, WrongSettings
from app.service.traces import check_traces
from tests.service.conftest import House

SECRET_PROMPT = "a prompt that nobody else may read"


class Collector(ThreadingHTTPServer):
    """What OTLP calls a collector: takes spans at /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Any]:
        """All spans so far."""
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for each in sent
            for resource in each.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def said(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def a_traced_house(make_house: Callable[..., House]) -> House:
    """One whose client asks the service's own app."""
    service = make_house(traces=True).service
    return House(service, service.app.test_client())


def flush(house: House) -> None:
    assert house.service.traces is not None
    house.service.traces.flush()


def test_a_request_and_the_job_that_it_asked_for_are_found_by_their_ids(
    make_house: Callable[..., House], collector: Collector
) -> None:
    house = a_traced_house(make_house)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = house.client.post("/api/jobs", json={"prompt": SECRET_PROMPT}, headers={"traceparent": parent})
    assert answer.headers["X-Request-Id"] == parent.split("-")[1]
    job = house.finished(answer.get_json()["id"])
    flush(house)
    [asked] = [span for span in collector.spans if span.trace_id.hex() == parent.split("-")[1]]
    assert (asked.name, said(asked)["http.response.status_code"]) == ("POST /api/jobs", 202)
    assert said(asked)["atelier.job.id"] == job["id"]
    of_job = {span.name: span for span in collector.spans if span.trace_id == uuid.UUID(job["id"]).bytes}
    assert set(of_job) == {"job", "wait", "run"}
    whole, wait, run = (of_job[name] for name in ("job", "wait", "run"))
    assert (wait.parent_span_id, run.parent_span_id, whole.parent_span_id) == (whole.span_id, whole.span_id, b"")
    assert whole.start_time_unix_nano == wait.start_time_unix_nano <= wait.end_time_unix_nano
    assert wait.end_time_unix_nano == run.start_time_unix_nano <= run.end_time_unix_nano == whole.end_time_unix_nano
    assert (said(whole)["atelier.job.state"], said(whole)["atelier.images"]) == ("succeeded", 1)
    assert not any(SECRET_PROMPT.encode() in body for body in collector.bodies)


def test_what_only_probes_ask_has_no_trace_and_a_lost_path_is_not_told(
    make_house: Callable[..., House], collector: Collector
) -> None:
    house = a_traced_house(make_house)
    house.client.get("/health")
    house.client.get("/api/jobs/what-somebody-typed")
    house.client.get("/nothing-here")
    flush(house)
    assert [span.name for span in collector.spans] == ["GET /api/jobs/<job_id>", "GET (no such address)"]
    assert not any(b"what-somebody-typed" in body or b"nothing-here" in body for body in collector.bodies)


def test_jobs_go_on_where_no_collector_answers(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    house = a_traced_house(make_house)
    assert house.image()["url"]


def test_without_being_asked_for_there_are_none(make_house: Callable[..., House]) -> None:
    assert make_house().service.traces is None


def test_traces_without_their_packages_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(WrongSettings) as refused:
        check_traces(Settings(traces=True))
    assert refused.value.hint == "pip install -r requirements-traces.txt"
