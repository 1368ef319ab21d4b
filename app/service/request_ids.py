"""An id for each request: taken from `X-Request-Id` or made here, in every answer, error and log line."""

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")
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
    # Anything else could forge log lines or headers of whoever reads them next.
    g.request_id = given if _ALLOWED.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    # The path alone: a query may hold a prompt.
    log = _logger.debug if request.path in ("/health", "/ready", "/metrics") else _logger.info
    log(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        ms=round((time.perf_counter() - g.started) * 1000, 1),
    )
    return response
