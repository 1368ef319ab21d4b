"""A finished or running job as OpenAI's images answer or event stream."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response

from app.core.errors import AtelierError, FieldError, InvalidRequest, ShuttingDown
from app.core.schema import ImageRef, Job
from app.core.task import Task
from app.picture.convert import convert
from app.picture.preview import enlarged
from app.service.foreign.jobs import succeeded
from app.service.http.errors import failure_of
from app.service.http.streams import end_of_caller, stream_response
from app.service.job_events import follow
from app.service.parts import Parts

EXTENSIONS = ("jpeg", "webp")
USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}  # a local model bills nobody; the SDK's type wants the fields


@dataclass(frozen=True)
class WantedAnswer:
    """How the caller wants the answer. `response_format` None = both, as servers differ in their default.

    `quality` is only told back.
    """

    output_format: str
    response_format: str | None
    compression: int
    partial_images: int
    stream: bool
    quality: str = "auto"


def completed(parts: Parts, job: Job, wanted: WantedAnswer, notes: Sequence[str], base_url: str) -> dict[str, Any]:
    """The answer to a generations call. URLs are below `base_url`, of a picture in the format that was asked for.

    `atelier` is ours, and the SDK keeps it: the job, the model that drew, and `notes` on what was not done literally.
    """
    data = []
    for image in job.images:
        one = {}
        if wanted.response_format != "url":
            one["b64_json"] = _encoded(parts, image.id, wanted)
        if wanted.response_format != "b64_json":
            one["url"] = base_url.rstrip("/") + _address(image, wanted)
        data.append(one)
    return {"created": int(job.created_at.timestamp()), "data": data, **_shape(job, wanted), "usage": USAGE,
            "atelier": _ours(job, notes)}  # fmt: skip


def as_file(parts: Parts, image_id: str, kind: str, compression: str) -> Response:
    """A saved picture as a JPEG or WebP file; `compression` is 0 to 100. Raises UnknownImage, InvalidRequest."""
    if not (re.fullmatch("[0-9]{1,3}", compression) and int(compression) <= 100):
        raise InvalidRequest([FieldError("compression", compression, "allowed is a whole number from 0 to 100")])
    data = convert(parts.library.open(image_id), kind, int(compression))
    return Response(data, mimetype=f"image/{kind}", headers={"Content-Security-Policy": "sandbox; default-src 'none'"})


def _address(image: ImageRef, wanted: WantedAnswer) -> str:
    if wanted.output_format == "png":
        return image.url
    return f"/v1/images/{image.id}.{wanted.output_format}?compression={wanted.compression}"


def _ours(job: Job, notes: Sequence[str]) -> dict[str, Any]:
    of_images = dict.fromkeys(note for image in job.images for note in image.notes)
    return {"job_id": job.id, "model": job.request.model, "notes": [*notes, *of_images]}


def events(
    parts: Parts, job: Job, wanted: WantedAnswer, notes: Sequence[str], is_over: Callable[[], bool]
) -> Iterator[bytes]:
    """The event stream: up to `partial_images` previews spread over the steps, then the completed image.

    An error after the start is the event `error`, whose `error` object makes the SDK raise.
    """
    sent = 0
    try:
        for event in follow(parts, job.id):
            if event is None:
                if is_over():
                    return
                yield b": still here\n\n"
            elif event.kind == "step" and sent < wanted.partial_images and _is_due(event.data, sent, wanted):
                yield _partial(job, event.data["preview"], sent, wanted)
                sent += 1
        done = parts.jobs.get(job.id)
        if not done.state.finished:
            raise ShuttingDown
        yield _completed(parts, succeeded(done), wanted, notes)
    except AtelierError as error:
        failure = failure_of(error)
        body = {"message": failure.detail, "type": "server_error", "param": None, "code": failure.code}
        yield _event("error", {"type": "error", "error": body})
    yield b"data: [DONE]\n\n"


def stream(parts: Parts, job: Job, wanted: WantedAnswer, notes: Sequence[str]) -> Response:
    """The job as an event stream, which ends when its reader is gone. Needs a seat. `notes`: see `completed`."""
    return stream_response(events(parts, job, wanted, notes, end_of_caller()))


def _is_due(step: Any, sent: int, wanted: WantedAnswer) -> bool:
    return bool(step.get("preview")) and step["step"] * (wanted.partial_images + 1) >= (sent + 1) * step["of"]


def _partial(job: Job, preview: str, index: int, wanted: WantedAnswer) -> bytes:
    size = (job.request.width or 0, job.request.height or 0)
    picture = enlarged(base64.b64decode(preview), size, wanted.output_format)
    body = {
        "type": f"{_event_kind(job)}.partial_image",
        "b64_json": base64.b64encode(picture).decode(),
        "partial_image_index": index,
        "created_at": int(job.created_at.timestamp()),
        **_shape(job, wanted),
    }
    return _event(str(body["type"]), body)


def _completed(parts: Parts, job: Job, wanted: WantedAnswer, notes: Sequence[str]) -> bytes:
    body = {
        "type": f"{_event_kind(job)}.completed",
        "b64_json": _encoded(parts, job.images[0].id, wanted),
        "created_at": int(job.created_at.timestamp()),
        **_shape(job, wanted),
        "usage": USAGE,
        "atelier": _ours(job, notes),
    }
    return _event(str(body["type"]), body)


def _event_kind(job: Job) -> str:
    return "image_generation" if job.request.task is Task.TEXT else "image_edit"


def _shape(job: Job, wanted: WantedAnswer) -> dict[str, Any]:
    size = f"{job.request.width}x{job.request.height}"
    return {"size": size, "quality": wanted.quality, "background": "opaque", "output_format": wanted.output_format}


def _encoded(parts: Parts, image_id: str, wanted: WantedAnswer) -> str:
    picture = convert(parts.library.open(image_id), wanted.output_format, wanted.compression)
    return base64.b64encode(picture).decode()


def _event(kind: str, body: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
