"""X/Y/Z grids: submit, look, cancel, the sheet."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Response, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from app.core.grids import Grid, GridRequest
from app.core.schema import GenerationRequest
from app.picture.sheet import sheet
from app.service.http import callers
from app.service.http.documented import binary, documented
from app.service.http.ids import no_unknown_id
from app.service.http.json_reply import reply
from app.service.http.parameters import GridPath, PageQuery, SubmitHeaders
from app.service.native.images import picture_answer
from app.service.parts import Parts, current_parts
from app.service.work import submit_grid

TAG = Tag(name="grids", description="Tables of pictures: one for each combination of values.")


class SharedRequest(GenerationRequest):
    """What all pictures share. Absent fields are as the model's catalog entry says."""

    model_config = ConfigDict(strict=True)


class GridBody(GridRequest):
    """A request, and the axes along which it is varied."""

    model_config = ConfigDict(strict=True)

    request: SharedRequest = Field(description="What all pictures share; one image each.")


class GridPage(BaseModel):
    """A page of grids, newest first."""

    items: tuple[Grid, ...]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


class GridsQuery(PageQuery):
    """Where in the list."""

    cursor: str | None = Field(None, pattern=r"^[0-9]{1,9}$", description="`next` of the page before.")


def submit(body: GridBody, header: SubmitHeaders) -> Response:
    """Make a picture for each combination of values

    Each picture is a job of its own in the queue; all of them are accepted, or none. Pictures that an earlier grid
    made, and that are still in the library, are not made again. A random seed is drawn once, for all.
    """
    shared = GenerationRequest.model_construct(**dict(body.request))
    asked = GridRequest.model_construct(**(dict(body) | {"request": shared}))
    grid, created = submit_grid(current_parts(), asked, origin=header.origin, idempotency_key=header.idempotency_key)
    answer = reply(grid, 202 if created else 200)
    answer.headers["Location"] = url_for(".get_grid", grid_id=grid.id)
    return answer


def list_grids(query: GridsQuery) -> Response:
    """Grids, newest first

    In the list they come without their cells; ask for the grid to see them.
    """
    page = current_parts().grids.list(limit=query.limit, cursor=query.cursor)
    return reply(GridPage(items=page.items, next=page.next))


def get_grid(path: GridPath) -> Response:
    """One grid with its cells as they are now"""
    no_unknown_id("grid", path.grid_id)
    return reply(current_parts().grids.get(path.grid_id))


def cancel_grid(path: GridPath) -> Response:
    """Cancel what is left of a grid

    Pictures that are done stay. Repeatable. The same grid sent again makes what is missing.
    """
    no_unknown_id("grid", path.grid_id)
    parts = current_parts()
    callers.refuse_strangers(parts.grids.caller_of(path.grid_id))
    grid = parts.grids.cancel(path.grid_id)
    parts.dispatcher.wake()
    return reply(grid)


def sheet_file(path: GridPath) -> Response:
    """All pictures of a grid in one PNG, with their values beside them

    Made when it is asked for, of the pictures that are there; larger ones are scaled down to 16 million pixels in all.
    The file says the grid, so that it can be made again: POST /api/inspect gives it as `grid`.
    """
    no_unknown_id("grid", path.grid_id)
    parts = current_parts()
    grid = parts.grids.get(path.grid_id)
    pictures = ",".join(cell.image.sha256 if cell.image else "" for cell in grid.cells)
    answer = picture_answer("image/png", hashlib.sha256(pictures.encode()).hexdigest())
    answer.headers["Cache-Control"] = "private, no-cache"  # another picture may be done the next time
    if answer.status_code != 304:
        with callers.seat(parts):  # sheets are drawn one after the other
            answer.set_data(sheet(grid, partial(_opened, parts)))
    answer.headers["Content-Disposition"] = f'inline; filename="grid-{path.grid_id}.png"'
    return answer


def _opened(parts: Parts, image_id: str) -> tuple[bytes, Mapping[str, Any]]:
    return parts.library.open(image_id), parts.library.get(image_id).recipe


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("grids", __name__, abp_tags=[TAG])
    submitting = (409, 413, 415, 422, 429, 507)
    api.post("/api/grids", responses=documented({202: Grid, 200: Grid}, *submitting))(submit)
    api.get("/api/grids", responses=documented({200: GridPage}, 422))(list_grids)
    api.get("/api/grids/<grid_id>", responses=documented({200: Grid}, 404, 422))(get_grid)
    api.post("/api/grids/<grid_id>/cancel", responses=documented({200: Grid}, 404, 422, 507))(cancel_grid)
    unchanged: dict[str, Any] = {"description": "The caller has these bytes already (If-None-Match)."}
    file = documented({200: binary("image/png", "The sheet."), 304: unchanged}, 404, 422, 429)
    api.get("/grids/<grid_id>.png", responses=file)(sheet_file)
    return api
