"""The library: search, look, mark, delete; the picture files themselves; what a picture file says about itself."""

from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any, Literal

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import UnsupportedMediaType

from app.core.answers import Chain, Image, ImageGroup, Inspection
from app.core.errors import FieldError, InvalidRequest, UnknownJob
from app.core.picture import FORMATS
from app.core.schema import SavedImage
from app.library import Filter
from app.picture import convert, png
from app.service.http import callers
from app.service.http.documented import binary, documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import ImagePath, PageQuery, Query
from app.service.parts import Parts, current_parts

TAG = Tag(name="images", description="The library of saved pictures.")
PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
INSPECTED_TYPES = (*PICTURE_TYPES, "image/avif")
# Bytes under an id never change. `private`: a shared cache must not hand them to somebody without a key.
FOREVER = "private, max-age=31536000, immutable"


class ImagePage(BaseModel):
    """A page of the library, newest first: images, or groups with `group=prompt`."""

    items: tuple[Image, ...] | tuple[ImageGroup, ...]
    next: str | None = Field(description="The cursor of the next page; null at the end.")
    count: int | None = Field(None, description="How many images fit in all; only if `count` was asked for.")


class ImagesQuery(PageQuery):
    """Which images."""

    q: str | None = Field(None, max_length=1000, description="Text that the prompt contains.")
    model: str | None = Field(None, max_length=200, description="Catalog key.")
    seed: int | None = Field(None, ge=0, le=2**32 + 64, description="Exactly this seed.")
    favourite: bool | None = Field(None, description="Only favourites, or only the others.")
    width: int | None = Field(None, ge=1, le=2**31 - 1, description="Pixels.")
    height: int | None = Field(None, ge=1, le=2**31 - 1, description="Pixels.")
    like: str | None = Field(
        None, max_length=36, description="The images that look most like this one, by its id; the nearest first."
    )
    means: str | None = Field(
        None, min_length=1, max_length=1000, description="The images that show most nearly this; the nearest first."
    )
    after: date | None = Field(None, description="Made on this day (UTC) or later, as 2026-11-21.")
    order: Literal["newest", "oldest"] = Field("newest", description="Which come first.")
    count: bool = Field(False, description="Say how many images fit in all, too.")
    group: Literal["prompt"] | None = Field(None, description="Put the images of one job together.")
    cursor: str | None = Field(None, max_length=200, description="`next` of the page before.")


class ImageChange(BaseModel):
    """What can be changed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    favourite: bool


class ThumbnailWidth(IntEnum):
    """The two widths that exist: any width would let a stranger fill the disk."""

    SMALL = 256
    LARGE = 512


class FileQuery(Query):
    """As which file."""

    format: Literal["png", "jpeg", "webp", "avif"] = Field("png", description="png: byte for byte as it was saved.")
    quality: int = Field(92, ge=1, le=100, description="Of the other formats.")


class ThumbnailQuery(Query):
    """Which thumbnail."""

    w: ThumbnailWidth = Field(ThumbnailWidth.SMALL, description="Pixels wide.")


class DeleteQuery(Query):
    """How thoroughly."""

    forever: bool = Field(False, description="Not into the trash: nothing of it can be had back.")


def list_images(query: ImagesQuery) -> Response:
    """Search the library"""
    library = current_parts().library
    if query.like is not None or query.means is not None:
        return _alike(current_parts(), query)
    if query.group is None:
        wanted = Filter(
            query.q, query.model, query.seed, query.favourite, query.width, query.height, _moment(query.after)
        )
        oldest = query.order == "oldest"
        found = library.search(**vars(wanted), limit=query.limit, cursor=query.cursor, oldest=oldest)
        count = library.count(wanted) if query.count else None
        return reply(ImagePage(items=tuple(_shown(image) for image in found.items), next=found.next, count=count))
    for name in ("seed", "width", "height", "after", "order"):
        if getattr(query, name) != ImagesQuery.model_fields[name].default:
            raise InvalidRequest([FieldError(name, str(getattr(query, name)), "it cannot be used with group=prompt")])
    groups = library.groups(
        q=query.q, model=query.model, favourite=query.favourite, limit=query.limit, cursor=query.cursor
    )
    items = tuple(
        ImageGroup(
            prompt=group.prompt, model=group.model, seconds=group.seconds, created_at=group.created_at,
            job_id=group.job_id, images=tuple(_shown(image) for image in group.images), count=group.count,
        )
        for group in groups.items
    )  # fmt: skip
    return reply(ImagePage(items=items, next=groups.next))


def _alike(parts: Parts, query: ImagesQuery) -> Response:
    """Images by what they show. Raises InvalidRequest for what cannot be asked together, and where no model looks."""
    for name, field in ImagesQuery.model_fields.items():
        if name not in ("like", "means", "limit") and (value := getattr(query, name)) != field.default:
            raise InvalidRequest([FieldError(name, str(value), "it cannot be used with like or means")])
    if query.like is not None and query.means is not None:
        raise InvalidRequest([FieldError("means", query.means, "it cannot be used with like")])
    field_name, value = ("like", query.like) if query.like is not None else ("means", query.means)
    key, wake = parts.looks.key, parts.dispatcher.wake
    if key is None:
        raise InvalidRequest([FieldError(field_name, value, "no model looks at pictures here: see ATELIER_FIND_MODEL")])
    with callers.seat(parts):
        if query.like is not None:
            no_unknown_id("image", query.like)
            known = parts.library.look_of(key, query.like)
            vector = known or parts.looks.ask(wake, key, picture=parts.library.open(query.like))
        else:
            vector = parts.looks.ask(wake, key, words=query.means or "")
        found = parts.library.nearest(key, vector, query.limit) if vector else []
    return reply(ImagePage(items=tuple(_shown(image) for image in found), next=None))


def _moment(day: date | None) -> float | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def get_image(path: ImagePath) -> Response:
    """One image with its recipe"""
    no_unknown_id("image", path.image_id)
    return reply(_shown(current_parts().library.get(path.image_id)))


def image_chain(path: ImagePath) -> Response:
    """What an image was made from, and what was made from it"""
    no_unknown_id("image", path.image_id)
    return reply(current_parts().library.chain(path.image_id))


def change_image(path: ImagePath, body: ImageChange) -> Response:
    """Mark an image as a favourite, or take the mark away"""
    no_unknown_id("image", path.image_id)
    parts = current_parts()
    callers.refuse_strangers(_owner(parts, parts.library.get(path.image_id).job_id))
    return reply(_shown(parts.library.favourite(path.image_id, body.favourite)))


def delete_image(path: ImagePath, query: DeleteQuery) -> Response:
    """Delete an image: into the trash, or for good

    For good go its file, its thumbnails and its words. Repeatable: an image that is not there is as good as deleted.
    """
    no_unknown_id("image", path.image_id)
    current_parts().library.delete(path.image_id, forever=query.forever)
    return Response(status=204)


def image_file(path: ImagePath, query: FileQuery) -> Response:
    """The PNG, byte for byte as it was saved; or another format made of it

    A JPEG, WebP or AVIF file carries the same recipe, infotext and AI labels, in its XMP packet and EXIF UserComment.
    """
    no_unknown_id("image", path.image_id)
    parts, wanted = current_parts(), query.format
    if wanted not in convert.FORMATS:
        raise InvalidRequest([FieldError("format", wanted, f"allowed here is one of: {', '.join(convert.FORMATS)}")])
    sha256 = parts.library.get(path.image_id).sha256
    answer = picture_answer(f"image/{wanted}", sha256 if wanted == "png" else f"{sha256}-{wanted}-{query.quality}")
    if answer.status_code != 304 and wanted == "png":
        answer.set_data(parts.library.open(path.image_id))
    elif answer.status_code != 304:
        with callers.seat(parts):  # pictures are converted one after the other
            answer.set_data(convert.convert(parts.library.open(path.image_id), wanted, query.quality))
    ending = "jpg" if wanted == "jpeg" else wanted
    answer.headers["Content-Disposition"] = f'inline; filename="{path.image_id}.{ending}"'
    return answer


def thumbnail_file(path: ImagePath, query: ThumbnailQuery) -> Response:
    """A small WebP of the image"""
    no_unknown_id("image", path.image_id)
    library = current_parts().library
    answer = picture_answer("image/webp", f"{library.get(path.image_id).sha256}-{query.w.value}")
    if answer.status_code != 304:
        answer.set_data(library.thumbnail(path.image_id, query.w.value))
    return answer


def inspect_picture() -> Response:
    """What does this picture file say about how it was made?

    Send the file itself as the body: PNG, JPEG, WebP or AVIF. Nothing of it is kept.
    """
    if request.mimetype not in INSPECTED_TYPES:
        raise UnsupportedMediaType(f"Send the picture itself, with one of the types {', '.join(INSPECTED_TYPES)}.")
    return reply(png.inspect(request.get_data(cache=False)))


def _owner(parts: Parts, job_id: str) -> str:
    try:
        return parts.jobs.caller_of(job_id)
    except UnknownJob:  # the file came back without its job: it is nobody's
        return ""


def _shown(image: SavedImage) -> Image:
    return Image.model_construct(**dict(image))


def picture_answer(content_type: str, etag: str) -> Response:
    """An empty answer with the headers of a picture; 304 if the caller has these bytes already."""
    answer = Response(content_type=content_type)
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = FOREVER
    # Should a browser ever take the bytes for a page, that page may do nothing.
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-site"
    if request.if_none_match.contains(etag):
        answer.status_code = 304
    return answer


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("images", __name__, abp_tags=[TAG])
    api.get("/api/images", responses=documented({200: ImagePage}, 404, 422, 429))(list_images)
    api.get("/api/images/<image_id>", responses=documented({200: Image}, 404, 422))(get_image)
    api.get("/api/images/<image_id>/chain", responses=documented({200: Chain}, 404, 422))(image_chain)
    api.patch("/api/images/<image_id>", responses=documented({200: Image}, 404, 413, 415, 422, 507))(change_image)
    api.delete("/api/images/<image_id>", responses=documented({204: None}, 404, 422, 507))(delete_image)
    unchanged: dict[str, Any] = {"description": "The caller has these bytes already (If-None-Match)."}
    kinds = {
        f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in dict.fromkeys(FORMATS.values())
    }
    png_file = documented({200: {"description": "The file.", "content": kinds}, 304: unchanged}, 404, 422, 429)
    api.get("/images/<image_id>.png", responses=png_file)(image_file)
    webp_file = documented({200: binary("image/webp", "The thumbnail."), 304: unchanged}, 404, 422)
    api.get("/images/<image_id>/thumbnail.webp", responses=webp_file)(thumbnail_file)
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in INSPECTED_TYPES}
    api.post(
        "/api/inspect",
        responses=documented({200: Inspection}, 413, 415, 422),
        openapi_extensions={"requestBody": {"required": True, "content": content}},
    )(inspect_picture)
    return api
