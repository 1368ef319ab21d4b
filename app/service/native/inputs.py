"""Pictures that jobs start from: upload one, look at it."""

from typing import Any

from flask import Response, request, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import UnsupportedMediaType

from app.core.control import Preprocessor
from app.core.errors import FieldError, InvalidRequest, ShuttingDown
from app.core.schema import InputRef
from app.service.http import callers
from app.service.http.documented import binary, documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import Query
from app.service.native.images import PICTURE_TYPES, picture_answer
from app.service.parts import current_parts
from app.service.seen import seen, seer_of

MAX_SIDE = 2**16  # no picture is larger
TAG = Tag(name="inputs", description="Pictures that jobs start from.")


class InputPath(BaseModel):
    """The SHA-256 of an uploaded picture."""

    sha256: str = Field(max_length=64, description="The picture's SHA-256, as the upload answered it.")


class Part(BaseModel):
    """A part of a picture, in pixels from its top left."""

    model_config = ConfigDict(extra="forbid", strict=True)

    left: int = Field(ge=0, le=MAX_SIDE)
    top: int = Field(ge=0, le=MAX_SIDE)
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)


def upload() -> Response:
    """Upload a picture for jobs to start from

    Send the file itself as the body: one still PNG, JPEG or WebP. It is turned upright, brought to sRGB and kept as a
    PNG without any metadata; what the file said of its making is in `said`. Name it by its `sha256` in a job's
    `inputs`. It goes when no open job and no saved picture names it, at the earliest an hour after it was sent.
    Repeatable: the same pixels are kept once.
    """
    if request.mimetype not in PICTURE_TYPES:
        raise UnsupportedMediaType(f"Send the picture itself, with one of the types {', '.join(PICTURE_TYPES)}.")
    parts = current_parts()
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    with callers.seat(parts):  # pictures are decoded one after the other: who waits for that must not take all threads
        kept = parts.inputs.put(request.get_data(cache=False))
    answer = reply(kept, 201)
    answer.headers["Location"] = url_for(".get_input", sha256=kept.sha256)
    return answer


def get_input(path: InputPath) -> Response:
    """An uploaded picture: its size, and what its file said of its making"""
    no_unknown_id("input", path.sha256)
    return reply(current_parts().inputs.ref(path.sha256))


def crop(path: InputPath, body: Part) -> Response:
    """Keep a part of an uploaded picture as another one

    What its file said of its making is said of the part too. Repeatable: the same pixels are kept once.
    """
    no_unknown_id("input", path.sha256)
    parts = current_parts()
    with callers.seat(parts):
        kept = parts.inputs.crop(path.sha256, body.left, body.top, body.width, body.height)
    answer = reply(kept, 201)
    answer.headers["Location"] = url_for(".get_input", sha256=kept.sha256)
    return answer


def input_file(path: InputPath) -> Response:
    """The PNG of an uploaded picture"""
    no_unknown_id("input", path.sha256)
    inputs = current_parts().inputs
    answer = picture_answer("image/png", inputs.ref(path.sha256).sha256)
    if answer.status_code != 304:
        answer.set_data(inputs.open(path.sha256))
    return answer


class PreprocessQuery(Query):
    """What is made of the picture."""

    preprocessor: Preprocessor = Field(description="What a control model is to see.")
    width: int | None = Field(None, ge=8, le=8192, description="Pixels of the picture that is to be drawn.")
    height: int | None = Field(None, ge=8, le=8192, description="Likewise.")


def preprocessed_file(path: InputPath, query: PreprocessQuery) -> Response:
    """What a control model sees of an uploaded picture, as a PNG

    The same as a job of that size makes of it: scaled to fill the size, what sticks out cut, then preprocessed. Without
    a size it keeps its own. `depth` and `openpose` are seen by a model of the catalog, as soon as a device is free.
    """
    no_unknown_id("input", path.sha256)
    parts = current_parts()
    kept = parts.inputs.ref(path.sha256)
    width, height = query.width or kept.width, query.height or kept.height
    if width * height > parts.settings.max_pixels:
        allowed = f"allowed is at most {parts.settings.max_pixels} pixels in all"
        raise InvalidRequest([FieldError("width", f"{width}x{height}", allowed)])
    seer = seer_of(parts, query.preprocessor, "preprocessor")
    by = seer.key if seer else query.preprocessor
    answer = picture_answer("image/png", f"{kept.sha256}-{by}-{width}x{height}")
    if answer.status_code != 304:
        with callers.seat(parts):
            answer.set_data(seen(parts, kept.sha256, query.preprocessor, seer, width, height))
    return answer


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("inputs", __name__, abp_tags=[TAG])
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURE_TYPES}
    api.post(
        "/api/inputs",
        responses=documented({201: InputRef}, 413, 415, 422, 507),
        openapi_extensions={"requestBody": {"required": True, "content": content}},
    )(upload)
    api.get("/api/inputs/<sha256>", responses=documented({200: InputRef}, 404, 422))(get_input)
    api.post("/api/inputs/<sha256>/crop", responses=documented({201: InputRef}, 404, 413, 415, 422, 507))(crop)
    unchanged: dict[str, Any] = {"description": "The caller has these bytes already (If-None-Match)."}
    file = documented({200: binary("image/png", "The file."), 304: unchanged}, 404, 422)
    api.get("/api/inputs/<sha256>.png", responses=file)(input_file)
    hint = {**file, **documented({}, 409, 429, 503)}
    api.get("/api/inputs/<sha256>/preprocessed.png", responses=hint)(preprocessed_file)
    return api
