"""Every exception, as one plain description that each door writes in its own shape."""

import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from flask import Blueprint, Flask, Response
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed

from app.core.errors import AtelierError, DiskFull, InvalidRequest, NotAuthenticated, QueueFull

RETRY_AFTER_S = 5
_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Failure:
    """What went wrong: HTTP status, stable code, a title for its kind, a sentence for this case, and what helps.

    `errors` has one `{"field", "value", "allowed"}` for each wrong field. `headers` belong into the answer.
    """

    status: int
    code: str
    title: str
    detail: str
    hint: str | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def failure_of(error: Exception) -> Failure:
    """Describe any exception. One that nobody expected is logged with its traceback and tells the caller nothing."""
    if isinstance(error, AtelierError):
        return _from_atelier(error)
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _from_atelier(DiskFull())
    if type(error).__module__ == "gunicorn.http.errors":  # raised by whoever reads the body: its chunks are no chunks
        return _from_http(BadRequest("The body is not sent as HTTP wants it."))
    _logger.exception("unexpected_error", exc_info=error)
    return Failure(
        status=500,
        code="internal_error",
        title="Internal error",
        detail="Something went wrong inside the service. Its log says more under this request id.",
    )


def answer_errors_with(scope: Flask | Blueprint, render: Callable[[Failure], Response]) -> None:
    """Let `render` write every error of `scope`. A blueprint's choice wins over the app's for its own addresses."""
    scope.register_error_handler(Exception, lambda error: render(failure_of(error)))


def _from_atelier(error: AtelierError) -> Failure:
    headers: dict[str, str] = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    elif error.http_status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(error, NotAuthenticated):
        # Basic is offered as well: the clients of the A1111 API know nothing else.
        headers["WWW-Authenticate"] = 'Bearer realm="atelier", Basic realm="atelier"'
    title = (type(error).__doc__ or error.code).strip().split("\n")[0].rstrip(".")
    errors = tuple(error.as_dict()["errors"]) if isinstance(error, InvalidRequest) else ()
    return Failure(error.http_status, error.code, title, error.message, error.hint, errors, headers)


def _from_http(error: HTTPException) -> Failure:
    status = error.code or 500
    name = HTTPStatus(status).phrase
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    code = {413: "body_too_large", 415: "wrong_content_type"}.get(status) or re.sub(r"\W+", "_", name).lower()
    return Failure(status, code, name, error.description or name, headers=headers)
