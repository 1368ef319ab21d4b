"""The words that models know, for `static/coach.js`: `models/NAME.words.json`, read once."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

ENDING = ".words.json"
HEADERS = {"Cache-Control": "private, max-age=3600"}


def word_routes(models_folder: Path) -> APIRouter:
    """`GET /atelier/words/NAME.json`; 204 for a model whose words nobody wrote down.

    What a visitor names is looked up among the files that were there at the start, and opens none.
    """
    listed = sorted(models_folder.glob(f"*{ENDING}")) if models_folder.is_dir() else []
    known = {file.name.removesuffix(ENDING): file.read_bytes() for file in listed}
    router = APIRouter()

    @router.get("/atelier/words/{name}.json")
    def words(name: str) -> Response:
        data = known.get(name)
        if data is None:
            return Response(status_code=204)
        return Response(data, media_type="application/json", headers=HEADERS)

    return router
