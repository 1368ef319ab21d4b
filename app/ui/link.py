"""The page's line to the image service: the client, with short memories so that many pages ask little."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.client import ImageServiceClient
from app.core.answers import ImageGroup, Status
from app.core.errors import ServiceError, ServiceUnreachable
from app.core.models import EmbeddingInfo, LoraInfo, ModelInfo
from app.core.schema import Job
from app.core.styles import Style
from app.ui.previews import Previews

Answer = TypeVar("Answer")
STATUS_AGE_S = 0.7
HEALTH_AGE_S = 0.7
MODELS_AGE_S = 1.0
LORAS_AGE_S = 10.0  # each time all files' headers are read
STYLES_AGE_S = 10.0
MARKS_AGE_S = 2.0
NEWEST_AGE_S, NEWEST_GROUPS = 1.0, 8
KEPT_JOBS = 500
MANY_JOBS, LISTED_JOBS = 2, 50
UNKNOWN = 404


class Remembered:
    """The last answer of a call, asked again when it is older than `age_s`. One thread asks, the others wait."""

    def __init__(self, ask: Callable[[], Any], age_s: float) -> None:
        self._ask, self._age_s = ask, age_s
        self._lock = threading.Lock()
        self._answer: Any = None
        self._error: ServiceError | None = None
        self._asked = float("-inf")

    def __call__(self) -> Any:
        """The answer, at most `age_s` old. A failure is remembered as long, so a dead service costs one try."""
        with self._lock:
            if time.monotonic() - self._asked > self._age_s:
                self._answer, self._error = None, None
                try:
                    self._answer = self._ask()
                except ServiceError as error:
                    self._error = error
                self._asked = time.monotonic()
            if self._error is not None:
                raise self._error
            return self._answer

    def latest(self) -> Any:
        """The last answer, however old; asked for only if there is none."""
        with self._lock:
            answer = self._answer
        return self() if answer is None else answer

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._asked = float("-inf")


@dataclass(frozen=True)
class ServiceState:
    """How the service is: its status, or why there is none. `reached` is False when nothing answers."""

    status: Status | None
    problem: ServiceError | None = None

    @property
    def reached(self) -> bool:
        """True if something answered, even if it refused."""
        return not isinstance(self.problem, ServiceUnreachable)


class ServiceLink:
    """Shared by all pages and threads of this process. Every method may raise ServiceError; `state` never does."""

    def __init__(self, client: ImageServiceClient, watcher: ImageServiceClient) -> None:
        """`client` does what a person asked for; `watcher` asks how things are: short patience, asked again soon."""
        self.client = client
        self.previews = Previews(client)
        self._watcher = watcher
        self._health = Remembered(watcher.health, HEALTH_AGE_S)
        self._status = Remembered(watcher.status, STATUS_AGE_S)
        self._models = Remembered(watcher.models, MODELS_AGE_S)
        self._loras = Remembered(watcher.loras, LORAS_AGE_S)
        self._embeddings = Remembered(watcher.embeddings, LORAS_AGE_S)
        self._styles = Remembered(watcher.styles, STYLES_AGE_S)
        self._newest = Remembered(lambda: watcher.groups(limit=NEWEST_GROUPS)[0], NEWEST_AGE_S)
        self._finished: OrderedDict[str, Job] = OrderedDict()
        self._marks: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def state(self) -> ServiceState:
        """How the service is now."""
        try:
            self._health()
            return ServiceState(self._status())
        except ServiceError as error:
            return ServiceState(None, error)

    def models(self) -> list[ModelInfo]:
        """The catalog."""
        self._health()  # a dead service is known at once, without the client's patience
        models: list[ModelInfo] = self._models()
        return models

    def latest_models(self) -> list[ModelInfo]:
        """The catalog as it was told last, however long ago."""
        models: list[ModelInfo] = self._models.latest()
        return models

    def loras(self) -> list[LoraInfo]:
        """The LoRAs there are."""
        loras: list[LoraInfo] = self._loras()
        return loras

    def embeddings(self) -> list[EmbeddingInfo]:
        """The embeddings there are."""
        embeddings: list[EmbeddingInfo] = self._embeddings()
        return embeddings

    def styles(self) -> list[Style]:
        """The styles there are."""
        styles: list[Style] = self._styles()
        return styles

    def newest(self, *, fresh: bool = False) -> list[ImageGroup]:
        """The latest pictures of all doors, at most 1 s old."""
        self._health()
        if fresh:
            self._newest.forget()
        groups: list[ImageGroup] = self._newest()
        return groups

    def models_changed(self) -> None:
        """A model was just asked to be loaded or unloaded: look again."""
        self._models.forget()
        self._status.forget()

    def set_paused(self, paused: bool) -> None:
        """Pause the queue or go on."""
        self.ask(lambda: self.client.set_paused(paused))
        self._status.forget()

    def job(self, id: str, *, fresh: bool = False) -> Job:
        """One job. A finished one comes from memory unless it must be `fresh`."""
        with self._lock:
            known = self._finished.get(id)
        if known is not None and not fresh:
            return known
        self._health()
        job = self._watcher.job(id)
        if job.state.finished:
            with self._lock:
                self._finished[id] = job
                self._finished.move_to_end(id)
                while len(self._finished) > KEPT_JOBS:
                    self._finished.popitem(last=False)
        return job

    def jobs(self, ids: Sequence[str], *, fresh: str | None = None) -> Iterator[tuple[str, Job | None]]:
        """Each id with its job, or with None if the service does not know it. `fresh` is never taken from memory.

        Many open jobs are asked for in one call. Raises ServiceError where the service is away.
        """
        with self._lock:
            open_ids = [id for id in ids if id not in self._finished]
        listed: dict[str, Job] = {}
        if len(open_ids) > MANY_JOBS:
            self._health()
            listed = {job.id: job for job in self._watcher.jobs(limit=LISTED_JOBS)[0]}
        for id in ids:
            if id in listed and not listed[id].state.finished:
                yield id, listed[id]
                continue
            try:
                yield id, self.job(id, fresh=id == fresh)
            except ServiceError as error:
                if error.http_status != UNKNOWN:
                    raise
                yield id, None

    def forget_job(self, id: str) -> None:
        """A finished job has changed after all: one of its pictures was deleted."""
        with self._lock:
            self._finished.pop(id, None)

    def favourites(self, image_ids: list[str]) -> frozenset[str]:
        """Which of these pictures are favourites, at most 2 s old."""
        return frozenset(id for id in image_ids if self._is_favourite(id))

    def set_favourite(self, image_id: str, value: bool) -> None:
        """Mark or unmark a picture."""
        self.ask(lambda: self.client.set_favourite(image_id, value))
        self._note(image_id, value)

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """A call of the client, refused at once if the service was dead a moment ago."""
        self._health()
        return call()

    def _is_favourite(self, image_id: str) -> bool:
        with self._lock:
            asked, value = self._marks.get(image_id, (float("-inf"), False))
        if time.monotonic() - asked <= MARKS_AGE_S:
            return value
        try:
            value = self._watcher.image(image_id).favourite
        except ServiceUnreachable:
            raise
        except ServiceError:
            value = False  # deleted meanwhile
        return self._note(image_id, value)

    def _note(self, image_id: str, value: bool) -> bool:
        with self._lock:
            self._marks[image_id] = (time.monotonic(), value)
            self._marks.move_to_end(image_id)
            while len(self._marks) > KEPT_JOBS:
                self._marks.popitem(last=False)
        return value
