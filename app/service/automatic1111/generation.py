"""AUTOMATIC1111's `/sdapi/v1`: making pictures, progress, interrupt. Progress and interrupt are the caller's own."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeVar

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from app import __version__
from app.core.errors import ModelNotInstalled, QueueFull, ShuttingDown, UnknownJob
from app.core.schema import GenerationRequest, Job
from app.picture.png import inspect
from app.service import work
from app.service.automatic1111.answers import (
    A1111Empty,
    A1111Failure,
    A1111Fixed,
    A1111Made,
    A1111Progress,
    A1111TaskProgress,
    A1111Tasks,
)
from app.service.automatic1111.bodies import A1111Task, A1111Txt2Img
from app.service.automatic1111.control import control_of
from app.service.automatic1111.translate import (
    NAMES,
    MadeImage,
    from_job,
    to_progress,
    to_request,
    wanted_model,
    with_infotext,
)
from app.service.foreign.bodies import documented_body, fitted, json_object, read
from app.service.foreign.jobs import cancel, job_now, succeeded
from app.service.foreign.names import foreign_names
from app.service.http.callers import program, seat
from app.service.http.documented import Documented, foreign_answers
from app.service.http.errors import Failure
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.streams import hang_up_if_the_caller_did
from app.service.installed import check_installed
from app.service.parts import Parts

ORIGIN = "automatic1111"
MAX_WAIT_FOR_ROOM_S = 600
_KEPT_PER_CALLER = 50
_KEPT_NAMES = 1000
Kept = TypeVar("Kept")


class Callers:
    """What this door knows of each caller: jobs started, newest last, so that /interrupt hits nobody else's; the task
    ids chosen; a model that was asked for in vain. Any thread. The least recently seen are forgotten.

    In memory only: after a restart the callers' connections are gone too.
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, list[str]] = OrderedDict()
        self._tasks: OrderedDict[str, str] = OrderedDict()
        self._vain: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def started(self, caller: str, job_id: str, task: str | None) -> None:
        """Remember a job of `caller`; `task` is the id that the client chose (`force_task_id`)."""
        with self._lock:
            _remember(self._jobs, caller, [*self._jobs.get(caller, []), job_id][-_KEPT_PER_CALLER:])
            if task:
                _remember(self._tasks, task, job_id)

    def jobs(self, caller: str) -> list[str]:
        """The caller's job ids, newest last."""
        with self._lock:
            return list(self._jobs.get(caller, []))

    def job_of_task(self, task: str) -> str | None:
        """The job behind a client's own task id."""
        with self._lock:
            return self._tasks.get(task)

    def asked_in_vain(self, caller: str, model: str | None) -> None:
        """Remember the model that /options could not give to `caller`; None: it got the one it asked for."""
        with self._lock:
            self._vain.pop(caller, None)
            if model is not None:
                _remember(self._vain, caller, model)

    def in_vain(self, caller: str) -> str | None:
        """The model that `caller` asked for last and did not get."""
        with self._lock:
            return self._vain.get(caller)


def _remember(known: OrderedDict[str, Kept], name: str, value: Kept) -> None:
    known[name] = value
    known.move_to_end(name)
    while len(known) > _KEPT_NAMES:
        known.popitem(last=False)


class ProgressQuery(BaseModel):
    """How the progress is told."""

    skip_current_image: str = Field("", description="`true`: without a preview.")


class ChosenModel:
    """The model that /options chose for this door. Any thread."""

    def __init__(self, key: str) -> None:
        self.key = key


def add_generation(api: APIBlueprint, parts: Parts, callers: Callers, model: ChosenModel) -> None:
    """The routes that make pictures and tell how far they are."""

    def txt2img() -> Response:
        """Make pictures and wait for them"""
        sent = json_object()
        body = fitted(A1111Txt2Img, with_infotext(sent))
        wanted = to_request(body, chosen_model(callers, body, model))
        check_installed(parts, parts.catalog.get(wanted.model or model.key))
        with seat(parts):  # see native/inputs.py
            control, comments = control_of(body, parts.inputs)
        return made_answer(parts, callers, body, sent, wanted.model_copy(update=control), comments)

    def progress(query: ProgressQuery) -> Response:
        """How far the caller's own job is"""
        job = _open_job(parts, callers)
        wanted = job is not None and query.skip_current_image.lower() != "true"
        return reply(to_progress(job, parts.live.preview(job.id) if job and wanted else None))

    def interrupt() -> Response:
        """Cancel the caller's own job"""
        _cancel(parts, _open_job(parts, callers))
        return reply(A1111Empty())

    def skip() -> Response:
        """Cancel the caller's own job"""
        _cancel(parts, _open_job(parts, callers))
        return jsonify(None)

    def internal_progress() -> Response:
        """How far one job is"""
        return reply(_task_progress(parts, callers, read(A1111Task)))

    def pending_tasks() -> Response:
        """The open jobs"""
        jobs = [job.id for job in parts.jobs.running_order()]
        return reply(A1111Tasks(size=len(jobs), tasks=jobs))

    body = documented_body(api, A1111Txt2Img)
    made = answers({200: A1111Made}, 404, 409, 413, 422, 429, 499, 500, 507)
    api.post("/sdapi/v1/txt2img", responses=made, openapi_extensions=body)(txt2img)
    api.get("/sdapi/v1/progress", responses=answers({200: A1111Progress}))(progress)
    api.post("/sdapi/v1/interrupt", responses=answers({200: A1111Empty}, 507))(interrupt)
    api.post("/sdapi/v1/skip", responses=answers({200: A1111Fixed}, 507))(skip)
    task = documented_body(api, A1111Task)
    found = answers({200: A1111TaskProgress}, 413, 422)
    api.post("/internal/progress", responses=found, openapi_extensions=task)(internal_progress)
    api.get("/internal/pending-tasks", responses=answers({200: A1111Tasks}))(pending_tasks)


def answers(good: Documented, *problems: int) -> dict[Any, Any]:
    """The `responses` of an address of this door."""
    return foreign_answers(A1111Failure, good, *problems)


def made_answer(
    parts: Parts,
    callers: Callers,
    body: A1111Txt2Img,
    sent: dict[str, Any],
    wanted: GenerationRequest,
    comments: Sequence[str] = (),
) -> Response:
    """Make the pictures and tell them in A1111's shape: `sent` is echoed, `comments` stand in `info`."""
    with seat(parts):  # before the job is accepted: without a seat it must not be made
        with foreign_names(NAMES):
            job = submit_when_there_is_room(parts, wanted)
        callers.started(program(), job.id, body.force_task_id)
        job = work.wait(parts, job.id)
    if job.error:
        succeeded(job)
    images = [_made(parts, image.id) for image in job.images]
    entry = parts.catalog.get(job.request.model or "")
    version = f"Atelier {__version__}"
    return reply(from_job(job, images, body, sent, version=version, model_name=entry.key, comments=comments))


def chosen_model(callers: Callers, body: A1111Txt2Img, model: ChosenModel) -> str:
    """The door's model; but not for a caller who asked for another in vain: it would take the picture for that one's.

    Open WebUI sets its model before each picture and does not look whether that worked.
    """
    vain = callers.in_vain(program())
    if vain is not None and wanted_model(body) is None:
        raise ModelNotInstalled(f"The model {vain} was asked for, but cannot be used. Choose another in /options.")
    return model.key


def submit_when_there_is_room(parts: Parts, wanted: GenerationRequest) -> Job:
    """A1111 has no 429: its callers expect to wait. Raises QueueFull only after ten minutes without room."""
    deadline = time.monotonic() + MAX_WAIT_FOR_ROOM_S
    while True:
        try:
            return work.submit(parts, wanted, origin=ORIGIN)[0]
        except QueueFull:
            if time.monotonic() > deadline:
                raise
            if parts.lifecycle.draining.wait(0.5):
                raise ShuttingDown from None
            hang_up_if_the_caller_did()


def _open_job(parts: Parts, callers: Callers) -> Job | None:
    """The caller's job that runs, else its next one in line."""
    waiting = None
    for job_id in callers.jobs(program()):
        job = find(parts, job_id)
        if job and not job.state.finished:
            if job.position == 0:
                return job
            waiting = waiting or job
    return waiting


def _cancel(parts: Parts, job: Job | None) -> None:
    if job:
        cancel(parts, job.id)


def find(parts: Parts, job_id: str) -> Job | None:
    """The job with its live progress, or None."""
    try:
        no_unknown_id("job", job_id)
        return job_now(parts, job_id)
    except UnknownJob:
        return None


def _task_progress(parts: Parts, callers: Callers, body: A1111Task) -> A1111TaskProgress:
    task = body.id_task or ""
    job = find(parts, callers.job_of_task(task) or task)
    view = to_progress(job, parts.live.preview(job.id) if job and body.live_preview else None)
    return A1111TaskProgress(
        active=bool(job and job.position == 0 and not job.state.finished),
        queued=bool(job and job.position),
        completed=bool(job and job.state.finished),
        progress=view.progress or None,
        eta=view.eta_relative or None,
        live_preview=f"data:image/jpeg;base64,{view.current_image}" if view.current_image else None,
        id_live_preview=view.state.sampling_step if view.current_image else body.id_live_preview,
        textinfo=view.textinfo or ("Waiting..." if job is None else None),
    )


def _made(parts: Parts, image_id: str) -> MadeImage:
    png = parts.library.open(image_id)
    return MadeImage(png, inspect(png).parameters or "")


def error_answer(failure: Failure) -> Response:
    """An error in A1111's shape. An unknown sampler is its 404 "Sampler not found"."""
    not_found = any(error["allowed"] == "Sampler not found" for error in failure.errors)
    response = jsonify(
        {
            "error": "HTTPException" if failure.status < 500 else "RuntimeError",
            "detail": "Sampler not found" if not_found else failure.detail,
            "body": "",
            "errors": failure.detail,
        }
    )
    response.status_code = 404 if not_found else failure.status
    response.headers.update(failure.headers)
    return response
