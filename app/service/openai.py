"""The OpenAI images API: `/v1/images/generations`, `/v1/images/edits`, `/v1/models`. A translator, nothing else.

Shapes as the `openai` SDK reads them (its `types/image_generate_params.py`, `images_response.py`, `_exceptions.py`).
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from app.core.errors import AtelierError, FieldError, InvalidRequest, UnknownModel
from app.core.schema import GenerationRequest
from app.service import work
from app.service.failures import Failure
from app.service.openai_answers import Wanted, completed, stream
from app.service.outcomes import succeeded
from app.service.parts import Parts
from app.service.problems import answer_errors_with
from app.service.translate import checked_request

ORIGIN = "openai"
MAX_N = 10
EXTRAS = ("seed", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler")
# Parameters with the values that mean what Atelier does anyway. Any other value is refused by name.
HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "quality": ("auto", "standard", "medium"),
    "background": ("auto", "opaque"),
    "moderation": ("auto", "low"),
    "style": (),
}
KNOWN = {"prompt", "model", "n", "size", "response_format", "output_format", "output_compression", "stream",
         "partial_images", "user", *EXTRAS, *HARMLESS}  # fmt: skip
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "invalid_request_error",
          429: "rate_limit_error"}  # fmt: skip


class UnsupportedEdit(AtelierError):
    """Image edits need an image-to-image model, which Atelier does not offer yet. Use /v1/images/generations."""

    code = "unsupported_endpoint"
    http_status = 400


def to_request(body: Mapping[str, Any]) -> GenerationRequest:
    """The request of a generations body. Raises InvalidRequest naming each parameter that is wrong or unsupported."""
    errors = [FieldError(name, body[name], "this parameter is not supported") for name in sorted(body.keys() - KNOWN)]
    for name, allowed in HARMLESS.items():
        if body.get(name) is not None and body[name] not in allowed:
            errors.append(FieldError(name, body[name], f"supported: {', '.join(allowed) or 'none, leave it out'}"))
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        errors.append(FieldError("prompt", prompt, "a prompt is needed"))
    width, height = _size(body.get("size"), errors)
    n = body.get("n")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_N):
        errors.append(FieldError("n", n, f"allowed is 1 to {MAX_N}"))
    if errors:
        raise InvalidRequest(errors)
    values = {"prompt": prompt, "model": body.get("model") or None, "width": width, "height": height, "num_images": n}
    return checked_request(values | {name: body.get(name) for name in EXTRAS}, names={"num_images": "n"})


def to_wanted(body: Mapping[str, Any]) -> Wanted:
    """How the caller wants the answer. Raises InvalidRequest."""
    errors: list[FieldError] = []
    choice(body, "output_format", ("png", "jpeg", "webp"), errors)
    choice(body, "response_format", ("url", "b64_json"), errors)
    compression = whole(body, "output_compression", 0, 100, errors)
    partial_images = whole(body, "partial_images", 0, 3, errors)
    streamed = body.get("stream")
    if streamed not in (None, True, False):
        errors.append(FieldError("stream", streamed, "true or false"))
    if streamed and (body.get("n") or 1) != 1:
        errors.append(FieldError("n", body.get("n"), "a stream has one image; allowed is 1"))
    if errors:
        raise InvalidRequest(errors)
    return Wanted(
        output_format=body.get("output_format") or "png",
        response_format=body.get("response_format"),
        compression=100 if compression is None else compression,
        partial_images=partial_images or 0,
        stream=bool(streamed),
    )


def create_blueprint(parts: Parts) -> Blueprint:
    """The OpenAI routes over the shared queue and library."""
    blueprint = Blueprint("openai", __name__, url_prefix="/v1")

    @blueprint.post("/images/generations")
    def generations() -> Response:
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("body", None, "a JSON object is needed")])
        wanted = to_wanted(body)
        generation = to_request(body)
        if generation.model is not None:
            parts.catalog.get(generation.model)  # an unknown model is 404 in this dialect
        key = request.headers.get("Idempotency-Key")
        job, _ = work.submit(parts, generation, origin=ORIGIN, idempotency_key=key)
        if wanted.stream:
            return stream(parts, job, wanted)
        with parts.seats:
            finished = succeeded(work.wait(parts, job.id))
        return jsonify(completed(parts, finished, wanted, request.host_url))

    @blueprint.post("/images/edits")
    @blueprint.post("/images/variations")
    def edits() -> Response:
        raise UnsupportedEdit

    @blueprint.get("/models")
    def models() -> Response:
        return jsonify({"object": "list", "data": [from_model(entry.key) for entry in parts.catalog.entries()]})

    @blueprint.get("/models/<path:key>")
    def model(key: str) -> Response:
        return jsonify(from_model(parts.catalog.get(key).key))

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


def _size(value: Any, errors: list[FieldError]) -> tuple[int | None, int | None]:
    if value in (None, "auto"):
        return None, None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        errors.append(FieldError("size", value, 'allowed is "auto" or WIDTHxHEIGHT in pixels, like "512x512"'))
        return None, None
    return int(match[1]), int(match[2])


def choice(body: Mapping[str, Any], name: str, allowed: tuple[str, ...], errors: list[FieldError]) -> None:
    """Note an error if the field is given and is none of `allowed`."""
    if body.get(name) is not None and body[name] not in allowed:
        errors.append(FieldError(name, body[name], f"allowed is one of: {', '.join(allowed)}"))


def whole(body: Mapping[str, Any], name: str, low: int, high: int, errors: list[FieldError]) -> int | None:
    """The field's whole number, or None if absent; notes an error outside `low`..`high`."""
    value = body.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
        return value
    errors.append(FieldError(name, value, f"allowed is a whole number from {low} to {high}"))
    return None


def register(app: Flask, parts: Parts) -> None:
    """Open the door."""
    app.register_blueprint(create_blueprint(parts))
