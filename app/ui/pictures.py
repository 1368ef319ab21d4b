"""Pictures for the page: `/atelier/picture/ID.png` as saved, `/atelier/thumbnail/ID.webp`, `/atelier/pictures.zip`,
`/atelier/trash/ID.webp`, `/atelier/input/SHA256.png`, the pictures to start from,
`/atelier/seen/PREPROCESSOR/SHA256.png`, what a control model sees of them, and `/atelier/grid/ID.png`, the sheets of
grids.

Nothing else is served.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast
from zipfile import ZIP_STORED, ZipFile

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from app import __version__
from app.core.control import Preprocessor
from app.core.errors import ServiceError
from app.core.picture import FORMATS
from app.ui.link import ServiceLink
from app.ui.thumbnails import ThumbnailCache
from app.ui.views.generate import SAMPLES, SAMPLES_FOLDER

WIDTHS = (256, 512)
MOST_IN_A_ZIP = 200
SHA256 = re.compile(r"[0-9a-f]{64}")
IMAGE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
WEBP = b"RIFF"
# What a file of each format begins with; of AVIF the second four bytes.
BEGINNINGS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "webp": WEBP, "avif": b"ftyp"}
# Bytes under an id never change; `private`: a shared cache must not hand them to somebody without a login.
HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
UNKEPT = {"Cache-Control": "no-store"}  # for what is to be gone when it is removed for good


def picture_routes(link: ServiceLink, thumbnails: ThumbnailCache) -> APIRouter:
    """The addresses, for the app that also holds Gradio."""
    router = APIRouter(prefix="/atelier")

    @router.get("/health")
    def health() -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    @router.get("/picture/{image_id}.png")
    def picture(image_id: str, download: bool = False, format: str = "png") -> Response:
        if not IMAGE_ID.fullmatch(image_id) or format not in FORMATS.values():
            return _missing(404)
        ending = "jpg" if format == "jpeg" else format
        # A name said here would go before the link's own, which says the seed.
        kind = "attachment" if download else f'inline; filename="atelier-{image_id}.{ending}"'
        name = {"Content-Disposition": kind}
        return _file(link, lambda: link.client.image_bytes(image_id, format), name, format)

    @router.get("/grid/{grid_id}.png")
    def sheet(grid_id: str) -> Response:
        if not IMAGE_ID.fullmatch(grid_id):
            return _missing(404)
        name = {"Content-Disposition": f'attachment; filename="atelier-grid-{grid_id}.png"'}
        return _file(link, lambda: link.client.sheet(grid_id), {**name, "Cache-Control": "no-store"})

    @router.get("/input/{sha256}.png")
    def start(sha256: str) -> Response:
        if not SHA256.fullmatch(sha256):
            return _missing(404)
        return _file(link, lambda: link.client.input_bytes(sha256))

    @router.get("/seen/{preprocessor}/{sha256}.png")
    def seen(preprocessor: str, sha256: str) -> Response:
        if not SHA256.fullmatch(sha256) or preprocessor not in set(Preprocessor):
            return _missing(404)
        return _file(link, lambda: link.client.seen(sha256, preprocessor))

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

    @router.get("/trash/{image_id}.webp")
    def deleted(image_id: str) -> Response:
        if not IMAGE_ID.fullmatch(image_id):
            return _missing(404)
        try:
            data = link.ask(lambda: link.client.trash_thumbnail(image_id))
        except ServiceError as error:
            return _missing(error.http_status)
        known = data.startswith(WEBP)
        return Response(data, media_type="image/webp", headers={**HEADERS, **UNKEPT}) if known else _missing(502)

    @router.get("/sample/{name}.webp")
    def sample(name: str) -> Response:
        if name not in SAMPLES:
            return _missing(404)
        return Response((SAMPLES_FOLDER / f"{name}.webp").read_bytes(), media_type="image/webp", headers=HEADERS)

    @router.get("/pictures.zip")
    def many(ids: str = "") -> Response:
        wanted = ids.split(",")
        if not 0 < len(wanted) <= MOST_IN_A_ZIP or not all(IMAGE_ID.fullmatch(id) for id in wanted):
            return _missing(404)
        headers = {"Content-Disposition": 'attachment; filename="atelier.zip"', "Cache-Control": "no-store"}
        return StreamingResponse(_zipped(link, wanted), media_type="application/zip", headers=headers)

    return router


def _zipped(link: ServiceLink, ids: Sequence[str]) -> Iterator[bytes]:
    """A ZIP of the pictures as they were saved, one in memory at a time. One that is gone by now is left out."""
    stream = Unseekable()
    with ZipFile(stream, "w", ZIP_STORED) as archive:  # a PNG is compressed already
        for id in ids:
            try:
                data = link.ask(partial(link.client.image_bytes, id))
            except ServiceError:
                continue
            archive.writestr(f"atelier-{id}.png", data)
            yield stream.taken()
    yield stream.taken()


class Unseekable(io.RawIOBase):
    """Where the ZIP is written to; what was written is taken from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """For ZipFile."""
        return True

    def write(self, data: Any) -> int:
        """Keep it until it is taken."""
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """All that was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _file(
    link: ServiceLink, fetch: Callable[[], bytes], more: Mapping[str, str] | None = None, format: str = "png"
) -> Response:
    try:
        data = link.ask(fetch)
    except ServiceError as error:
        return _missing(error.http_status)
    if not data.startswith(BEGINNINGS[format], 4 if format == "avif" else 0):
        return _missing(502)
    return Response(data, media_type=f"image/{format}", headers={**HEADERS, **(more or {})})


def _missing(status: int) -> Response:
    return PlainTextResponse("", status, {"Cache-Control": "no-store"})
