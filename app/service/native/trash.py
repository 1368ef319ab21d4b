"""The trash: deleted pictures that can still be had back."""

from typing import Annotated

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.core.answers import Image
from app.core.schema import TrashedImage
from app.service.http.documented import documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import ImagePath
from app.service.parts import current_parts

TAG = Tag(name="trash", description="Deleted pictures that can still be had back.")


class Trash(BaseModel):
    """What is in the trash, the latest first, at most 500."""

    items: tuple[TrashedImage, ...]
    days: Annotated[float, Field(description="How long each stays, in days; 0 = there is no trash.")]


class Emptied(BaseModel):
    """How many pictures were removed for good."""

    removed: int


def list_trash() -> Response:
    """Deleted pictures that can still be had back"""
    parts = current_parts()
    return reply(Trash(items=tuple(parts.library.trashed()), days=parts.settings.trash_days))


def empty_trash() -> Response:
    """Remove for good what is in the trash"""
    return reply(Emptied(removed=current_parts().library.empty_trash(all=True)))


def restore_image(path: ImagePath) -> Response:
    """Have a deleted picture back"""
    no_unknown_id("image", path.image_id)
    return reply(Image.model_construct(**dict(current_parts().library.restore(path.image_id))))


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("trash", __name__, abp_tags=[TAG])
    api.get("/api/trash", responses=documented({200: Trash}))(list_trash)
    api.delete("/api/trash", responses=documented({200: Emptied}, 507))(empty_trash)
    api.post("/api/trash/<image_id>/restore", responses=documented({200: Image}, 404, 422))(restore_image)
    return api
