"""For whoever runs the service: alive, ready, how it is, metrics."""

import time
from typing import Any

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from app import __version__
from app.core.answers import DeviceStatus, KeyStatus, Queue, Status
from app.core.errors import ShuttingDown
from app.core.schema import JobError, JobState
from app.service.http import callers, metrics
from app.service.http.documented import documented, media
from app.service.http.json_reply import reply
from app.service.http.keys import Scope
from app.service.job_events import in_a_list
from app.service.parts import Parts, current_parts

TAG = Tag(name="operations", description="How the service is.")
SHOWN_RUNNING = 64


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"
    version: str = __version__


class Ready(BaseModel):
    """Work is taken."""

    ready: bool = True


def health() -> Response:
    """Alive? Asks neither database nor engine"""
    return reply(Health())


def ready() -> Response:
    """Able to take work? 503 while it stops or when the job table cannot be read"""
    parts = current_parts()
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    parts.jobs.counts()
    return reply(Ready())


def status() -> Response:
    """Queue, running jobs, devices, memory, loaded models"""
    parts = current_parts()
    counts = parts.jobs.counts()
    running = parts.jobs.page(states=[JobState.RUNNING], limit=SHOWN_RUNNING).items
    engines: Any = parts.dispatcher.status()
    devices = tuple(DeviceStatus.model_validate(engine, from_attributes=True) for engine in engines)
    return reply(
        Status(
            version=__version__,
            uptime_s=round(time.time() - parts.started, 3),
            stopping=parts.lifecycle.draining.is_set(),
            queue=Queue(
                paused=parts.dispatcher.paused,
                queued=counts.get(JobState.QUEUED, 0),
                running=counts.get(JobState.RUNNING, 0),
            ),
            running=tuple(in_a_list(parts, job) for job in running),
            devices=devices,
            loaded_models=tuple(sorted({model for device in devices for model in device.loaded_models})),
            waiting_calls=parts.seats.taken,
            keys=_keys(),
            problems=problems_of(parts),
            trash_days=parts.settings.trash_days,
            warnings=tuple(parts.library.room.warnings()),
        )
    )


def _keys() -> tuple[KeyStatus, ...] | None:
    if callers.current().key is None or not callers.current().scope.includes(Scope.ADMIN):
        return None
    listed = callers.ring().listed()
    return tuple(KeyStatus(caller=k.caller, scope=k.scope, expires=k.expires, last_used=used) for k, used in listed)


def problems_of(parts: Parts) -> tuple[JobError, ...]:
    """What keeps jobs waiting: what the engines say, and a list of models that cannot be read."""
    broken = parts.catalog.problem()
    own = () if broken is None else (JobError(**broken.as_dict()),)
    return tuple(dict.fromkeys((*own, *parts.dispatcher.problems())))


def show_metrics() -> Response:
    """Prometheus metrics"""
    registry = current_app.extensions[metrics.EXTENSION]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("operations", __name__, abp_tags=[TAG])
    api.get("/health", responses=documented({200: Health}))(health)
    api.get("/ready", responses=documented({200: Ready}))(ready)
    api.get("/api/status", responses=documented({200: Status}))(status)
    api.get("/metrics", responses=documented({200: media("text/plain", "Prometheus text.")}))(show_metrics)
    return api
