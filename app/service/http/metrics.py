"""Prometheus metrics of one service process: what the doors counted, and what the job table says right now."""

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from app.service.http.measured import PartsCollector
from app.service.parts import Parts

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
EXTENSION = "atelier_metrics"
NO_DOOR = "none"  # addresses that do not exist


def door_of_request() -> str:
    """The dialect that serves this request: the name of its outermost blueprint."""
    return request.blueprints[-1] if request.blueprints else NO_DOOR


def register(app: Flask, parts: Parts) -> CollectorRegistry:
    """Count and time every answer of the app; the registry is what `/metrics` shows."""
    registry = CollectorRegistry()
    registry.register(PartsCollector(parts))
    ProcessCollector(registry=registry)
    answers = Counter("atelier_http_requests", "Answers by dialect.", ["door", "method", "status"], registry=registry)
    accepted = Counter("atelier_jobs_accepted", "Jobs accepted, by origin.", ["origin"], registry=registry)
    seconds = Histogram(
        "atelier_http_request_seconds",
        "Time to the first byte of an answer.",
        ["door"],
        buckets=SECONDS_BUCKETS,
        registry=registry,
    )

    def count(response: Response) -> Response:
        door = door_of_request()
        method = request.method if request.method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS") else "other"
        answers.labels(door, method, str(response.status_code)).inc()
        seconds.labels(door).observe(time.perf_counter() - g.started)
        if origin := g.get("accepted_origin"):
            accepted.labels(origin).inc(g.get("accepted_jobs", 1))
        return response

    app.after_request(count)
    return registry
