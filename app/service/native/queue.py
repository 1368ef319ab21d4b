"""The queue as a whole: pause and resume it, cancel all jobs, clear what has ended from the list."""

from typing import Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.core.errors import NotAllowed
from app.service.http import callers
from app.service.http.documented import documented
from app.service.http.json_reply import reply
from app.service.http.keys import Scope
from app.service.http.parameters import Query
from app.service.parts import current_parts

TAG = Tag(name="queue", description="The line of jobs as a whole.")


class Paused(BaseModel):
    """Whether the queue is paused."""

    paused: bool


class Whose(Query):
    """Whose jobs."""

    whose: Literal["mine", "everybody"] = Field("mine", description="`everybody` needs the scope `admin`.")

    def caller(self) -> str | None:
        """The caller whose jobs are meant, or None for all. Raises NotAllowed."""
        caller = callers.current()
        if self.whose == "mine":
            return caller.name
        if not caller.scope.includes(Scope.ADMIN):
            raise NotAllowed("For everybody's jobs a key with the scope `admin` is needed.")
        return None


class Cancelled(BaseModel):
    """How many jobs were cancelled; those that ran end within a step."""

    cancelled: int


class Cleared(BaseModel):
    """How many jobs were cleared from the list."""

    cleared: int


def pause() -> Response:
    """Start nothing new; what runs goes on"""
    current_parts().dispatcher.pause()
    return reply(Paused(paused=True))


def resume() -> Response:
    """Start queued jobs again"""
    current_parts().dispatcher.resume()
    return reply(Paused(paused=False))


def cancel_all(query: Whose) -> Response:
    """Cancel all jobs that wait or run"""
    parts = current_parts()
    cancelled = parts.jobs.cancel_all(query.caller())
    parts.dispatcher.wake()
    return reply(Cancelled(cancelled=cancelled))


def clear(query: Whose) -> Response:
    """Leave out of the list what has ended

    The jobs are kept and `GET /api/jobs?cleared=true` lists them; their pictures stay in the library.
    """
    return reply(Cleared(cleared=current_parts().jobs.clear(query.caller())))


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("queue", __name__, abp_tags=[TAG])
    api.post("/api/queue/pause", responses=documented({200: Paused}))(pause)
    api.post("/api/queue/resume", responses=documented({200: Paused}))(resume)
    api.post("/api/queue/cancel", responses=documented({200: Cancelled}, 403, 422, 507))(cancel_all)
    api.post("/api/queue/clear", responses=documented({200: Cleared}, 403, 422, 507))(clear)
    return api
