"""`POST /atelier/sketch`: the form as it stands, drawn at once and kept nowhere, for `static/sketch.js`."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import ServiceError
from app.ui.addresses import SKETCH_PATH
from app.ui.posted import posted, request_of
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.header import error_text

MAX_NAME_CHARS = 64
# What stands in the form and only a job makes.
PLAIN = {"num_images": 1, "enable_hr": False}
UNKEPT = {"Cache-Control": "no-store"}


def sketch_routes(studio: Studio) -> APIRouter:
    """The address. Its answer is a PNG, or `{"said": …}` in the reader's language; empty where a later sketch took its
    place."""
    router = APIRouter()

    @router.post(SKETCH_PATH)
    async def sketch(request: Request) -> Response:
        words, asked = studio.strings.for_request(request), posted(await request.body())
        if asked is None:
            return JSONResponse({"said": words("settings_unusable")}, 422, UNKEPT)
        return await run_in_threadpool(_drawn, studio, asked, words)

    return router


def _drawn(studio: Studio, asked: Mapping[Any, Any], words: Words) -> Response:
    by = str(asked.get("by") or "")[:MAX_NAME_CHARS]
    body = request_of({**asked, **PLAIN}, studio, words)
    if isinstance(body, str):
        return JSONResponse({"said": body}, 422, UNKEPT)
    try:
        drawn = studio.link.ask(lambda: studio.link.client.sketch(body, by))
    except ServiceError as error:
        said = "" if error.code == "sketch_replaced" else error_text(error, words)
        return JSONResponse({"said": said}, error.http_status or 503, UNKEPT)
    told = {"X-Atelier-Steps": str(drawn.steps), "X-Atelier-Seconds": f"{drawn.seconds:.1f}"}
    return Response(drawn.png, media_type="image/png", headers=UNKEPT | told)
