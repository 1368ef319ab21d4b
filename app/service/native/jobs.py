"""Jobs: submit, look, cancel, wait."""

from typing import Annotated

from flask import Response, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from app.core.pages import ListPage
from app.core.schema import GenerationRequest, Job, JobState
from app.service.http import callers
from app.service.http.documented import documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import JobPath, PageQuery, SubmitHeaders
from app.service.job_events import in_a_list, with_progress
from app.service.parts import current_parts
from app.service.work import submit, wait

TAG = Tag(name="jobs", description="Requests in the queue and what became of them.")


class JobRequest(GenerationRequest):
    """What to draw. Absent fields are as the model's catalog entry says."""

    model_config = ConfigDict(strict=True)  # "7.5" or true where a number belongs is an error, not a guess


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    items: tuple[Job, ...]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


class JobsQuery(PageQuery):
    """Which jobs."""

    state: Annotated[list[JobState] | None, Field(description="Only these states; may be given several times.")] = None
    cursor: str | None = Field(None, pattern=r"^[0-9]{1,15}$", description="`next` of the page before.")


def submit_job(body: JobRequest, header: SubmitHeaders) -> Response:
    """Put a request into the queue

    The answer is the job; it is on disk by then. A repeated `Idempotency-Key` gives the job that it made before.
    """
    job, created = _submitted(body, header)
    answer = reply(job, 202 if created else 200)
    answer.headers["Location"] = url_for(".get_job", job_id=job.id)
    return answer


def generate(body: JobRequest, header: SubmitHeaders) -> Response:
    """Put a request into the queue and wait for it

    The answer is the finished job: its `state` is succeeded, failed or cancelled. If the caller hangs up, the job
    goes on.
    """
    parts = current_parts()
    with callers.seat(parts):
        job, _ = _submitted(body, header)
        return reply(wait(parts, job.id))


def list_jobs(query: JobsQuery) -> Response:
    """Jobs, newest first

    The requests in the list come without their `extra`; ask for the job to see it.
    """
    page: ListPage[Job] = current_parts().jobs.list(states=query.state, limit=query.limit, cursor=query.cursor)
    return reply(JobPage(items=tuple(in_a_list(current_parts(), job) for job in page.items), next=page.next))


def get_job(path: JobPath) -> Response:
    """One job as it is now"""
    no_unknown_id("job", path.job_id)
    return reply(with_progress(current_parts(), current_parts().jobs.get(path.job_id)))


def cancel_job(path: JobPath) -> Response:
    """Cancel a job

    A queued job is cancelled at once, a running one within one step. Repeatable; a finished job is not changed.
    """
    no_unknown_id("job", path.job_id)
    parts = current_parts()
    callers.refuse_strangers(parts.jobs.caller_of(path.job_id))
    job = parts.jobs.cancel(path.job_id)
    parts.dispatcher.wake()
    return reply(with_progress(parts, job))


def _submitted(body: JobRequest, header: SubmitHeaders) -> tuple[Job, bool]:
    request = GenerationRequest.model_construct(**dict(body))
    return submit(current_parts(), request, origin=header.origin, idempotency_key=header.idempotency_key)


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("jobs", __name__, abp_tags=[TAG])
    submitting = (409, 413, 415, 422, 429, 507)
    api.post("/api/jobs", responses=documented({202: Job, 200: Job}, *submitting))(submit_job)
    api.post("/api/generate", responses=documented({200: Job}, *submitting))(generate)
    api.get("/api/jobs", responses=documented({200: JobPage}, 422))(list_jobs)
    api.get("/api/jobs/<job_id>", responses=documented({200: Job}, 404, 422))(get_job)
    api.post("/api/jobs/<job_id>/cancel", responses=documented({200: Job}, 404, 422, 507))(cancel_job)
    return api
