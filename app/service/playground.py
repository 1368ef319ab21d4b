"""The playground's API: `/prompt`, `/queue_status`, `/getlibrary`, `/library/…`. A translator, nothing else."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from app.core.errors import FieldError, InvalidRequest, UnknownImage
from app.core.schema import RANDOM_SEED, GenerationRequest, Job
from app.service import work
from app.service.failures import Failure
from app.service.parts import Parts
from app.service.problems import answer_errors_with
from app.service.translate import checked_request

ORIGIN = "playground"
LARGEST_SEED = 2**32
# The advanced page's settings. Of these only `condition_scale` means something to a diffusion model.
STORED_ONLY = ("gen_top_k", "gen_top_p", "temperature")
# The example of the original document lacks a comma between two lines; programs were written from it.
_MISSING_COMMA = re.compile(r'(["\d])([ \t]*\r?\n\s*")')


def to_request(body: Mapping[str, Any]) -> GenerationRequest:
    """The request of a `/prompt` body. Numbers may be strings; seed 0 means random. Raises InvalidRequest."""
    known = {"text", "num_images", "seed", "condition_scale", *STORED_ONLY}
    errors = [
        FieldError(name, body[name], f"known fields are {', '.join(sorted(known))}") for name in body.keys() - known
    ]
    text = body.get("text")
    if not isinstance(text, str) or not text.strip():
        errors.append(FieldError("text", text, "a prompt is needed"))
    num_images = _number(body, "num_images", 2, errors)
    seed = _number(body, "seed", 0, errors)
    if not 0 <= seed <= LARGEST_SEED:
        errors.append(FieldError("seed", seed, f"allowed is 0 (random) to {LARGEST_SEED}"))
    scale = body.get("condition_scale")
    guidance = None if scale in (None, "") else _number(body, "condition_scale", 0, errors, whole=False)
    if errors:
        raise InvalidRequest(errors)
    return checked_request(
        {
            "prompt": text,
            "num_images": int(num_images),
            "seed": int(seed) or RANDOM_SEED,
            "guidance_scale": guidance,
            "extra": {name: body[name] for name in STORED_ONLY if body.get(name) not in (None, "")},
        },
        names={"prompt": "text", "guidance_scale": "condition_scale"},
    )


def from_open_job(job: Job) -> dict[str, Any]:
    """One line of `/queue_status`."""
    return {"text": job.request.prompt, "num_images": job.request.num_images, "queue_id": job.id}


def create_blueprint(parts: Parts) -> Blueprint:
    """The playground's routes over the shared queue and library."""
    blueprint = Blueprint("playground", __name__)

    @blueprint.post("/prompt")
    def prompt() -> tuple[Response, int]:
        request_ = to_request(_body())
        job, _ = work.submit(parts, request_, origin=ORIGIN)
        return jsonify({"queue_id": job.id}), 200

    @blueprint.get("/queue_status")
    def queue_status() -> Response:
        return jsonify([from_open_job(job) for job in parts.jobs.running_order()])

    @blueprint.get("/getlibrary")
    def getlibrary() -> Response:
        return jsonify(list(_library(parts)))

    @blueprint.get("/library/<queue_id>/<image_id>.png")
    def picture(queue_id: str, image_id: str) -> Response:
        _belongs(parts, queue_id, image_id)
        return Response(parts.library.open(image_id), mimetype="image/png")

    @blueprint.delete("/library/<queue_id>/<image_id>.png")
    def delete(queue_id: str, image_id: str) -> tuple[str, int]:
        _belongs(parts, queue_id, image_id)
        parts.library.delete(image_id)
        return "", 204

    answer_errors_with(blueprint, _error)
    return blueprint


def register(app: Flask, parts: Parts) -> None:
    """Open the door."""
    app.register_blueprint(create_blueprint(parts))


def _error(failure: Failure) -> Response:
    response = jsonify({"error": failure.detail, "code": failure.code})
    response.status_code = failure.status
    response.headers.update(failure.headers)
    return response


def _library(parts: Parts):  # type: ignore[no-untyped-def]
    cursor = None
    while True:
        page = parts.library.groups(limit=200, cursor=cursor, by="job")
        for group in page.items:
            yield {
                "creation_unixtime": group.created_at.timestamp(),
                "generated_images": [f"library/{group.job_id}/{image.id}.png" for image in group.images],
                "process_time_secs": group.seconds or 0.0,
                "queue_id": group.job_id,
                "text_prompt": group.prompt,
                "seed": min(image.seed - image.index for image in group.images),
            }
        cursor = page.next
        if cursor is None:
            return


def _belongs(parts: Parts, queue_id: str, image_id: str) -> None:
    if parts.library.get(image_id).job_id != queue_id:
        raise UnknownImage


def _body() -> Mapping[str, Any]:
    text = request.get_data(as_text=True)
    for candidate in (text, _MISSING_COMMA.sub(r"\1,\2", text)):
        try:
            body = current_app.json.loads(candidate)
        except ValueError:
            continue
        if isinstance(body, dict):
            return body
    raise InvalidRequest([FieldError("body", text[:80], 'a JSON object is needed, like {"text": "a red apple"}')])


def _number(
    body: Mapping[str, Any], name: str, default: float, errors: list[FieldError], *, whole: bool = True
) -> float:
    value = body.get(name, default)
    try:
        number = float(default if value == "" or isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = float("nan")
    if number != number or (whole and number != int(number)) or isinstance(value, bool):
        errors.append(FieldError(name, value, "a whole number is needed" if whole else "a number is needed"))
        return default
    return number
