"""What a caller of the library asks for, read as strictly as a request that comes over HTTP."""

from typing import Any

from pydantic import ConfigDict, ValidationError

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest
from app.core.task import Task


class _Asked(GenerationRequest):
    """What a caller may ask for: "7" or True where a number belongs is an error, not a guess."""

    model_config = ConfigDict(strict=True)


def validated(fields: dict[str, Any]) -> GenerationRequest:
    """Raises InvalidRequest naming every field of a wrong type or value, and a prompt without a word."""
    wrong: list[FieldError] = []
    try:
        asked = _Asked.model_validate(fields)
    except ValidationError as error:
        wrong = [
            FieldError(".".join(str(part) for part in item["loc"]), item.get("input"), f"allowed is {_allowed(item)}")
            for item in error.errors()
        ]
    if isinstance(fields["prompt"], str) and not fields["prompt"].strip() and fields.get("task") != Task.UPSCALE:
        wrong.append(FieldError("prompt", fields["prompt"], "allowed is a text that says what the picture shows"))
    if wrong:
        raise InvalidRequest(wrong)
    return GenerationRequest.model_construct(**dict(asked))


def _allowed(error: Any) -> str:
    return str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
