"""The environment's API: `/server/status`, `/image/generate`. It has no queue of its own: busy is 429, by design."""

import base64
import json
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from app.core.errors import AtelierError, FieldError, InvalidRequest, QueueFull, UnknownJob
from app.core.schema import GenerationRequest, Job, JobState
from app.service import work
from app.service.foreign.bodies import json_object
from app.service.foreign.names import checked_request
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.parts import Parts

ORIGIN = "environment"


def to_request(body: Mapping[str, Any]) -> GenerationRequest:
    """The request of a `POST /image/generate` body, which is `{"prompt": "…"}`. Raises InvalidRequest."""
    errors = [FieldError(name, body[name], "the only field is prompt") for name in body.keys() - {"prompt"}]
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        errors.append(FieldError("prompt", prompt, "a prompt is needed"))
    if errors:
        raise InvalidRequest(errors)
    return checked_request({"prompt": prompt})


def from_job(job: Job, data: bytes | None, missing: str = "") -> dict[str, Any]:
    """One finished generation as this API shows it; `data` are the PNG's bytes or None, `missing` says why."""
    errors = [] if data is not None else [missing or "The image was deleted from the library."]
    if job.error:
        errors = [job.error.message]
    elif job.state is JobState.CANCELLED:
        errors = ["The generation was cancelled."]
    return {
        "uuid": job.id,
        "prompt": job.request.prompt,
        "created_time": job.created_at.isoformat(),
        "errors": errors,
        "data": base64.b64encode(data).decode() if data is not None else None,
    }


def create_blueprint(parts: Parts) -> Blueprint:
    """The environment's routes. The check "is it free?" and the submit are one step for callers of this door."""
    blueprint = Blueprint("environment", __name__)
    one_at_a_time = Lock()

    @blueprint.get("/server/status")
    def status() -> Response:
        return jsonify({"is_available": _is_available(parts)})

    @blueprint.post("/image/generate")
    def generate() -> Response:
        wanted = to_request(json_object())
        with one_at_a_time:
            if not _is_available(parts):
                raise QueueFull("The server is generating. Come back later.", retry_after_s=2)
            job, _ = work.submit(parts, wanted, origin=ORIGIN)
        return jsonify({"generation_uuid": job.id})

    @blueprint.get("/image/generate")
    def results() -> Response:
        wanted = request.args.get("generation_uuid")
        jobs = iter([_own_job(parts, wanted)]) if wanted else _own_jobs(parts)
        return Response(_as_array(parts, jobs), mimetype="application/json")

    answer_errors_with(blueprint, _error)
    return blueprint


def register(app: Flask, parts: Parts) -> None:
    """Open the door."""
    app.register_blueprint(create_blueprint(parts))


def _error(failure: Failure) -> Response:
    response = jsonify({"detail": failure.detail})
    response.status_code = failure.status
    response.headers.update(failure.headers)
    return response


def _is_available(parts: Parts) -> bool:
    return not parts.jobs.running_order() and not parts.lifecycle.draining.is_set()


def _own_job(parts: Parts, job_id: str) -> Job:
    no_unknown_id("job", job_id)
    job = parts.jobs.get(job_id)
    if job.origin != ORIGIN:
        raise UnknownJob
    return job


def _own_jobs(parts: Parts) -> Iterator[Job]:
    cursor = None
    while True:
        page = parts.jobs.list(origin=ORIGIN, limit=50, cursor=cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def _as_array(parts: Parts, jobs: Iterator[Job]) -> Iterator[str]:
    """The finished jobs as one JSON array, a picture at a time in memory. Unfinished ones are not in it yet."""
    yield "["
    comma = ""
    for job in jobs:
        if job.state.finished:
            yield comma + json.dumps(_with_picture(parts, job), ensure_ascii=False)
            comma = ","
    yield "]"


def _with_picture(parts: Parts, job: Job) -> dict[str, Any]:
    """A finished job; a picture that cannot be read is an error of that one, for the answer has begun already."""
    try:
        return from_job(job, parts.library.open(job.images[0].id) if job.images else None)
    except AtelierError as error:
        return from_job(job, None, missing=error.message)
