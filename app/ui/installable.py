"""What lets a browser install the page as an app: its manifest and its icons. Neither needs a login."""

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.ui.addresses import ICONS, MANIFEST_PATH
from app.ui.strings import Strings

STATIC = Path(__file__).parent / "static"
# A whole square, from which a system cuts the shape that its icons have.
WHOLE = "whole"
DAY_S = 86_400


def installable_routes(strings: Strings) -> APIRouter:
    """The addresses, for the app that also holds Gradio. They must come before Gradio's."""
    router = APIRouter()
    cached = {"Cache-Control": f"public, max-age={DAY_S}"}

    @router.get(MANIFEST_PATH)
    def manifest(request: Request) -> Response:
        words = strings.for_request(request)
        icons = [
            {"src": path, "type": "image/png", "sizes": f"{pixels}x{pixels}",
             "purpose": "maskable" if name == WHOLE else "any"}
            for name, (path, pixels) in ICONS.items()
        ]  # fmt: skip
        told = {
            "id": "/", "start_url": "/", "scope": "/", "display": "standalone", "lang": words.language,
            "name": words("app_name"), "short_name": words("app_name"), "description": words("app_description"),
            "theme_color": "#0f766b", "background_color": "#fafaf8", "icons": icons,
        }  # fmt: skip
        return JSONResponse(told, media_type="application/manifest+json")

    def icon_route(name: str, path: str) -> None:
        @router.get(path)
        def icon() -> Response:
            return Response((STATIC / f"icon-{name}.png").read_bytes(), media_type="image/png", headers=cached)

    for name, (path, _) in ICONS.items():
        icon_route(name, path)
    return router
