"""Small things that every handler does."""

import re

from flask import Response
from pydantic import BaseModel

from app.core.errors import UnknownImage, UnknownJob

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def reply(value: BaseModel, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(value.model_dump_json(), status=status, content_type="application/json")


def no_unknown_id(kind: str, id: str) -> None:
    """Raise UnknownJob or UnknownImage for what cannot be an id of ours, so that it never reaches table or disk."""
    if not _ID.fullmatch(id):
        raise {"job": UnknownJob, "image": UnknownImage}[kind]()
