"""The newest live preview of a running job. The service sends previews only as events, so a thread listens."""

import base64
import binascii
import threading

import structlog

from app.client import ImageServiceClient
from app.core.errors import ServiceError

MAX_LISTENERS = 4  # each holds one event stream of the service
KEPT = 16

_logger = structlog.stdlib.get_logger(__name__)


class Previews:
    """Listens to the jobs somebody looks at, a few at a time; the others show their progress without a picture."""

    def __init__(self, client: ImageServiceClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._listening: set[str] = set()
        self._latest: dict[str, bytes] = {}

    def latest(self, job_id: str) -> bytes | None:
        """The newest preview (JPEG) of a running job, or None. The first call begins to listen."""
        with self._lock:
            if job_id not in self._listening and len(self._listening) < MAX_LISTENERS:
                self._listening.add(job_id)
                threading.Thread(target=self._listen, args=(job_id,), name=f"preview-{job_id[:8]}", daemon=True).start()
            return self._latest.get(job_id)

    def _listen(self, job_id: str) -> None:
        try:
            for event in self._client.events(job_id):
                preview = _decoded(event.data.get("preview"))
                if preview is not None:
                    self._keep(job_id, preview)
        except ServiceError as error:
            # The page still polls the job, so only the picture in between is missing.
            _logger.info("preview_lost", job_id=job_id, reason=error.message)
        finally:
            with self._lock:
                self._listening.discard(job_id)
                self._latest.pop(job_id, None)

    def _keep(self, job_id: str, preview: bytes) -> None:
        with self._lock:
            self._latest[job_id] = preview
            while len(self._latest) > KEPT:
                self._latest.pop(next(iter(self._latest)))


def _decoded(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text.removeprefix("data:image/jpeg;base64,"), validate=True)
    except binascii.Error:
        return None
    return data if data.startswith(b"\xff\xd8") else None  # only a JPEG is put into the page
