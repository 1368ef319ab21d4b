"""Event streams: a job's, and a model's while it is downloaded or loaded."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.service.http.documented import documented, media
from app.service.http.ids import no_unknown_id
from app.service.http.parameters import JobPath, ModelPath
from app.service.http.security import same_origin_only
from app.service.http.streams import event_stream, last_event_id
from app.service.job_events import follow
from app.service.model_events import entry_of, follow_model
from app.service.parts import current_parts

TAG = Tag(name="events", description="What happens, as it happens (server-sent events).")


# One event, in the words of OpenAPI 3.2; `data` is a JSON object.
EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {name: {"type": "string"} for name in ("event", "data", "id")},
}


class StreamHeaders(BaseModel):
    """Where the reader was when the line was cut."""

    last_event_id: str | None = Field(
        None, alias="Last-Event-ID", pattern=r"^[0-9]{0,15}$", description="Go on behind the event with this id."
    )


@same_origin_only
def job_events(path: JobPath, header: StreamHeaders) -> Response:
    """A job's events until it is finished

    `queued`, `loading`, `step` (with a small JPEG as base64 in `preview` where there is one), `image`, and one of
    `succeeded`, `failed`, `cancelled`. Changes of state have an id and are told again after `Last-Event-ID`; `loading`
    and `step` are told live only. `shutdown` means that the service stops: come back, the job is kept.
    """
    no_unknown_id("job", path.job_id)
    parts = current_parts()
    parts.jobs.get(path.job_id)  # 404 belongs before the first byte of the stream
    return event_stream(follow(parts, path.job_id, after=last_event_id()))


@same_origin_only
def model_events(path: ModelPath) -> Response:
    """How a model is, and how far its loading or download is

    Ends with `loaded`, `unloaded`, `failed`, `downloaded`, `download_failed` or `download_cancelled`.
    """
    parts = current_parts()
    entry = entry_of(parts, path.key)
    return event_stream(follow_model(parts, entry.key))


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("events", __name__, abp_tags=[TAG])
    stream = media("text/event-stream", "Events until the end.", EVENT)
    api.get("/api/jobs/<job_id>/events", responses=documented({200: stream}, 404, 422))(job_events)
    api.get("/api/models/<model:key>/events", responses=documented({200: stream}, 404, 422))(model_events)
    return api
