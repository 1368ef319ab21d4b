"""The pictures of an assistant: those that it names for a new one, hands in, and gets."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import InputRef
from app.core.task import Task

SHA256 = re.compile(r"[0-9a-f]{64}")
AS_DATA = "data:image/png;base64,"


def with_pictures(
    client: ImageServiceClient, model: str, pictures: str, control: str, mask: str = ""
) -> dict[str, Any]:
    """The fields of a request that starts from `pictures`, is made anew under `mask` and is held by those of `control`.

    Raises ServiceError, also for a mask without a picture.
    """
    named = [part.strip() for part in pictures.split(",") if part.strip()]
    fields: dict[str, Any] = {}
    if mask and not named:
        raise _wrong("mask: it needs a picture to start from, in pictures")
    if named:
        known = next((each for each in client.models() if (each.key == model if model else each.default)), None)
        task = Task.EDIT if known is not None and Task.EDIT in known.tasks else Task.IMAGE
        roles = ["image"] + ["reference"] * (len(named) - 1) + (["mask"] if mask else [])
        named += [mask.strip()] if mask else []
        inputs = [{"role": role, "sha256": _kept(client, name)} for role, name in zip(roles, named, strict=True)]
        fields |= {"task": (Task.INPAINT if mask else task).value, "inputs": inputs}
    pairs = [part.partition("=") for part in control.split(",") if part.strip()]
    if pairs:
        fields["control"] = [{"model": key.strip(), "image": _kept(client, name.strip())} for key, _, name in pairs]
    return fields


def handed_in(client: ImageServiceClient, text: str) -> InputRef:
    """A picture that was sent as base64 or as a data: URL, kept to start from. Raises ServiceError."""
    data = text.partition(",")[2] if text.startswith("data:") else text
    try:
        picture = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("picture: allowed is the base64 of a PNG, JPEG or WebP picture") from None
    return client.upload(picture)


def as_data(png: bytes) -> str:
    """A saved picture as a tool gives it: see `contents`."""
    return AS_DATA + base64.b64encode(png).decode()


def contents(answers: Sequence[Any], _: str) -> list[Any]:
    """The answers of a tool in the protocol's kinds, in the place of Gradio's way, which would write pictures anew and
    lose what they say of their making."""
    return [_content(str(answer)) for answer in answers]


def _content(text: str) -> Any:
    from mcp.types import ImageContent, TextContent  # a package that is there only where tools are offered

    if text.startswith(AS_DATA):
        return ImageContent(type="image", data=text.removeprefix(AS_DATA), mimeType="image/png")
    return TextContent(type="text", text=text)


def _kept(client: ImageServiceClient, name: str) -> str:
    """The SHA-256 of a picture that was handed in, or of a saved one, kept to start from."""
    return name if SHA256.fullmatch(name) else client.upload(client.image_bytes(name)).sha256


def _wrong(text: str) -> ServiceError:
    return ServiceError(text, code="invalid_request", http_status=422)
