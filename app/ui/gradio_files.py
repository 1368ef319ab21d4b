"""`GET /assets/…`: Gradio's scripts and styles, each packed once. Gradio itself packs each for every reader anew, and
lets no browser keep it; opening the page then costs the processor half a second, twice.

Their names say their contents, so a browser may keep them for ever. Those that the page needs are told to it with the
page (`static/gradio-scripts.txt`, written by `python -m tests.ui.gradio_scripts`): by itself it finds them one after
the other, each when it has run the one before.
"""

import zlib
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter
from gradio.routes import BUILD_PATH_LIB
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(BUILD_PATH_LIB)
KEPT_FILES = 256  # the page needs a third of them
LISTED = Path(__file__).parent / "static" / "gradio-scripts.txt"
KINDS = {".js": "text/javascript", ".css": "text/css"}  # a browser runs nothing else; a system's table may differ
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def gradio_routes() -> APIRouter:
    """The address, for the app that also holds Gradio. It must come before Gradio's."""
    router = APIRouter()

    @router.get("/assets/{name}")
    async def asset(request: Request, name: str) -> Response:
        path = FOLDER / Path(name).name
        if not path.is_file():
            return PlainTextResponse("There is nothing here.", 404)
        kind = KINDS.get(path.suffix) or guess_type(name)[0] or "application/octet-stream"
        if "gzip" in request.headers.get("accept-encoding", "") and not kind.startswith("image/"):
            packed = FOR_EVER | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return Response(_packed(path), media_type=kind, headers=packed)
        return Response(path.read_bytes(), media_type=kind, headers=FOR_EVER | {"Vary": "Accept-Encoding"})

    return router


@lru_cache(maxsize=1)
def needed() -> str:
    """The names of the scripts that the page will ask for, with blanks between them."""
    return " ".join(name for name in LISTED.read_text("utf-8").split() if (FOLDER / name).is_file())


@lru_cache(maxsize=KEPT_FILES)
def _packed(path: Path) -> bytes:
    gzip = zlib.compressobj(level=9, wbits=zlib.MAX_WBITS + 16)
    return gzip.compress(path.read_bytes()) + gzip.flush()
