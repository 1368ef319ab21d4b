"""An id for each request, in every answer, error and log line.

It is what `X-Request-Id` says, or the id of the trace that `traceparent` names, or made here. (W3C Trace Context:
https://www.w3.org/TR/trace-context/#traceparent-header.)
"""

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_logger = structlog.stdlib.get_logger(__name__)


def request_id() -> str:
    """The id of the request being served."""
    given: str = g.request_id
    return given


def register(app: Flask) -> None:
    """Give every request an id, bind it to the log lines of its thread, and log each answer."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    trace = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    # Anything else could forge log lines or headers of whoever reads them next.
    g.request_id = given if _ALLOWED.fullmatch(given) else trace[1] if trace else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _led_somewhere(response: Response) -> bool:
    """True if the values in the path name something that there is, or can only be an id."""
    if response.status_code == 204:
        return all(_UUID.fullmatch(str(value)) for value in (request.view_args or {}).values())
    return response.status_code < 400


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    # No query, and no path that led to nothing: either may hold a prompt or a key. So did a second delete.
    known = request.url_rule.rule if request.url_rule is not None else "(no such address)"
    log = _logger.debug if known in ("/health", "/ready", "/metrics") else _logger.info
    log(
        "request",
        method=request.method if request.method in METHODS else "(other)",
        path=request.path if _led_somewhere(response) else known,
        status=response.status_code,
        ms=round((time.perf_counter() - g.started) * 1000, 1),
    )
    if response.status_code >= 400:
        _logger.debug("request_path", path=request.path)
    return response
