"""Errors on the wire: RFC 9457 `application/problem+json`, the shape of every door that has no shape of its own."""

import json
from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from app.service.http.errors import Failure
from app.service.http.request_ids import request_id

PROBLEM_TYPE = "application/problem+json"


class WrongField(BaseModel):
    """One wrong field of a request."""

    field: str
    value: Any = Field(description="As it was sent, shortened if long.")
    allowed: str = Field(description="What is allowed, in words.")


class Problem(BaseModel):
    """Why a request was not served (RFC 9457)."""

    type: str = Field(description="A name for this kind of problem: urn:atelier:problem:CODE.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; made for programs.")
    request_id: str = Field(description="Stands in the service's log.")
    hint: str | None = Field(None, description="What would help.")
    errors: list[WrongField] = Field([], description="Set when fields are wrong.")


def problem(failure: Failure) -> Response:
    """One failure as problem+json."""
    body = Problem(
        type=f"urn:atelier:problem:{failure.code}",
        title=failure.title,
        status=failure.status,
        detail=failure.detail,
        code=failure.code,
        request_id=request_id(),
        hint=failure.hint,
        errors=[WrongField(**{**error, "value": _shown(error["value"])}) for error in failure.errors],
    )
    # ASCII-only JSON: a lone surrogate in a wrong value can be told back to its sender.
    return Response(
        json.dumps(body.model_dump()), status=failure.status, content_type=PROBLEM_TYPE, headers=dict(failure.headers)
    )


def _shown(value: Any) -> Any:
    """The value if it is short, plain JSON; else its first characters."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:200]
    return value if len(text) <= 200 else text[:197] + "..."
