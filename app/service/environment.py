"""The environment's API: `/server/status`, `/image/generate`. It has no queue of its own: busy is 429, by design."""

import base64
from collections.abc import Iterator
from threading import Lock

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, Field, RootModel, field_validator

from app.core.errors import AtelierError, QueueFull, UnknownJob
from app.core.schema import MAX_PROMPT_CHARS, Job, JobState
from app.service import work
from app.service.foreign.bodies import ForeignBody, documented_body, read
from app.service.foreign.names import request_of
from app.service.http.documented import foreign_answers
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.parts import Parts

ORIGIN = "environment"
TAG = Tag(name="environment", description="The environment's API: one picture at a time, busy is 429.")


class EnvironmentPrompt(ForeignBody):
    """What to draw."""

    unknown = "the only field is prompt"

    prompt: str = Field(max_length=MAX_PROMPT_CHARS, description="What the picture shows.")

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("a prompt is needed")
        return prompt


class EnvironmentStatus(BaseModel):
    """Whether a picture can be asked for now."""

    is_available: bool


class EnvironmentAccepted(BaseModel):
    """The generation that was begun."""

    generation_uuid: str


class EnvironmentResult(BaseModel):
    """One finished generation."""

    uuid: str
    prompt: str
    created_time: str
    errors: list[str] = Field(description="Why there is no picture.")
    data: str | None = Field(description="The PNG in base64.")


class EnvironmentResults(RootModel[list[EnvironmentResult]]):
    """The finished generations, newest first."""


class EnvironmentFailure(BaseModel):
    """Why a call was not served."""

    detail: str


class ResultsQuery(BaseModel):
    """Which generation."""

    generation_uuid: str | None = Field(None, description="Only this one; all of this door if absent.")


def from_job(job: Job, data: bytes | None, missing: str = "") -> EnvironmentResult:
    """One finished generation as this API shows it; `data` are the PNG's bytes or None, `missing` says why."""
    errors = [] if data is not None else [missing or "The image was deleted from the library."]
    if job.error:
        errors = [job.error.message]
    elif job.state is JobState.CANCELLED:
        errors = ["The generation was cancelled."]
    return EnvironmentResult(
        uuid=job.id,
        prompt=job.request.prompt,
        created_time=job.created_at.isoformat(),
        errors=errors,
        data=base64.b64encode(data).decode() if data is not None else None,
    )


def create_blueprint(parts: Parts) -> APIBlueprint:
    """The environment's routes. The check "is it free?" and the submit are one step for callers of this door."""
    api = APIBlueprint("environment", __name__, abp_tags=[TAG])
    one_at_a_time = Lock()

    def status() -> Response:
        """Can a picture be asked for now?"""
        return reply(EnvironmentStatus(is_available=_is_available(parts)))

    def generate() -> Response:
        """Ask for a picture; 429 while another one is made"""
        wanted = request_of({"prompt": read(EnvironmentPrompt).prompt})
        with one_at_a_time:
            if not _is_available(parts):
                raise QueueFull("The server is generating. Come back later.", retry_after_s=2)
            job, _ = work.submit(parts, wanted, origin=ORIGIN)
        return reply(EnvironmentAccepted(generation_uuid=job.id))

    def results(query: ResultsQuery) -> Response:
        """The finished generations with their pictures, one of them or all"""
        jobs = iter([_own_job(parts, query.generation_uuid)]) if query.generation_uuid else _own_jobs(parts)
        return Response(_as_array(parts, jobs), mimetype="application/json")

    submitting = foreign_answers(EnvironmentFailure, {200: EnvironmentAccepted}, 413, 422, 429, 507)
    api.get("/server/status", responses=foreign_answers(EnvironmentFailure, {200: EnvironmentStatus}))(status)
    body = documented_body(api, EnvironmentPrompt)
    api.post("/image/generate", responses=submitting, openapi_extensions=body)(generate)
    found = foreign_answers(EnvironmentFailure, {200: EnvironmentResults}, 404, 422)
    api.get("/image/generate", responses=found)(results)
    answer_errors_with(api, _error)
    return api


def register(app: OpenAPI, parts: Parts) -> None:
    """Open the door."""
    app.register_api(create_blueprint(parts))


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
        page = parts.jobs.page(origin=ORIGIN, limit=50, cursor=cursor)
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
            yield comma + _with_picture(parts, job).model_dump_json()
            comma = ","
    yield "]"


def _with_picture(parts: Parts, job: Job) -> EnvironmentResult:
    """A finished job; a picture that cannot be read is an error of that one, for the answer has begun already."""
    try:
        return from_job(job, parts.library.open(job.images[0].id) if job.images else None)
    except AtelierError as error:
        return from_job(job, None, missing=error.message)
