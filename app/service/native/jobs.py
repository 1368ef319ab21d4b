"""Jobs: submit, look, cancel, put in another order, wait."""

from typing import Annotated, Any, Literal

from flask import Response, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import FieldError, InvalidRequest, NotAllowed
from app.core.pages import ListPage
from app.core.schema import MAX_PRIORITY, GenerationRequest, Job, JobState, Move
from app.service.http import callers
from app.service.http.documented import documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.keys import Scope
from app.service.http.parameters import JobPath, PageQuery, SubmitHeaders
from app.service.job_events import in_a_list, with_progress
from app.service.parts import current_parts
from app.service.work import submit, wait

TAG = Tag(name="jobs", description="Requests in the queue and what became of them.")


def _priority(default: Any) -> Any:
    """The field of a priority."""
    low, high = -MAX_PRIORITY, MAX_PRIORITY
    words = "Jobs of a higher one come first, whoever asked; above 0 it needs the scope `admin`."
    return Field(default, ge=low, le=high, description=words)


class JobRequest(GenerationRequest):
    """What to draw. Absent fields are as the model's catalog entry says."""

    model_config = ConfigDict(strict=True)  # "7.5" or true where a number belongs is an error, not a guess

    priority: int = _priority(0)


class JobChange(BaseModel):
    """What is to change of a queued job."""

    model_config = ConfigDict(strict=True, extra="forbid")

    priority: int = _priority(...)


class JobMove(BaseModel):
    """Where a queued job goes among those of the same caller and priority."""

    model_config = ConfigDict(extra="forbid")

    to: Move = Field(description="front, or one place up or down.")


class JobPage(BaseModel):
    """A page of jobs."""

    items: tuple[Job, ...]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


class JobsQuery(PageQuery):
    """Which jobs."""

    state: Annotated[list[JobState] | None, Field(description="Only these states; may be given several times.")] = None
    q: str | None = Field(None, max_length=1000, description="Part of the prompt, or the beginning of the id.")
    order: Literal["newest", "line"] = Field(
        "newest", description="`line`: what runs, then what is next, and nothing that has ended."
    )
    cleared: bool = Field(False, description="With the jobs that were cleared from the list.")
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
    """Jobs, newest first or in the order of the line

    The requests in the list come without their `extra`; ask for the job to see it.
    """
    jobs, page = current_parts().jobs, ListPage[Job]()
    if query.order == "newest":
        page = jobs.page(
            states=query.state, words=query.q, with_cleared=query.cleared, limit=query.limit, cursor=query.cursor
        )
    elif query.state is None:
        page = jobs.line(words=query.q, limit=query.limit, cursor=query.cursor)
    else:
        raise InvalidRequest([FieldError("state", list(query.state), "allowed is none together with order=line")])
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


def change_job(path: JobPath, body: JobChange) -> Response:
    """Give a queued job another priority"""
    no_unknown_id("job", path.job_id)
    parts = current_parts()
    callers.refuse_strangers(parts.jobs.caller_of(path.job_id))
    _refuse_priority(body.priority)
    return reply(with_progress(parts, parts.jobs.set_priority(path.job_id, body.priority)))


def move_job(path: JobPath, body: JobMove) -> Response:
    """Put a queued job to the front of its caller's line, or one place up or down

    It passes only jobs of the same caller and priority: nobody else's turn changes.
    """
    no_unknown_id("job", path.job_id)
    parts = current_parts()
    callers.refuse_strangers(parts.jobs.caller_of(path.job_id))
    return reply(with_progress(parts, parts.jobs.move(path.job_id, body.to)))


def _submitted(body: JobRequest, header: SubmitHeaders) -> tuple[Job, bool]:
    _refuse_priority(body.priority)
    request = GenerationRequest.model_construct(**{name: value for name, value in body if name != "priority"})
    return submit(
        current_parts(), request, origin=header.origin, idempotency_key=header.idempotency_key, priority=body.priority
    )


def _refuse_priority(priority: int) -> None:
    """What comes before all others' jobs is for admins."""
    if priority > 0 and not callers.current().scope.includes(Scope.ADMIN):
        raise NotAllowed("A priority above 0 needs a key with the scope `admin`.")


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("jobs", __name__, abp_tags=[TAG])
    submitting = (409, 413, 415, 422, 429, 507)
    api.post("/api/jobs", responses=documented({202: Job, 200: Job}, *submitting))(submit_job)
    api.post("/api/generate", responses=documented({200: Job}, *submitting))(generate)
    api.get("/api/jobs", responses=documented({200: JobPage}, 422))(list_jobs)
    api.get("/api/jobs/<job_id>", responses=documented({200: Job}, 404, 422))(get_job)
    changing = (403, 404, 409, 422, 507)
    api.patch("/api/jobs/<job_id>", responses=documented({200: Job}, *changing))(change_job)
    api.post("/api/jobs/<job_id>/move", responses=documented({200: Job}, *changing))(move_job)
    api.post("/api/jobs/<job_id>/cancel", responses=documented({200: Job}, 404, 422, 507))(cancel_job)
    return api
