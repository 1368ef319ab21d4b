"""What an address may answer, for the OpenAPI document. Errors are problem+json with the shape `Problem`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from app.service.http.problem_json import PROBLEM_TYPE, Problem

Documented = Mapping[int, type[BaseModel] | dict[str, Any] | None]
_PROBLEM = {"$ref": f"#/components/schemas/{Problem.__name__}"}
# 400 foreign host or malformed call, 401 and 403 key or origin, 503 stopping or database busy
ALWAYS = (400, 401, 403, 503)


def documented(good: Documented, *problems: int) -> dict[Any, Any]:
    """The `responses` of one address: its good answers, those problems, and the ones that every address has."""
    return {**good, **{status: _problem(status) for status in sorted({*ALWAYS, *problems})}}


def foreign_answers(failure: type[BaseModel], good: Documented, *problems: int) -> dict[Any, Any]:
    """`documented` for a door whose errors are JSON of the shape `failure`."""
    return {**good, **dict.fromkeys(sorted({*ALWAYS, *problems}), failure)}


def media(content_type: str, description: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A good answer that is not JSON."""
    return {"description": description, "content": {content_type: {"schema": dict(schema or {"type": "string"})}}}


def binary(content_type: str, description: str) -> dict[str, Any]:
    """A good answer of bytes."""
    return media(content_type, description, {"type": "string", "format": "binary"})


def _problem(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {PROBLEM_TYPE: {"schema": dict(_PROBLEM)}}}
