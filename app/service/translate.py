"""What every dialect's translator needs: foreign values into ours, with the foreign names in the errors."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest


def checked_request(values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> GenerationRequest:
    """The request of `values`, whose `None`s mean "the model's own".

    Raises InvalidRequest; `names` says what the caller called a field of ours.
    """
    try:
        return GenerationRequest.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise InvalidRequest(
            [
                FieldError(foreign(problem["loc"], names), problem.get("input"), problem["msg"].lower())
                for problem in error.errors()
            ]
        ) from error


def foreign(location: tuple[int | str, ...], names: Mapping[str, str] | None) -> str:
    """A field's name as the caller wrote it."""
    ours = str(location[0]) if location else "body"
    return (names or {}).get(ours, ours)


def renamed(error: InvalidRequest, names: Mapping[str, str]) -> InvalidRequest:
    """The same error with the caller's field names."""
    return InvalidRequest([FieldError(names.get(e.field, e.field), e.value, e.allowed) for e in error.errors])
