"""ImageServiceClient: with its parts client_*.py the one place that knows the image service's addresses."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import requests
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from app import __version__
from app.client_grids import GridCalls
from app.client_http import part, refusal, session
from app.client_library import LibraryCalls
from app.client_queue import QueueCalls, job_of
from app.client_stream import Backoff, Event, read_events, read_lines
from app.core.answers import ImageGroup, Inspection, Status
from app.core.errors import ServiceError, ServiceUnreachable
from app.core.hub_links import model_named
from app.core.models import EmbeddingInfo, LoraInfo, ModelInfo
from app.core.schema import GenerationRequest, InputRef, Job
from app.core.styles import Style

__all__ = ["Event", "ImageGroup", "ImageServiceClient"]

CONNECT_TIMEOUT_S = 3.05
STREAM_SILENCE_S = 45  # the service sends a comment every 15 s; three missing ones = the line is dead
# Answers that another try may mend: a restarting service, or a reverse proxy in front of one.
PASSING_STATUS = (502, 503, 504)


class ImageServiceClient(LibraryCalls, QueueCalls, GridCalls):
    """Calls one image service. May be used by many threads at once.

    No proxy, `.netrc` or other environment setting is ever used for these calls. GET and DELETE, and submits
    (they always carry an Idempotency-Key), are tried again for about 4 s when the service does not answer.

    Every method raises `ServiceError` (the service said no: `code`, `http_status`, `message`, `errors`) or its
    subclass `ServiceUnreachable` (nothing answered).
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 30,
        patience_s: float = 120,
        origin: str = "api",
        retries: int = 4,
    ) -> None:
        """`timeout_s` is for one answer; `patience_s` is how long `events` and `wait` look for a service that is gone.

        `origin` (`ui`, `cli`, `drop`, `api`) is kept with each submitted job. `retries` is how
        often a call that may be repeated is tried again (4 = for about 4 s).
        """
        self.url = url.rstrip("/")
        self._timeout = (CONNECT_TIMEOUT_S, timeout_s)
        self._patience_s = patience_s
        headers = {"User-Agent": f"atelier/{__version__}", "X-Atelier-Origin": origin}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._once = session(headers, Retry(0))
        self._repeating = session(
            headers,
            Retry(
                total=retries,
                backoff_factor=0.3,
                allowed_methods=None,  # the caller chooses this session only for calls that may be repeated
                status_forcelist=PASSING_STATUS,
                raise_on_status=False,
                respect_retry_after_header=False,  # a person waits; the back-off is short enough
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections. The client can still be used afterwards."""
        self._once.close()
        self._repeating.close()

    # The service itself

    def health(self) -> dict[str, Any]:
        """`GET /health`: is it alive? Asked once, so a dead service is known at once."""
        return self._json("GET", "/health", repeat=False)

    def ready(self) -> bool:
        """True if it can take work now. Raises ServiceUnreachable if nothing answers."""
        try:
            self._call("GET", "/ready", repeat=False)
        except ServiceUnreachable:
            raise
        except ServiceError:
            return False
        return True

    def status(self) -> Status:
        """Queue length, running jobs, devices, memory (bytes) and loaded models."""
        return Status.model_validate(self._json("GET", "/api/status"), extra="ignore")

    # Models

    def models(self) -> list[ModelInfo]:
        """The catalog, each with its defaults, ranges, size (bytes) and state."""
        return [_model(item) for item in self._json("GET", "/api/models")["items"]]

    def loras(self) -> list[LoraInfo]:
        """The LoRAs of the models folder."""
        return [LoraInfo.model_validate(item, extra="ignore") for item in self._json("GET", "/api/loras")["items"]]

    def embeddings(self) -> list[EmbeddingInfo]:
        """The embeddings of the models folder."""
        items = self._json("GET", "/api/embeddings")["items"]
        return [EmbeddingInfo.model_validate(item, extra="ignore") for item in items]

    def styles(self) -> list[Style]:
        """The styles that a request may name."""
        return [Style.model_validate(item, extra="ignore") for item in self._json("GET", "/api/styles")["items"]]

    def model(self, key: str) -> ModelInfo:
        """One catalog entry with its state."""
        return _model(self._json("GET", f"/api/models/{part(key)}"))

    def load_model(self, key: str) -> ModelInfo:
        """Ask for a model to be loaded; answers at once, `model(key)` tells how far it is."""
        return _model(self._json("POST", f"/api/models/{part(key)}/load", repeat=True))

    def unload_model(self, key: str) -> ModelInfo:
        """Free a model's memory."""
        return _model(self._json("POST", f"/api/models/{part(key)}/unload", repeat=True))

    def download_model(self, key: str) -> ModelInfo:
        """Ask for a download (catalog key, hub id, or the address of a model's page on the hub).

        Answers at once; `model(key).download` of the answer's `key` tells how far it is.
        """
        return _model(self._json("POST", f"/api/models/{part(model_named(key))}/download", repeat=True))

    def cancel_download(self, key: str) -> ModelInfo:
        """Stop a download; what arrived is kept."""
        return _model(self._json("DELETE", f"/api/models/{part(key)}/download"))

    def clean_model(self, key: str) -> int:
        """Remove what interrupted downloads of a model left; the bytes freed."""
        return int(self._json("POST", f"/api/models/{part(key)}/clean", repeat=True)["freed_bytes"])

    # Jobs

    def submit(
        self,
        request: GenerationRequest | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        origin: str | None = None,
    ) -> Job:
        """Put one request into the queue. The same key always gives the same job, so a repeated try is safe."""
        body = request.model_dump(exclude_unset=True) if isinstance(request, GenerationRequest) else dict(request)
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if origin:
            headers["X-Atelier-Origin"] = origin
        return job_of(self._json("POST", "/api/jobs", json=body, headers=headers, repeat=True))

    def job(self, id: str) -> Job:
        """One job as it is now."""
        return job_of(self._json("GET", f"/api/jobs/{part(id)}"))

    def events(self, id: str, after: int | None = None) -> Iterator[Event]:
        """A job's events as they happen, from the one after number `after`; ends behind the last one.

        Survives a lost connection and a service restart: it goes on behind the last numbered event, so none is
        lost or doubled. While no stream can be had, the job is asked instead. Raises ServiceUnreachable when the
        service was gone for `patience_s`.
        """
        backoff = Backoff(self._patience_s)
        while True:
            try:
                for event in self._stream(id, after):
                    backoff.reset()
                    after = event.seq if event.seq is not None else after
                    yield event
                    if event.ends_job:
                        return
                job = self.job(id)  # there was no stream, or it ended early: is the job over?
            except ServiceError as error:
                if error.http_status not in PASSING_STATUS:
                    raise
                backoff.wait(because=error)
                continue
            if job.state.finished:
                yield Event(job.state.value, {"job": job.model_dump(mode="json")}, None)
                return
            backoff.answered()
            backoff.pause()

    def wait(self, id: str, on_event: Callable[[Event], None] | None = None) -> Job:
        """Wait until the job is finished and return it; `on_event` is called for every event. See `events`."""
        for event in self.events(id):
            if on_event is not None:
                on_event(event)
        return self.job(id)

    def generate(
        self, request: GenerationRequest | Mapping[str, Any], on_event: Callable[[Event], None] | None = None
    ) -> Job:
        """Submit and wait: the finished job. Look at its `state`: it may have failed or been cancelled."""
        return self.wait(self.submit(request).id, on_event)

    # Pictures to start from

    def seen(self, sha256: str, preprocessor: str) -> bytes:
        """What a control model sees of an uploaded picture, as a PNG."""
        query = {"preprocessor": preprocessor}
        return self._call("GET", f"/api/inputs/{part(sha256)}/preprocessed.png", params=query).content

    def upload(self, data: bytes) -> InputRef:
        """Send a picture file (PNG, JPEG or WebP) for jobs to start from: name it in a request by its `sha256`.

        It is kept while a job or a saved picture names it, and for an hour in any case. Repeatable.
        """
        headers = {"Content-Type": "application/octet-stream"}
        return _input(self._json("POST", "/api/inputs", data=data, headers=headers, repeat=True))

    def crop(self, sha256: str, left: int, top: int, width: int, height: int) -> InputRef:
        """A part of an uploaded picture, in pixels from its top left, kept as another one. Repeatable."""
        body = {"left": left, "top": top, "width": width, "height": height}
        return _input(self._json("POST", f"/api/inputs/{part(sha256)}/crop", json=body, repeat=True))

    def input(self, sha256: str) -> InputRef:
        """What is known of an uploaded picture."""
        return _input(self._json("GET", f"/api/inputs/{part(sha256)}"))

    def input_bytes(self, sha256: str) -> bytes:
        """The PNG of an uploaded picture."""
        return self._call("GET", f"/api/inputs/{part(sha256)}.png").content

    # Pictures of others

    def inspect(self, data: bytes) -> Inspection:
        """What a picture file (PNG, JPEG or WebP bytes) says about how it was made."""
        headers = {"Content-Type": "application/octet-stream"}
        found = self._json("POST", "/api/inspect", data=data, headers=headers, repeat=True)
        return Inspection.model_validate(found, extra="ignore")

    # One call

    def _stream(self, id: str, after: int | None) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
        timeout = (CONNECT_TIMEOUT_S, STREAM_SILENCE_S)
        path = f"/api/jobs/{part(id)}/events"
        try:
            answer = self._call("GET", path, headers=headers, stream=True, timeout=timeout, repeat=False)
        except ServiceUnreachable:
            raise
        except ServiceError as error:
            if error.http_status in (429, *PASSING_STATUS):
                return  # all streams are taken
            raise
        with answer:
            try:
                yield from read_events(read_lines(answer.raw))
            except HTTPError as error:
                raise ServiceUnreachable(f"The line to the image service at {self.url} was cut: {error}") from error

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._call(method, path, **options)
        try:
            value = answer.json()
        except requests.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise ServiceError(
                f"{self.url}{path} did not answer with a JSON object. Is that really the image service?",
                http_status=answer.status_code,
            )
        return value

    def _call(self, method: str, path: str, *, repeat: bool | None = None, **options: Any) -> requests.Response:
        repeat = method in ("GET", "DELETE") if repeat is None else repeat
        session = self._repeating if repeat else self._once
        options.setdefault("timeout", self._timeout)
        try:
            answer = session.request(method, self.url + path, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise ServiceUnreachable(
                f"The image service at {self.url} does not answer.",
                hint=f"Is it running? Start it with ./quick_start.sh. ({type(error).__name__})",
            ) from error
        if answer.status_code >= 300:
            with answer:
                raise refusal(answer)
        return answer


# `extra="ignore"`: a newer service may say more than this client knows.
def _model(data: Any) -> ModelInfo:
    return ModelInfo.model_validate(data, extra="ignore")


def _input(data: Any) -> InputRef:
    return InputRef.model_validate(data, extra="ignore")
