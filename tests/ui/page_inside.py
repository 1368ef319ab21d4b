"""`python -m tests.ui.page_inside FOLDER`: builds the page, serves nothing, and says as JSON what it found inside."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import app.ui.quick_gradio  # noqa: F401 - before everything that imports Gradio

# isort: split
from fastapi import APIRouter, FastAPI
from gradio.context import LocalContext
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import _check_allowed
from starlette.routing import BaseRoute, Mount, Route

from app.core.settings import Settings
from app.ui.gradio_blocks import FilelessBlocks
from app.ui.server import build_app

FOREIGN = ("torch", "flask", "diffusers", "app.service", "app.jobs", "app.library")


def main() -> None:
    """Print the GET paths, what of other rooms is loaded, and whether Gradio by itself refuses a path of others."""
    app = build_app(Settings(data_folder=Path(sys.argv[1]), service_url="http://127.0.0.1:9"))
    gets = sorted(set(paths(app.routes)))
    print(json.dumps({"gets": gets, "refuses": refuses_a_path(), "foreign": [x for x in FOREIGN if x in sys.modules]}))


def paths(routes: list[BaseRoute]) -> Iterator[str]:
    """The path of every GET route, of the mounted apps too, with an `x` in each open place."""
    for route in routes:
        inside = route.app if isinstance(route, Mount) else getattr(route, "original_router", None)
        if isinstance(inside, APIRouter | FastAPI):
            yield from paths(inside.routes)
        elif isinstance(route, Route) and "GET" in (route.methods or ()):
            yield route.path_format.format_map(dict.fromkeys(route.param_convertors, "x"))


def refuses_a_path() -> bool:
    """Of a field of the page."""
    with FilelessBlocks() as blocks:
        LocalContext.blocks.set(blocks)
    try:
        _check_allowed(__file__, check_in_upload_folder=True)
    except InvalidPathError:
        return True
    return False


if __name__ == "__main__":
    main()
