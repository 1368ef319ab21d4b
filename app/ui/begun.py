"""`POST /atelier/begin`: a job that is begun before the page is there, and `GET /atelier/begun/JOB`: how it is; both
for `static/splash.js`."""

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import ServiceError
from app.core.schema import Job
from app.ui.addresses import BEGIN_PATH, BEGUN_PATH
from app.ui.looks import look
from app.ui.markup import notice
from app.ui.memory import Memory
from app.ui.posted import posted, request_of
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.header import error_text

UNKEPT = {"Cache-Control": "no-store"}


def begin_routes(studio: Studio) -> APIRouter:
    """The addresses. Both answer `{"job": its id, "stage": HTML, "busy": whether it goes on}`; what cannot be begun has
    no job, and a stage that says why in the reader's language."""
    router = APIRouter()

    @router.post(BEGIN_PATH)
    async def begin(request: Request) -> Response:
        words, asked = studio.strings.for_request(request), posted(await request.body())
        if asked is None:
            return _refused(words("settings_unusable"), 422)
        return await run_in_threadpool(_begun, studio, asked, words)

    @router.get(BEGUN_PATH + "/{job}")
    def begun(request: Request, job: str) -> Response:
        return _seen(studio, job, (), studio.strings.for_request(request))

    return router


def _begun(studio: Studio, asked: Mapping[Any, Any], words: Words) -> Response:
    body = request_of(asked, studio, words)
    if isinstance(body, str):
        return _refused(body, 422)
    try:
        client, key = studio.link.client, str(uuid.uuid4())
        job = studio.link.ask(lambda: client.submit(body, idempotency_key=key, origin="ui"))
    except ServiceError as error:
        return _refused(error_text(error, words), error.http_status or 503)
    return _seen(studio, job.id, (job,), words)


def _seen(studio: Studio, id: str, known: tuple[Job, ...], words: Words) -> Response:
    seen = look(studio.link, Memory().with_job(id), words, known=known)
    return JSONResponse({"job": id, "stage": seen.stage, "busy": seen.busy}, headers=UNKEPT)


def _refused(text: str, status: int) -> Response:
    return JSONResponse({"job": None, "stage": notice(text, "bad"), "busy": False}, status, UNKEPT)
