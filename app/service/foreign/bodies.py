"""The JSON objects that foreign clients send: any content type will do, but not every value."""

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from flask import current_app, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.schema import Schema
from flask_openapi3.utils import parse_body
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.core.errors import FieldError, InvalidRequest
from app.core.parameters import Parameter
from app.core.schema import GenerationRequest
from app.core.values import refuse_bad_text
from app.service.foreign.names import field_errors

MAX_WHOLE = 2**63  # what a database column and a float can hold
NOT_HERE = "this feature is not available here"
_EXAMPLE = 'a JSON object is needed, like {"prompt": "a red apple"}'


class ForeignBody(BaseModel):
    """Base of a foreign program's body: a number is no text, and an unknown field is refused.

    Say `extra="ignore"` for programs that send more than they mean. `unknown` is what is said of an unknown field;
    `not_here` are fields for what cannot be had, with the values that ask for nothing, and `instead` what to do then.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    unknown: ClassVar[str] = ""
    not_here: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    instead: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        for name, harmless in cls.not_here.items():
            schema["properties"].setdefault(name, {"enum": list(harmless), "description": "Not available here."})
        return schema


Body = TypeVar("Body", bound=ForeignBody)


def ours(name: str, *, strict: bool = True) -> Any:
    """The field of a body that is the parameter `name` of ours: the same span; absent or null = the model's own."""
    info = GenerationRequest.model_fields[name]
    made: Any = Field(None, description=info.description, strict=strict)
    made.metadata += [item for item in info.metadata if not isinstance(item, AfterValidator | Parameter)]
    return made


def read(kind: type[Body]) -> Body:
    """The request's body. Raises InvalidRequest naming every wrong field as the caller does."""
    return fitted(kind, json_object())


def fitted(kind: type[Body], values: Mapping[str, Any]) -> Body:
    """`read` of values that are here already."""
    errors = asked_for(values, kind.not_here, kind.instead)
    try:
        body = kind.model_validate(values)
    except ValidationError as error:
        known = kind.unknown or f"known fields are {', '.join(sorted(kind.model_fields))}"
        errors += field_errors(error, kind, values, known)
    if errors:
        raise InvalidRequest(errors)
    return body


def asked_for(
    values: Mapping[str, Any], not_here: Mapping[str, tuple[Any, ...]], instead: Mapping[str, str] | None = None
) -> list[FieldError]:
    """One error for each field whose value asks for what cannot be had."""
    return [
        FieldError(name, values[name], (instead or {}).get(name, NOT_HERE))
        for name, harmless in not_here.items()
        if name in values and values[name] not in harmless
    ]


def documented_body(api: APIBlueprint, kind: type[ForeignBody]) -> dict[str, Any]:
    """The `openapi_extensions` of an address of `api` that reads such a body."""
    content, schemas = parse_body(kind)
    api.components_schemas.update(schemas)
    return {"requestBody": {"required": True, "content": content}}


def documented_form(api: APIBlueprint, kind: type[ForeignBody], files: tuple[str, ...]) -> dict[str, Any]:
    """The same of an address that reads such a body as a form, with these files beside it; the first one is needed."""
    content, schemas = parse_body(kind)
    schema = schemas[kind.__name__]
    file = Schema.model_validate({"type": "string", "format": "binary", "description": "PNG, JPEG or WebP."})
    schema.properties = {**dict.fromkeys(files, file), **(schema.properties or {})}
    schema.required = [files[0], *(schema.required or ())]
    api.components_schemas.update(schemas)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content["application/json"]}}}


def json_object() -> dict[str, Any]:
    """The request's body. Raises InvalidRequest if it is no JSON object, or holds what `checked` refuses."""
    return parsed(request.get_data(cache=False))  # it may hold a picture: not kept twice


def parsed(data: bytes | str) -> dict[str, Any]:
    """`json_object` of other bytes or text."""
    try:
        body = current_app.json.loads(data)
    except ValueError:  # UnicodeDecodeError, and numbers of thousands of digits, are ones too
        body = None
    if not isinstance(body, dict):
        shown = data[:80].decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data[:80]
        raise InvalidRequest([FieldError("body", shown, _EXAMPLE)])
    return checked(body)


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """The same object. Raises InvalidRequest naming a field with a number that is not finite or beyond 64 bits, text
    that is not valid Unicode: no file, row or answer could hold them.
    """
    waiting: list[tuple[str, Any]] = [("body", name) for name in body] + list(body.items())
    while waiting:
        field, value = waiting.pop()
        _check(field, value)
        if isinstance(value, dict):
            waiting += [(field, item) for pair in value.items() for item in pair]
        elif isinstance(value, list):
            waiting += [(field, item) for item in value]
    return body


def _check(field: str, value: Any) -> None:
    allowed = None
    if isinstance(value, float) and not math.isfinite(value):
        allowed = "a finite number is needed"
    elif isinstance(value, int) and abs(value) >= MAX_WHOLE:
        allowed = "a number of at most 64 bits is needed"
    elif isinstance(value, str):
        try:
            refuse_bad_text(value)
        except ValueError as error:
            allowed = str(error)
    if allowed:
        raise InvalidRequest([FieldError(_shown(field), _shown(value), allowed)])


def _shown(value: Any) -> Any:
    if not isinstance(value, str):
        return json.dumps(value)[:40]
    return value[:40].encode("utf-8", "backslashreplace").decode()
