"""AUTOMATIC1111's extras: what a picture file says, and larger pictures."""

import base64
import math
from collections.abc import Iterable

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from app.core.errors import FieldError, InvalidRequest
from app.core.schema import InputRole, JobInput
from app.core.task import Task
from app.picture import infotext, outside
from app.picture.png import inspect
from app.picture.resize import MAX_PIXELS, METHODS, resize
from app.service import work
from app.service.automatic1111.answers import A1111Caption, A1111Enlarged, A1111EnlargedBatch, A1111Info
from app.service.automatic1111.bodies import (
    MAX_SIDE,
    A1111Interrogate,
    A1111PngInfo,
    A1111Upscale,
    A1111UpscaleBatch,
    A1111Upscaling,
)
from app.service.automatic1111.generation import Callers, answers, submit_when_there_is_room
from app.service.automatic1111.lists import upscaler_names
from app.service.foreign.bodies import documented_body, read
from app.service.foreign.jobs import succeeded
from app.service.foreign.names import foreign_names, request_of
from app.service.http.callers import program, seat
from app.service.http.json_reply import reply
from app.service.parts import Parts

INTERROGATOR = "clip"  # what A1111's clients name for the usual one
MAX_SCALE = 4  # of a job; what is asked for beyond it comes from a filter


def add_extras(api: APIBlueprint, parts: Parts, callers: Callers) -> None:
    """png-info, and upscaling: by Pillow's filters at once, by a model as a job."""

    def png_info() -> Response:
        """What a picture file says about how it was made"""
        found = inspect(read(A1111PngInfo).image)
        text = found.parameters or ""
        parameters = infotext.parse(text) if text else {}
        return reply(A1111Info(info=text, items=dict(found.texts), parameters=parameters))

    def extra_single_image() -> Response:
        """Enlarge a picture"""
        body = read(A1111Upscale)
        with seat(parts):
            [image] = _upscaled(parts, callers, body, [body.image])
        return _html_info_and(b'"image": "', image, b'"')

    def extra_batch_images() -> Response:
        """Enlarge pictures"""
        body = read(A1111UpscaleBatch)
        with seat(parts):
            images = _upscaled(parts, callers, body, [item.data for item in body.imageList])
        between = [part for image in images for part in (b'", "', image)][1:]
        return _html_info_and(b'"images": ', b'["' if images else b"[", *between, b'"]' if images else b"]")

    def interrogate() -> Response:
        """Say what a picture shows"""
        body = read(A1111Interrogate)
        with seat(parts):
            return reply(A1111Caption(caption=_caption(parts, callers, body)))

    said, body = answers({200: A1111Caption}, 413, 422), documented_body(api, A1111Interrogate)
    api.post("/sdapi/v1/interrogate", responses=said, openapi_extensions=body)(interrogate)
    told = answers({200: A1111Info}, 413, 422)
    api.post("/sdapi/v1/png-info", responses=told, openapi_extensions=documented_body(api, A1111PngInfo))(png_info)
    one, body = answers({200: A1111Enlarged}, 413, 422), documented_body(api, A1111Upscale)
    api.post("/sdapi/v1/extra-single-image", responses=one, openapi_extensions=body)(extra_single_image)
    many, body = answers({200: A1111EnlargedBatch}, 413, 422), documented_body(api, A1111UpscaleBatch)
    api.post("/sdapi/v1/extra-batch-images", responses=many, openapi_extensions=body)(extra_batch_images)


def _caption(parts: Parts, callers: Callers, body: A1111Interrogate) -> str:
    """What a job found in the picture. Raises InvalidRequest for a model that describes none."""
    fields = {
        "prompt": "",
        "model": parts.settings.describe_model if body.model == INTERROGATOR else body.model,
        "task": Task.DESCRIBE,
        "inputs": (JobInput(role=InputRole.IMAGE, sha256=parts.inputs.put(body.image, "image").sha256),),
    }
    with foreign_names({}):
        job = submit_when_there_is_room(parts, request_of(fields))
    callers.started(program(), job.id, None)
    return succeeded(work.wait(parts, job.id)).text or ""


def _html_info_and(*parts: bytes) -> Response:
    """The answer as it is sent. One JSON text of all would be there three times before the first byte goes."""
    return Response([b'{"html_info": "", ', *parts, b"}\n"], mimetype="application/json")


def _upscaled(parts: Parts, callers: Callers, body: A1111Upscaling, pictures: Iterable[bytes]) -> list[bytes]:
    """The pictures in base64, larger.

    Raises InvalidRequest for an upscaler that is not here, and for more than 16 million pixels in all, before or after.
    """
    method, names_here = body.upscaler_1 or "None", upscaler_names(parts)
    if method not in names_here:
        raise InvalidRequest([FieldError("upscaler_1", method, f"allowed is one of: {', '.join(names_here)}")])
    by_size = body.resize_mode == 1
    names = ("upscaling_resize_w", "upscaling_resize_h") if by_size else ("upscaling_resize",)
    numbers = [_positive(body, name) for name in names]
    size = (int(numbers[0]), int(numbers[1])) if by_size else numbers[0]
    how = None if method == "None" else method
    done: list[bytes] = []
    before = after = 0
    for picture in pictures:
        file = outside.read(picture)
        before += file.width * file.height
        large = b""
        if before <= MAX_PIXELS and (how is None or how in METHODS):
            large = resize(picture, size, how, crop=body.upscaling_crop)
        elif before <= MAX_PIXELS:
            large = _by_model(parts, callers, method, picture, _size(file, size), crop=body.upscaling_crop)
        after += int.from_bytes(large[16:20]) * int.from_bytes(large[20:24])  # of a PNG's first chunk
        if max(before, after) > MAX_PIXELS:
            raise InvalidRequest([FieldError("imageList", "…", f"allowed are {MAX_PIXELS} pixels in all")])
        done.append(base64.b64encode(large))
    return done


def _positive(body: A1111Upscaling, name: str) -> float:
    """The number of a field that is used: the others may say what they like."""
    value: float | None = getattr(body, name)
    if value is None or not 0 < value <= MAX_SIDE:
        raise InvalidRequest([FieldError(name, value, f"a number above 0 and up to {MAX_SIDE} is needed")])
    return value


def _size(file: outside.Outside, size: tuple[int, int] | float) -> tuple[int, int]:
    """Width and height of what is wanted. Raises InvalidRequest if it has more than 16 million pixels, or none."""
    width, height = size if isinstance(size, tuple) else (round(file.width * size), round(file.height * size))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise InvalidRequest([FieldError("size", f"{width}x{height}", f"allowed is 1 to {MAX_PIXELS} pixels in all")])
    return width, height


def _by_model(
    parts: Parts, callers: Callers, model: str, picture: bytes, size: tuple[int, int], *, crop: bool
) -> bytes:
    """The PNG of a picture that a job made larger by a model, in this size; it stands in the library, too."""
    kept = parts.inputs.put(picture, "image")
    said = (kept.said.get("recipe") or {}).get("request") or {}
    factor = max(size[0] / kept.width, size[1] / kept.height)
    fields = {
        "prompt": str(said.get("prompt") or ""),
        "model": model,
        "task": Task.UPSCALE,
        "inputs": (JobInput(role=InputRole.IMAGE, sha256=kept.sha256),),
        "scale": min(MAX_SCALE, max(2, math.ceil(factor))),
    }
    with foreign_names({"scale": "upscaling_resize", "model": "upscaler_1"}):
        job = submit_when_there_is_room(parts, request_of(fields))
    callers.started(program(), job.id, None)
    job = succeeded(work.wait(parts, job.id))
    made = parts.library.open(job.images[0].id)
    return made if (job.images[0].width, job.images[0].height) == size else resize(made, size, "Lanczos", crop=crop)
