"""A value as a JSON answer."""

from flask import Response
from pydantic import BaseModel


def reply(value: BaseModel, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(value.model_dump_json(), status=status, content_type="application/json")
