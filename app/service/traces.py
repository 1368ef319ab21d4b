"""Traces for a collector that speaks OTLP, if the owner asks for them: what requests and jobs took.

A request's trace has the request's id, a job's trace the job's id without dashes: who has the one finds the other. No
prompt, no path that led to nothing and no key is in either.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from app import __version__
from app.core.errors import AtelierError
from app.core.schema import Job, JobState
from app.core.settings import Settings, WrongSettings
from app.service.http.request_ids import METHODS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

FLUSH_MS = 3000
QUIET = ("/health", "/ready", "/metrics")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_wanted: ContextVar[int] = ContextVar("trace_id", default=0)
logger = logging.getLogger(__name__)


def check_traces(settings: Settings) -> None:
    """Raise WrongSettings if traces are asked for and the packages that send them are not here."""
    if settings.traces and importlib.util.find_spec("opentelemetry.exporter") is None:
        raise WrongSettings(
            "ATELIER_TRACES is on, and the packages that send traces are not installed.",
            hint="pip install -r requirements-traces.txt",
        )


def open_traces(settings: Settings, job: Callable[[str], Job]) -> Traces | None:
    """What sends traces to where the variables OTEL_EXPORTER_OTLP_… say; None if nobody asked for it."""
    if not settings.traces:
        return None
    check_traces(settings)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return Traces(OTLPSpanExporter(), job)


class Traces:
    """Spans of requests and of ended jobs, sent in the background. `job` gives a job by its id."""

    def __init__(self, exporter: SpanExporter, job: Callable[[str], Job]) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                return _wanted.get() or super().generate_trace_id()

        resource = Resource.create({"service.name": "atelier", "service.version": __version__})
        self._provider = TracerProvider(id_generator=Ids(), resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("atelier", __version__)
        self._job = job

    def watch(self, app: Flask) -> None:
        """A span for each answer of the app, up to its first byte; none for the addresses that only probes ask."""
        app.before_request(self._begin)
        app.after_request(self._end)

    def heard(self, job_id: str, kind: str) -> None:
        """Something happened to a job: if that was its end, its span and those of its waiting and its run."""
        if kind not in {state.value for state in JobState if state.finished}:
            return
        try:
            self._tell(self._job(job_id))
        except AtelierError as error:
            logger.warning("No trace of job %s: %s", job_id, error.message)

    def flush(self) -> None:
        """Send what waits, for 3 s at most."""
        self._provider.force_flush(FLUSH_MS)

    def stop(self) -> None:
        """Flush, and send nothing more."""
        self.flush()
        self._provider.shutdown()

    def _begin(self) -> None:
        if request.path in QUIET:
            return
        known = request.url_rule.rule if request.url_rule is not None else "(no such address)"
        trace_id = int(g.request_id, 16) if _TRACE_ID.fullmatch(g.request_id) else 0
        with _trace(trace_id):
            method = request.method if request.method in METHODS else "(other)"
            g.span = self._tracer.start_span(
                f"{method} {known}",
                attributes={"http.request.method": method, "http.route": known, "request.id": g.request_id},
            )

    def _end(self, response: Response) -> Response:
        span = g.pop("span", None)
        if span is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            if job_id := g.get("accepted_job"):
                span.set_attribute("atelier.job.id", job_id)
            _fail(span, f"HTTP {response.status_code}" if response.status_code >= 500 else "")
            span.end()
        return response

    def _tell(self, job: Job) -> None:
        from opentelemetry import trace

        ended = job.finished_at or job.created_at
        began = job.started_at or ended
        with _trace(uuid.UUID(job.id).int):
            whole = self._tracer.start_span("job", start_time=_ns(job.created_at), attributes=_said_of(job))
        inside = trace.set_span_in_context(whole)
        self._tracer.start_span("wait", inside, start_time=_ns(job.created_at)).end(_ns(began))
        if job.started_at is not None:
            run = self._tracer.start_span("run", inside, start_time=_ns(began))
            run.set_attribute("atelier.attempt", job.attempt)
            run.end(_ns(ended))
        _fail(whole, job.error.code if job.error else "")
        whole.end(_ns(ended))


def _said_of(job: Job) -> Mapping[str, Any]:
    made = job.request
    return {
        "atelier.job.id": job.id, "atelier.job.state": job.state.value, "atelier.job.attempts": job.attempt,
        "atelier.job.crashes": job.crashes, "atelier.origin": job.origin, "atelier.model": made.model or "",
        "atelier.task": made.task.value, "atelier.images": len(job.images),
        "atelier.steps": made.num_inference_steps or 0, "atelier.width": made.width or 0,
        "atelier.height": made.height or 0,
    }  # fmt: skip


@contextmanager
def _trace(id: int) -> Iterator[None]:
    """Spans without a parent that begin here belong to this trace; 0 = to one of their own."""
    before = _wanted.set(id)
    try:
        yield
    finally:
        _wanted.reset(before)


def _fail(span: Any, why: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    if why:
        span.set_status(Status(StatusCode.ERROR, why))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
