"""What every dialect's translator needs: a foreign body as a request of ours, with the foreign names in the errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest
from app.service.http.parameters import bounds_of

MAX_SHOWN_CHARS = 200
_KINDS = {"int": "a whole number", "float": "a number", "string": "a text", "bool": "true or false"}


def request_of(values: Mapping[str, Any]) -> GenerationRequest:
    """The request of values that a body's fields have checked; `None` means "the model's own"."""
    return GenerationRequest.model_construct(**{name: value for name, value in values.items() if value is not None})


def field_errors(
    error: ValidationError, kind: type[BaseModel], values: Mapping[str, Any], unknown: str
) -> list[FieldError]:
    """What is wrong with the body `values`, in words. `unknown` is what is said of a field that is not known."""
    return [
        FieldError(".".join(map(str, item["loc"])) or "body", _sent(values, item), _words(dict(item), kind, unknown))
        for item in error.errors(include_url=False)
    ]


@contextmanager
def foreign_names(names: Mapping[str, str]) -> Iterator[None]:
    """While open, an InvalidRequest names the fields as the caller does."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(
            [FieldError(names.get(e.field, e.field), e.value, e.allowed) for e in error.errors], hint=error.hint
        ) from None


def _words(item: dict[str, Any], kind: type[BaseModel], unknown: str) -> str:
    problem, place = item["type"], item["loc"]
    if problem == "extra_forbidden":
        return unknown
    if problem == "missing":
        return "it is needed"
    wanted = _KINDS.get(problem.partition("_")[0])
    bounds = bounds_of(_owner(kind, place), str(place[-1])) if place else {}
    if problem in ("greater_than_equal", "less_than_equal", "int_type", "float_type") and {"ge", "le"} <= bounds.keys():
        return f"allowed is a number from {bounds['ge']} to {bounds['le']}"
    if wanted and problem.endswith("_type"):
        return f"{wanted} is needed"
    said = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "allowed is", 1)
    return re.sub(r"^\w+ should have", "it should have", said)


def _owner(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that has the last field of a place within a body."""
    for name in place[:-1]:
        field = kind.model_fields.get(str(name))
        inner = [part for part in get_args(field.annotation) if isinstance(part, type)] if field else []
        kind = next((part for part in inner if issubclass(part, BaseModel)), kind)
    return kind


def _sent(values: Mapping[str, Any], item: Any) -> Any:
    """The wrong value as it was sent; of a long text, such as a picture, its beginning."""
    value = values.get(item["loc"][0]) if len(item["loc"]) == 1 else item.get("input")
    return value[:MAX_SHOWN_CHARS] if isinstance(value, str) else value
