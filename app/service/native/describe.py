"""Words from a picture: a job like any other, with a text in the place of pictures."""

from typing import Literal

from flask import Response, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import MAX_PROMPT_CHARS, GenerationRequest, Job, JobInput
from app.core.task import Task
from app.service.http.documented import documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import SubmitHeaders
from app.service.parts import Parts, current_parts
from app.service.work import submit

TAG = Tag(name="describe", description="What a picture shows, in words.")


class DescribeRequest(BaseModel):
    """Which picture, by which model, in which language. One of `sha256` and `image_id` is needed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="A picture that was sent to POST /api/inputs."
    )
    image_id: str | None = Field(None, max_length=36, description="Or one of the library.")
    model: str | None = Field(None, max_length=200, description="Catalog key; the setting `describe_model` if absent.")
    language: Literal["en", "zh"] = Field("en", description="Of the text.")
    prompt: str = Field("", max_length=MAX_PROMPT_CHARS, description="What is asked, of models that answer questions.")


def describe(body: DescribeRequest, header: SubmitHeaders) -> Response:
    """Say what a picture shows

    The answer is a job; once it has succeeded its `text` says what the picture shows. A repeated `Idempotency-Key`
    gives the job that it made before.
    """
    parts = current_parts()
    job, created = submit(parts, describing(parts, body), origin=header.origin, idempotency_key=header.idempotency_key)
    answer = reply(job, 202 if created else 200)
    answer.headers["Location"] = url_for("native.jobs.get_job", job_id=job.id)
    return answer


def describing(parts: Parts, asked: DescribeRequest) -> GenerationRequest:
    """The request of the job. Raises InvalidRequest, UnknownImage."""
    if (asked.sha256 is None) == (asked.image_id is None):
        raise InvalidRequest([FieldError("sha256", asked.sha256, "exactly one of sha256 and image_id is needed")])
    sha256 = asked.sha256
    if asked.image_id is not None:
        no_unknown_id("image", asked.image_id)
        sha256 = parts.inputs.put(parts.library.open(asked.image_id), "image_id").sha256
    return GenerationRequest(
        prompt=asked.prompt,
        model=asked.model or parts.settings.describe_model,
        task=Task.DESCRIBE,
        language=asked.language,
        inputs=(JobInput(sha256=sha256 or ""),),
    )


def blueprint() -> APIBlueprint:
    """The address of this file."""
    api = APIBlueprint("describe", __name__, abp_tags=[TAG])
    answers = documented({202: Job, 200: Job}, 404, 409, 413, 415, 422, 429, 507)
    api.post("/api/describe", responses=answers)(describe)
    return api
