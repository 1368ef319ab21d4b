"""The OpenAI images API: `/v1/images/generations`, `edits` and `variations`, `/v1/models`. A translator, nothing else.

Shapes as the `openai` SDK reads them (its `images_response.py`, `_exceptions.py`).
"""

from collections.abc import Callable
from typing import Any, Literal

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, Field

from app.catalog import ModelEntry
from app.core.errors import FieldError, InvalidRequest, UnknownModel
from app.service import work
from app.service.foreign.aliases import entry_for
from app.service.foreign.bodies import documented_body, documented_form, read
from app.service.foreign.jobs import succeeded
from app.service.foreign.names import foreign_names
from app.service.http import callers
from app.service.http.documented import binary, foreign_answers
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import IDEMPOTENCY_KEY
from app.service.installed import check_installed, installed_entries
from app.service.openai.answers import EXTENSIONS, as_file, completed, stream
from app.service.openai.bodies import (
    OpenAIEdit,
    OpenAIFailure,
    OpenAIGeneration,
    OpenAIImages,
    OpenAIModel,
    OpenAIModels,
    OpenAIVariation,
)
from app.service.openai.edits import edit_start, read_form, variation_start
from app.service.openai.translate import NAMES, said, to_request, to_wanted
from app.service.parts import Parts

ORIGIN = "openai"
TAG = Tag(name="openai", description="The OpenAI images API.")
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "invalid_request_error",
          429: "rate_limit_error"}  # fmt: skip


class OpenAIFile(BaseModel):
    """A picture in another format."""

    image_id: str
    kind: Literal["jpeg", "webp"]


class Compression(BaseModel):
    """How it is written."""

    compression: str = Field("100", description="Quality, 0 to 100.", json_schema_extra={"pattern": "^[0-9]{1,3}$"})


class ModelName(BaseModel):
    """A model's name, or another provider's that stands for one."""

    key: str


def create_blueprint(parts: Parts) -> APIBlueprint:
    """The OpenAI routes over the shared queue and library."""
    api = APIBlueprint("openai", __name__, abp_tags=[TAG])

    def generations() -> Response:
        """Make pictures and wait for them

        With `stream` the answer is an event stream: partial images, then the completed one.
        """
        return _answer(parts, read(OpenAIGeneration), lambda _: {})

    def picture(path: OpenAIFile, query: Compression) -> Response:
        """A saved picture as JPEG or WebP"""
        no_unknown_id("image", path.image_id)
        return as_file(parts, path.image_id, path.kind, query.compression)

    def edits() -> Response:
        """Make a picture from a picture, or a part of it anew

        A form: `image` is the file to start from; where `mask`, or the picture itself, is transparent it is made anew.
        A model that follows instructions changes the first of several files and looks at the others.
        """
        body = read_form(OpenAIEdit)
        return _answer(parts, body, lambda entry: edit_start(body, entry, parts.inputs))

    def variations() -> Response:
        """Make pictures like a picture"""
        body = read_form(OpenAIVariation)
        return _answer(parts, body, lambda _: variation_start(body, parts.inputs))

    def models() -> Response:
        """The models that are installed"""
        return reply(OpenAIModels(data=[OpenAIModel(id=entry.key) for entry in installed_entries(parts)]))

    def model(path: ModelName) -> Response:
        """One model"""
        return reply(OpenAIModel(id=entry_for(parts.catalog, parts.settings, path.key).key))

    made = foreign_answers(OpenAIFailure, {200: OpenAIImages}, 404, 409, 413, 429, 499, 500, 507)
    body = documented_body(api, OpenAIGeneration)
    api.post("/v1/images/generations", responses=made, openapi_extensions=body)(generations)
    file = {200: binary("image/*", "The picture.")}
    kinds = f"<any({','.join(EXTENSIONS)}):kind>"
    api.get(f"/v1/images/<image_id>.{kinds}", responses=foreign_answers(OpenAIFailure, file, 404))(picture)
    for view, kind, files in ((edits, OpenAIEdit, ("image", "mask")), (variations, OpenAIVariation, ("image",))):
        form = documented_form(api, kind, files)
        api.post(f"/v1/images/{view.__name__}", responses=made, openapi_extensions=form)(view)
    api.get("/v1/models", responses=foreign_answers(OpenAIFailure, {200: OpenAIModels}))(models)
    api.get("/v1/models/<path:key>", responses=foreign_answers(OpenAIFailure, {200: OpenAIModel}, 404))(model)
    answer_errors_with(api, error_answer)
    return api


def _answer(parts: Parts, body: OpenAIGeneration, start: Callable[[ModelEntry], dict[str, Any]]) -> Response:
    """Make the pictures of a body and tell them; `start` keeps what they start from, and says it in our fields."""
    wanted = to_wanted(body)
    entry = entry_for(parts.catalog, parts.settings, body.model or None)  # an unknown model is 404 in this dialect
    check_installed(parts, entry)
    key = _idempotency_key()
    with callers.seat(parts) as seat:  # before the job is accepted: without one it must not be made
        generation = to_request(body, entry, start(entry))
        with foreign_names(NAMES):
            job, _ = work.submit(parts, generation, origin=ORIGIN, idempotency_key=key)
        notes = said(job.request, entry)
        if wanted.stream:
            return seat.keep(stream(parts, job, wanted, notes))
        finished = succeeded(work.wait(parts, job.id))
    return jsonify(completed(parts, finished, wanted, notes, request.host_url))


def error_answer(failure: Failure) -> Response:
    """An error in OpenAI's shape. 409 and 422 are told not to be retried: the SDK would, twice."""
    first = failure.errors[0]["field"] if failure.errors else None
    status = 400 if failure.status == 422 else failure.status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = "model_not_found" if failure.code == UnknownModel.code else failure.code
    param = "model" if code == "model_not_found" else first
    error = {"message": failure.detail, "type": kind, "param": param, "code": code}
    response = jsonify({"error": error})
    response.status_code = status
    response.headers.update(failure.headers)
    if status == 409 or failure.code == "generation_failed":
        response.headers["x-should-retry"] = "false"
    return response


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest([FieldError("Idempotency-Key", key, "1 to 200 visible ASCII characters are needed")])
    return key


def register(app: OpenAPI, parts: Parts) -> None:
    """Open the door."""
    app.register_api(create_blueprint(parts))
