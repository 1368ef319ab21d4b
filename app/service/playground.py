"""The playground's API: `/prompt`, `/queue_status`, `/getlibrary`, `/library/…`. A translator, nothing else."""

import math
import re
from typing import Annotated, Any

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    RootModel,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from app.core.errors import InvalidRequest, UnknownImage
from app.core.schema import MAX_PROMPT_CHARS, RANDOM_SEED, GenerationRequest, Job
from app.library import JobImages
from app.service import work
from app.service.foreign.bodies import ForeignBody, documented_body, fitted, parsed
from app.service.foreign.names import foreign_names, request_of
from app.service.http.documented import binary, foreign_answers
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.parts import Parts

ORIGIN = "playground"
TAG = Tag(name="playground", description="The playground's API: a queue and a library.")
NAMES = {"prompt": "text", "guidance_scale": "condition_scale", "top_k": "gen_top_k", "top_p": "gen_top_p"}
LARGEST_SEED = 2**32
MAX_NUMBER_CHARS = 40
OF_TOKENS = "A picture of another kind of model says that it has no effect."
# The example of the original document lacks a comma between two lines; programs were written from it.
_MISSING_COMMA = re.compile(r'(["\d])([ \t]*\r?\n\s*")')


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("a number is needed")
    return number


def _whole(value: Any) -> int:
    number = math.nan if isinstance(value, bool) else _number(value)
    if not number.is_integer():
        raise ValueError("a whole number is needed")
    return int(number)


def _or_text(*, null: bool = False, **schema: Any) -> WithJsonSchema:
    nothing = [{"type": "null"}] if null else []
    return WithJsonSchema({"anyOf": [schema, {"type": "string", "maxLength": MAX_NUMBER_CHARS}, *nothing]})


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)


class PlaygroundPrompt(ForeignBody):
    """What to draw. An empty text stands for a setting that is left alone."""

    text: str = Field(max_length=MAX_PROMPT_CHARS, description="What the picture shows.")
    num_images: Annotated[int, BeforeValidator(_whole), _or_text(type="integer", minimum=1)] = Field(
        2, ge=1, description="How many pictures."
    )
    seed: Annotated[int, BeforeValidator(_whole), _or_text(type="integer", minimum=0, maximum=LARGEST_SEED)] = Field(
        0, ge=0, le=LARGEST_SEED, description="0 = random; picture i has seed + i."
    )
    condition_scale: Annotated[
        float | None,
        BeforeValidator(_number_or_none),
        _or_text(null=True, type="number", minimum=0, maximum=100),
    ] = Field(None, ge=0, le=100, description="The guidance scale; the model's own if absent.")
    gen_top_k: Annotated[
        int | None,
        BeforeValidator(lambda value: None if value is None else _whole(value)),
        _or_text(null=True, type="integer", minimum=0, maximum=100_000),
    ] = Field(None, ge=0, le=100_000, description=f"Of so many likeliest tokens one is taken; 0 = of all. {OF_TOKENS}")
    gen_top_p: Annotated[
        float | None, BeforeValidator(_number_or_none), _or_text(null=True, type="number", minimum=0, maximum=1)
    ] = Field(None, ge=0, le=1, description=f"Of the likeliest tokens that have this share together. {OF_TOKENS}")
    temperature: Annotated[
        float | None, BeforeValidator(_number_or_none), _or_text(null=True, type="number", minimum=0, maximum=10)
    ] = Field(None, ge=0, le=10, description=f"How freely tokens are chosen. {OF_TOKENS}")

    @model_validator(mode="before")
    @classmethod
    def _leave_alone_what_is_empty(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if name == "text" or value != ""}

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a prompt is needed")
        return text


class PlaygroundAccepted(BaseModel):
    """The job that was queued."""

    queue_id: str


class PlaygroundOpenJob(BaseModel):
    """A job that waits or runs."""

    text: str
    num_images: int
    queue_id: str


class PlaygroundQueue(RootModel[list[PlaygroundOpenJob]]):
    """The open jobs in the order of work."""


class PlaygroundGroup(BaseModel):
    """The pictures of one job."""

    creation_unixtime: float
    generated_images: list[str] = Field(description="Addresses, relative to the service.")
    process_time_secs: float | None
    queue_id: str
    text_prompt: str
    seed: int = Field(description="Of the first picture.")


class PlaygroundLibrary(RootModel[list[PlaygroundGroup]]):
    """The pictures, job by job, newest first."""


class PlaygroundFailure(BaseModel):
    """Why a call was not served."""

    error: str
    code: str


class PlaygroundPicture(BaseModel):
    """A picture of a job."""

    queue_id: str
    image_id: str


def to_request(body: PlaygroundPrompt) -> GenerationRequest:
    """The request of a `/prompt` body; seed 0 means random."""
    return request_of(
        {
            "prompt": body.text,
            "num_images": body.num_images,
            "seed": body.seed or RANDOM_SEED,
            "guidance_scale": body.condition_scale,
            "top_k": body.gen_top_k,
            "top_p": body.gen_top_p,
            "temperature": body.temperature,
        }
    )


def from_open_job(job: Job) -> PlaygroundOpenJob:
    """One line of `/queue_status`."""
    return PlaygroundOpenJob(text=job.request.prompt, num_images=job.request.num_images, queue_id=job.id)


def create_blueprint(parts: Parts) -> APIBlueprint:
    """The playground's routes over the shared queue and library."""
    api = APIBlueprint("playground", __name__, abp_tags=[TAG])

    def prompt() -> Response:
        """Queue a prompt"""
        wanted = to_request(_body())
        with foreign_names(NAMES):
            job, _ = work.submit(parts, wanted, origin=ORIGIN)
        return reply(PlaygroundAccepted(queue_id=job.id))

    def queue_status() -> Response:
        """The open jobs in the order of work"""
        return reply(PlaygroundQueue([from_open_job(job) for job in parts.jobs.running_order()]))

    def getlibrary() -> Response:
        """The pictures, job by job"""
        return reply(PlaygroundLibrary([from_library(job) for job in parts.library.by_job()]))

    def picture(path: PlaygroundPicture) -> Response:
        """A picture's PNG"""
        _belongs(parts, path)
        return Response(parts.library.open(path.image_id), mimetype="image/png")

    def delete(path: PlaygroundPicture) -> Response:
        """Delete a picture"""
        _belongs(parts, path)
        parts.library.delete(path.image_id)
        return Response(status=204)

    submitting = foreign_answers(PlaygroundFailure, {200: PlaygroundAccepted}, 413, 422, 429, 507)
    api.post("/prompt", responses=submitting, openapi_extensions=documented_body(api, PlaygroundPrompt))(prompt)
    api.get("/queue_status", responses=foreign_answers(PlaygroundFailure, {200: PlaygroundQueue}))(queue_status)
    api.get("/getlibrary", responses=foreign_answers(PlaygroundFailure, {200: PlaygroundLibrary}))(getlibrary)
    one = "/library/<queue_id>/<image_id>.png"
    file = {200: binary("image/png", "The file.")}
    api.get(one, responses=foreign_answers(PlaygroundFailure, file, 404))(picture)
    api.delete(one, responses=foreign_answers(PlaygroundFailure, {204: None}, 404, 507))(delete)
    answer_errors_with(api, _error)
    return api


def register(app: OpenAPI, parts: Parts) -> None:
    """Open the door."""
    app.register_api(create_blueprint(parts))


def _error(failure: Failure) -> Response:
    response = jsonify({"error": failure.detail, "code": failure.code})
    response.status_code = failure.status
    response.headers.update(failure.headers)
    return response


def from_library(job: JobImages) -> PlaygroundGroup:
    """One line of `/getlibrary`."""
    return PlaygroundGroup(
        creation_unixtime=job.created_at,
        generated_images=[f"library/{job.job_id}/{image_id}.png" for image_id in job.image_ids],
        process_time_secs=job.seconds,
        queue_id=job.job_id,
        text_prompt=job.prompt,
        seed=job.seed,
    )


def _belongs(parts: Parts, path: PlaygroundPicture) -> None:
    no_unknown_id("image", path.image_id)
    if parts.library.get(path.image_id).job_id != path.queue_id:
        raise UnknownImage


def _body() -> PlaygroundPrompt:
    text = request.get_data(as_text=True, cache=False)
    try:
        values = parsed(text)
    except InvalidRequest:
        values = parsed(_MISSING_COMMA.sub(r"\1,\2", text))
    return fitted(PlaygroundPrompt, values)
