"""Pictures for the page: `/atelier/picture/ID.png` as saved, `/atelier/thumbnail/ID.webp`. Nothing else is served."""

import re
from typing import Literal, cast

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app import __version__
from app.core.errors import ServiceError
from app.ui.link import ServiceLink
from app.ui.thumbnails import ThumbnailCache

WIDTHS = (256, 512)
IMAGE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
PNG, WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF"
# Bytes under an id never change; `private`: a shared cache must not hand them to somebody without a login.
HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def picture_routes(link: ServiceLink, thumbnails: ThumbnailCache) -> APIRouter:
    """The addresses, for the app that also holds Gradio."""
    router = APIRouter(prefix="/atelier")

    @router.get("/health")
    def health() -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    @router.get("/picture/{image_id}.png")
    def picture(image_id: str, download: bool = False) -> Response:
        if not IMAGE_ID.fullmatch(image_id):
            return _missing(404)
        try:
            data = link.ask(lambda: link.client.image_bytes(image_id))
        except ServiceError as error:
            return _missing(error.http_status)
        if not data.startswith(PNG):
            return _missing(502)
        kind = "attachment" if download else "inline"
        name = {"Content-Disposition": f'{kind}; filename="atelier-{image_id}.png"'}
        return Response(data, media_type="image/png", headers=HEADERS | name)

    @router.get("/thumbnail/{image_id}.webp")
    def thumbnail(image_id: str, w: int = WIDTHS[0]) -> Response:
        if not IMAGE_ID.fullmatch(image_id) or w not in WIDTHS:
            return _missing(404)
        width = cast("Literal[256, 512]", w)
        try:
            data = thumbnails.get(image_id, w, lambda: link.client.thumbnail(image_id, width))
        except ServiceError as error:
            return _missing(error.http_status)
        if not data.startswith(WEBP):
            return _missing(502)
        return Response(data, media_type="image/webp", headers=HEADERS)

    return router


def _missing(status: int) -> Response:
    return PlainTextResponse("", status, {"Cache-Control": "no-store"})
