"""The trash: deleted pictures that can still be had back."""

from typing import Annotated

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.core.answers import Image
from app.core.schema import TrashedImage
from app.service.http.documented import binary, documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import ImagePath
from app.service.native.images import ThumbnailQuery
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


def thumbnail_file(path: ImagePath, query: ThumbnailQuery) -> Response:
    """A small WebP of a deleted picture"""
    no_unknown_id("image", path.image_id)
    answer = Response(current_parts().library.thumbnail(path.image_id, query.w.value, deleted=True))
    answer.content_type = "image/webp"
    answer.headers["Cache-Control"] = "no-store"  # it may be gone for good in a moment
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("trash", __name__, abp_tags=[TAG])
    api.get("/api/trash", responses=documented({200: Trash}))(list_trash)
    api.delete("/api/trash", responses=documented({200: Emptied}, 507))(empty_trash)
    webp_file = documented({200: binary("image/webp", "The thumbnail.")}, 404, 422)
    api.get("/api/trash/<image_id>/thumbnail.webp", responses=webp_file)(thumbnail_file)
    api.post("/api/trash/<image_id>/restore", responses=documented({200: Image}, 404, 422))(restore_image)
    return api
