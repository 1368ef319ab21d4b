"""The JSON objects that foreign clients send: any content type will do, but not every value."""

import json
import math
from typing import Any

from flask import current_app, request

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import refuse_bad_text

MAX_WHOLE = 2**63  # what a database column and a float can hold
_EXAMPLE = 'a JSON object is needed, like {"prompt": "a red apple"}'


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
