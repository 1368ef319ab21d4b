"""The OpenAI images API: `/v1/images/generations`, `/v1/images/edits`, `/v1/models`. A translator, nothing else.

Shapes as the `openai` SDK reads them (its `images_response.py`, `_exceptions.py`).
"""

from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from app.core.errors import AtelierError, FieldError, InvalidRequest, UnknownModel
from app.service import work
from app.service.foreign.aliases import entry_for
from app.service.foreign.bodies import json_object
from app.service.foreign.jobs import succeeded
from app.service.foreign.names import foreign_names
from app.service.http import callers
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.http.parameters import IDEMPOTENCY_KEY
from app.service.installed import check_installed, installed_entries
from app.service.openai.answers import EXTENSIONS, as_file, completed, stream
from app.service.openai.translate import NAMES, said, to_model, to_request, to_wanted
from app.service.parts import Parts

ORIGIN = "openai"
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "invalid_request_error",
          429: "rate_limit_error"}  # fmt: skip


class UnsupportedEdit(AtelierError):
    """Image edits need an image-to-image model, which Atelier does not offer yet. Use /v1/images/generations."""

    code = "unsupported_endpoint"
    http_status = 400


def create_blueprint(parts: Parts) -> Blueprint:
    """The OpenAI routes over the shared queue and library."""
    blueprint = Blueprint("openai", __name__, url_prefix="/v1")

    @blueprint.post("/images/generations")
    def generations() -> Response:
        body = json_object()
        wanted = to_wanted(body)
        entry = entry_for(parts.catalog, parts.settings, to_model(body))  # an unknown model is 404 in this dialect
        check_installed(parts, entry)
        generation = to_request(body, entry)
        key = _idempotency_key()
        with callers.seat(parts) as seat:  # before the job is accepted: without one it must not be made
            with foreign_names(NAMES):
                job, _ = work.submit(parts, generation, origin=ORIGIN, idempotency_key=key)
            notes = said(job.request, entry)
            if wanted.stream:
                return seat.keep(stream(parts, job, wanted, notes))
            finished = succeeded(work.wait(parts, job.id))
        return jsonify(completed(parts, finished, wanted, notes, request.host_url))

    @blueprint.get(f"/images/<image_id>.<any({','.join(EXTENSIONS)}):kind>")
    def picture(image_id: str, kind: str) -> Response:
        no_unknown_id("image", image_id)
        return as_file(parts, image_id, kind, request.args.get("compression", "100"))

    @blueprint.post("/images/edits")
    @blueprint.post("/images/variations")
    def edits() -> Response:
        raise UnsupportedEdit

    @blueprint.get("/models")
    def models() -> Response:
        return jsonify({"object": "list", "data": [from_model(entry.key) for entry in installed_entries(parts)]})

    @blueprint.get("/models/<path:key>")
    def model(key: str) -> Response:
        return jsonify(from_model(entry_for(parts.catalog, parts.settings, key).key))

    answer_errors_with(blueprint, error_answer)
    return blueprint


def from_model(key: str) -> dict[str, Any]:
    """One line of the model list."""
    return {"id": key, "object": "model", "created": 0, "owned_by": "atelier"}


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


def register(app: Flask, parts: Parts) -> None:
    """Open the door."""
    app.register_blueprint(create_blueprint(parts))
