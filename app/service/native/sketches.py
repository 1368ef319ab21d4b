"""Sketches: one picture at once, for whoever draws while typing. No job, and nothing of it is kept."""

import uuid
from datetime import UTC, datetime

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ConfigDict, Field

from app.core.errors import FieldError, InvalidRequest, JobsComeFirst, ShuttingDown
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.picture import png
from app.service.http import callers
from app.service.http.documented import binary, documented
from app.service.http.parameters import SubmitHeaders
from app.service.installed import check_installed
from app.service.parts import current_parts

TAG = Tag(name="sketch", description="Pictures while typing.")


class SketchRequest(GenerationRequest):
    """What to draw: one picture from words."""

    model_config = ConfigDict(strict=True)

    by: str = Field(
        "", max_length=64, description="Of the sketches of one caller under one such name only the latest is drawn."
    )


def sketch(body: SketchRequest, header: SubmitHeaders) -> Response:
    """Draw a picture at once, and keep nothing of it

    For models that take at most half a second here (`ATELIER_SKETCH_S`), if need be with fewer steps, as far as the
    model draws well with them (`sketch_steps` of a model). Jobs come first: a sketch waits for them ten seconds at
    most, and is refused then, or at once while the queue is paused (429 `jobs_come_first`). A later one takes the place
    of this: 409 `sketch_replaced`. The PNG carries its recipe and labels; its steps and the seconds that it took stand
    in the headers.
    """
    parts = current_parts()
    if parts.lifecycle.draining.is_set():
        raise ShuttingDown()
    if parts.dispatcher.paused:
        raise JobsComeFirst()
    values = {name: value for name, value in body if name != "by"}
    resolved = parts.catalog.resolve_with_entry(_checked(GenerationRequest.model_construct(**values)))
    for needed in (resolved.entry, *resolved.entry.controls):
        check_installed(parts, needed)
    with callers.seat(parts):
        drawn = parts.sketches.draw(
            resolved.request,
            resolved.entry,
            who=f"{callers.current().name}\n{body.by}",
            pace=parts.jobs.pace(resolved.entry.key),
            wake=parts.dispatcher.wake,
        )
    answer = Response(_file(drawn.request, drawn.picture, header.origin), mimetype="image/png")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Atelier-Steps"] = str(drawn.request.num_inference_steps)
    answer.headers["X-Atelier-Seconds"] = f"{drawn.seconds:.2f}"
    return answer


def _checked(request: GenerationRequest) -> GenerationRequest:
    """The same. Raises InvalidRequest for what only a job makes."""
    allowed = {"task": Task.TEXT, "num_images": 1, "enable_hr": False}
    wrong = [(name, getattr(request, name), value) for name, value in allowed.items()]
    errors = [FieldError(name, is_, f"allowed is {value}") for name, is_, value in wrong if is_ != value]
    if errors:
        raise InvalidRequest(errors)
    return request


def _file(request: GenerationRequest, picture: Picture, origin: str) -> bytes:
    image_id = str(uuid.uuid4())
    made = {
        "image_id": image_id,
        "job_id": "",
        "index": 0,
        "seed": picture.seed,
        "origin": origin,
        "created_at": datetime.now(UTC).isoformat(),
        "request": request.model_dump(mode="json"),
        "how": picture.how,
    }
    return png.encode(request, picture.rgb, picture.width, picture.height, made, image_id=image_id)


def blueprint() -> APIBlueprint:
    """The address of this file."""
    api = APIBlueprint("sketches", __name__, abp_tags=[TAG])
    answers = documented({200: binary("image/png", "The picture.")}, 409, 413, 415, 422, 429)
    api.post("/api/sketch", responses=answers)(sketch)
    return api
