"""Parameters that several addresses share, and how a body is read."""

import re
from functools import cache
from typing import Any, Literal

from flask import Response, current_app, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.routing import BaseConverter

from app.core.errors import FieldError, InvalidRequest

MAX_PAGE = 200
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,200}")
Origin = Literal["api", "ui", "cli", "drop"]


class Query(BaseModel):
    """Base of query parameters: an unknown one is an error, so a typing mistake is not silently without effect."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Where in a list, and how much of it."""

    limit: int = Field(50, ge=1, le=MAX_PAGE, description="Most items of the page.")


class JobPath(BaseModel):
    """A job's id."""

    job_id: str = Field(max_length=64, description="The job's id.")


class GridPath(BaseModel):
    """A grid's id."""

    grid_id: str = Field(max_length=64, description="The grid's id.")


class ImagePath(BaseModel):
    """An image's id."""

    image_id: str = Field(max_length=64, description="The image's id.")


class ModelPath(BaseModel):
    """A model's key."""

    key: str = Field(max_length=200, description="The model's key in the catalog, or a hub id (`owner/name`).")


class ModelKey(BaseConverter):
    """`<model:key>` in an address: one part, or `owner/name`; what stands behind a key is never part of it."""

    part_isolating = False
    regex = r"[^/]+(?:/(?!(?:load|unload|download|clean|events)(?:/|\Z))[^/]+)?"


class SubmitHeaders(BaseModel):
    """What a submit may say beside its body."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="The same key again gives the same job, so a lost answer can be asked for again.",
    )
    origin: Origin = Field("api", alias="X-Atelier-Origin", description="Which door the request came through.")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As pydantic has it. The plain one is made once: flask-openapi3 asks for it, to read it, at each request."""
        return super().model_json_schema(*args, **kwargs) if args or kwargs else _schema_of_headers()


@cache
def _schema_of_headers() -> dict[str, Any]:
    return BaseModel.model_json_schema.__func__(SubmitHeaders)  # type: ignore[attr-defined, no-any-return]


def check_body() -> Response | None:
    """Before a view with a JSON body: 413 if it is too long, 415 for another type, 400 if it is not JSON."""
    if request.method == "OPTIONS":  # a browser's question before the request itself
        return None
    view = current_app.view_functions.get(request.endpoint or "")
    if "body" in getattr(view, "__annotations__", {}):
        body = request.get_json()
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("body", body, "allowed is a JSON object")])
    return None


def refuse_invalid(error: ValidationError) -> Response:
    """flask-openapi3 calls this for wrong parameters and bodies. Raises InvalidRequest naming every wrong field."""
    models = _models_of_view()
    raise InvalidRequest([_field_error(dict(item), models) for item in error.errors(include_url=False)])


def _models_of_view() -> list[type[BaseModel]]:
    view = current_app.view_functions.get(request.endpoint or "")
    found = [getattr(view, "__annotations__", {}).get(name) for name in ("body", "query", "path", "header")]
    return [model for model in found if isinstance(model, type) and issubclass(model, BaseModel)]


def _field_error(error: dict[str, Any], models: list[type[BaseModel]]) -> FieldError:
    name = ".".join(str(part) for part in error["loc"]) or "body"
    if error["type"] == "missing":
        return FieldError(name, None, "it is required")
    if error["type"] == "extra_forbidden":
        known = next((", ".join(model.model_fields) for model in models if _forbids(model)), "")
        return FieldError(name, error["input"], f"there is no such field; allowed are: {known}")
    words = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    span = next((span for model in models if (span := _span(model, name))), None)
    if error["type"] in ("greater_than_equal", "less_than_equal") and span:
        words = span
    return FieldError(name, error["input"], f"allowed is {words}" if not words.startswith("must") else f"it {words}")


def _forbids(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") == "forbid"


def _span(model: type[BaseModel], name: str) -> str | None:
    """`1 to 1000` from the bounds of a field."""
    bounds = bounds_of(model, name)
    return f"{bounds['ge']} to {bounds['le']}" if {"ge", "le"} <= bounds.keys() else None


def bounds_of(model: type[BaseModel], name: str) -> dict[str, Any]:
    """`ge` and `le` of a field, where it has them."""
    field = model.model_fields.get(name)
    return {
        key: getattr(item, key)
        for item in (field.metadata if field else ())
        for key in ("ge", "le")
        if getattr(item, key, None) is not None
    }
