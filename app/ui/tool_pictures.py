"""The pictures that an assistant names for a new one, by the ids of saved pictures."""

from typing import Any

from app.client import ImageServiceClient
from app.core.task import Task


def with_pictures(client: ImageServiceClient, model: str, pictures: str, control: str) -> dict[str, Any]:
    """The fields of a request that starts from `pictures` and is held by those of `control`. Raises ServiceError."""
    named = [part.strip() for part in pictures.split(",") if part.strip()]
    fields: dict[str, Any] = {}
    if named:
        known = next((each for each in client.models() if (each.key == model if model else each.default)), None)
        task = Task.EDIT if known is not None and Task.EDIT in known.tasks else Task.IMAGE
        roles = ["image"] + ["reference"] * (len(named) - 1)
        inputs = [{"role": role, "sha256": _kept(client, name)} for role, name in zip(roles, named, strict=True)]
        fields |= {"task": task.value, "inputs": inputs}
    pairs = [part.partition("=") for part in control.split(",") if part.strip()]
    if pairs:
        fields["control"] = [{"model": key.strip(), "image": _kept(client, name.strip())} for key, _, name in pairs]
    return fields


def _kept(client: ImageServiceClient, image_id: str) -> str:
    """The SHA-256 of a saved picture, kept to start from."""
    return client.upload(client.image_bytes(image_id)).sha256
