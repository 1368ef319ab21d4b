"""What every dialect's translator needs: foreign values into ours, with the foreign names in the errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
                FieldError(foreign(problem["loc"], names), problem.get("input"), _words(problem["msg"]))
                for problem in error.errors()
            ]
        ) from error


def _words(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "allowed is", 1)


def foreign(location: tuple[int | str, ...], names: Mapping[str, str] | None) -> str:
    """A field's name as the caller wrote it."""
    ours = str(location[0]) if location else "body"
    return (names or {}).get(ours, ours)


@contextmanager
def foreign_names(names: Mapping[str, str]) -> Iterator[None]:
    """While open, an InvalidRequest names the fields as the caller does."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(
            [FieldError(names.get(e.field, e.field), e.value, e.allowed) for e in error.errors], hint=error.hint
        ) from None
