"""The playground's API: `/prompt`, `/queue_status`, `/getlibrary`, `/library/…`. A translator, nothing else."""

import math
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from app.core.errors import FieldError, InvalidRequest, UnknownImage
from app.core.schema import RANDOM_SEED, GenerationRequest, Job
from app.library import JobImages
from app.service import work
from app.service.foreign.bodies import parsed
from app.service.foreign.names import checked_request, foreign_names
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.parts import Parts

ORIGIN = "playground"
LARGEST_SEED = 2**32
# The advanced page's settings. Of these only `condition_scale` means something to a diffusion model.
NAMES = {"prompt": "text", "guidance_scale": "condition_scale"}
MAX_STORED_CHARS = 40
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
        errors.append(FieldError("seed", body["seed"], f"allowed is 0 (random) to {LARGEST_SEED}"))
    errors += [
        FieldError(name, body[name], f"a number or a text of at most {MAX_STORED_CHARS} characters is needed")
        for name in STORED_ONLY
        if not isinstance(body.get(name), str | int | float | None) or len(str(body.get(name))) > MAX_STORED_CHARS
    ]
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
        names=NAMES,
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
        with foreign_names(NAMES):
            job, _ = work.submit(parts, request_, origin=ORIGIN)
        return jsonify({"queue_id": job.id}), 200

    @blueprint.get("/queue_status")
    def queue_status() -> Response:
        return jsonify([from_open_job(job) for job in parts.jobs.running_order()])

    @blueprint.get("/getlibrary")
    def getlibrary() -> Response:
        return jsonify([from_library(job) for job in parts.library.by_job()])

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


def from_library(job: JobImages) -> dict[str, Any]:
    """One line of `/getlibrary`."""
    return {
        "creation_unixtime": job.created_at,
        "generated_images": [f"library/{job.job_id}/{image_id}.png" for image_id in job.image_ids],
        "process_time_secs": job.seconds,
        "queue_id": job.job_id,
        "text_prompt": job.prompt,
        "seed": job.seed,
    }


def _belongs(parts: Parts, queue_id: str, image_id: str) -> None:
    no_unknown_id("image", image_id)
    if parts.library.get(image_id).job_id != queue_id:
        raise UnknownImage


def _body() -> Mapping[str, Any]:
    text = request.get_data(as_text=True, cache=False)
    try:
        return parsed(text)
    except InvalidRequest:
        return parsed(_MISSING_COMMA.sub(r"\1,\2", text))


def _number(
    body: Mapping[str, Any], name: str, default: float, errors: list[FieldError], *, whole: bool = True
) -> float:
    """The number of a field, which may be written as text. Notes an error for what is none; then it is the default."""
    value = body.get(name, default)
    try:
        number = float(default if value == "" else value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or (whole and not number.is_integer()):
        errors.append(FieldError(name, value, "a whole number is needed" if whole else "a number is needed"))
        return default
    return number
