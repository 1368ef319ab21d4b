"""What is told while it happens: the newest event of each topic, progress and previews. In memory only."""

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.core.schema import JobState, Progress
from app.engine.base import EngineEvent
from app.jobs.forecast import Forecast

logger = logging.getLogger(__name__)
MAX_PREVIEW_BYTES = 64 * 2**10
KEPT_TOPICS = 2_000  # least recently changed topics are forgotten beyond this; rows are the truth for jobs
STANDS_STILL = frozenset({*(state.value for state in JobState)})  # kinds after which there is no progress to show
FINISHED = frozenset(state.value for state in JobState if state.finished)


@dataclass(frozen=True)
class LiveEvent:
    """The newest event of a topic. `version` rises with every event of every topic; `seq` is set if it is a row.

    `rows` is the highest `seq` of the topic so far: who has seen fewer must look at the table.
    """

    version: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    seq: int | None = None
    rows: int = 0


class Others(Protocol):
    """The other services on the same table. Every call returns at once."""

    def event(self, topic: str, kind: str, seq: int) -> None:
        """A job's state changed here."""
        ...

    def step(self, event: EngineEvent) -> None:
        """A job goes on here."""
        ...

    def want(self, topic: str) -> None:
        """Somebody here watches this job."""
        ...

    def look(self) -> None:
        """Something that is no state of a job was changed in the table here."""
        ...


class NoOthers:
    """There are none: the table is this service's alone."""

    def event(self, topic: str, kind: str, seq: int) -> None:
        """Nobody hears it."""

    def step(self, event: EngineEvent) -> None:
        """Nobody hears it."""

    def want(self, topic: str) -> None:
        """Nobody has it."""

    def look(self) -> None:
        """Nobody hears it."""


@dataclass
class _Readers:
    changed: threading.Condition
    count: int = 0


class LiveEvents:
    """Where threads wait for news. A topic is a job's id, or `model:KEY`. Safe from any thread.

    Only the newest event of a topic is kept, so a slow reader skips steps and never falls behind. A reader of a job
    takes the state changes from the table (`JobTable.events_after`) and waits here to know when to look again.
    """

    def __init__(self, forecast: Forecast | None = None, others: Others | None = None) -> None:
        """`forecast` is told of each step, and `others` of what happens here."""
        self.others = others or NoOthers()
        self._forecast = forecast or Forecast()
        self._lock = threading.Lock()
        self._versions = itertools.count(1)
        self._newest: OrderedDict[str, LiveEvent] = OrderedDict()
        self._progress: dict[str, Progress] = {}
        self._previews: dict[str, tuple[int, bytes]] = {}
        self._readers: dict[str, _Readers] = {}
        self._stopped = False

    def publish(self, topic: str, kind: str, data: Mapping[str, Any], *, seq: int | None = None) -> None:
        """Tell all who wait for `topic`. A job's state change also forgets its progress and preview."""
        self.hear(topic, kind, data, seq=seq)
        if seq is not None:
            self.others.event(topic, kind, seq)

    def hear(self, topic: str, kind: str, data: Mapping[str, Any], *, seq: int | None = None) -> None:
        """As `publish`, for what other services told."""
        with self._lock:
            if kind in STANDS_STILL:
                self._progress.pop(topic, None)
                self._previews.pop(topic, None)
            self._set(topic, kind, dict(data), seq)

    def step(self, event: EngineEvent) -> None:
        """Tell the progress of a job: `{"step", "of", "phase", "preview"}`, `preview` the number of the newest one.

        0 = none yet; when the number changes, `preview(job_id)` has another picture. A preview over 64 KiB is
        dropped. Progress of a finished job is ignored.
        """
        self.hear_step(event)
        self.others.step(event)

    def hear_step(self, event: EngineEvent) -> None:
        """As `step`, for a job that runs in another service."""
        if event.kind == "step" and event.phase == "denoising":
            self._forecast.step(event.job_id, event.step, event.of)
        with self._lock:
            newest = self._newest.get(event.job_id)
            if newest is not None and newest.kind in FINISHED:
                return
            number, _ = self._previews.get(event.job_id, (0, b""))
            if event.preview is not None and len(event.preview) <= MAX_PREVIEW_BYTES:
                number += 1
                self._previews[event.job_id] = (number, event.preview)
            elif event.preview is not None:
                logger.debug("A preview of %d bytes was dropped: %d are allowed", len(event.preview), MAX_PREVIEW_BYTES)
            progress = Progress(step=event.step, of=event.of, phase=event.phase)
            self._progress[event.job_id] = progress
            self._set(event.job_id, event.kind, progress.model_dump() | {"preview": number}, None)

    def progress(self, job_id: str) -> Progress | None:
        """How far a running job is; None if nothing was heard of it."""
        with self._lock:
            return self._progress.get(job_id)

    def preview(self, job_id: str) -> bytes | None:
        """The newest preview of a running job, a JPEG of at most 64 KiB, or None.

        If it runs in another service, the first call asks that for previews, and a later one has it.
        """
        self.others.want(job_id)
        with self._lock:
            return self._previews[job_id][1] if job_id in self._previews else None

    def latest(self, topic: str) -> LiveEvent | None:
        """The newest event of a topic, or None if there was none (or none for long)."""
        with self._lock:
            return self._newest.get(topic)

    def wait(self, topic: str, after: int = 0, timeout: float = 15.0) -> LiveEvent | None:
        """The newest event of `topic` with a version above `after`, as soon as there is one.

        None after `timeout` seconds or when everything stops (`stopped`). To miss nothing: take the version first,
        then read the rows, then wait.
        """
        self.others.want(topic)
        with self._lock:
            readers = self._readers.setdefault(topic, _Readers(threading.Condition(self._lock)))
            readers.count += 1
            try:
                readers.changed.wait_for(lambda: self._stopped or self._newer(topic, after) is not None, timeout)
                return self._newer(topic, after)
            finally:
                readers.count -= 1
                if not readers.count:
                    del self._readers[topic]

    @property
    def stopped(self) -> bool:
        """True when the service is stopping: readers should say goodbye."""
        return self._stopped

    def stop(self) -> None:
        """Wake all who wait, now and in the future."""
        with self._lock:
            self._stopped = True
            for readers in self._readers.values():
                readers.changed.notify_all()

    def _newer(self, topic: str, after: int) -> LiveEvent | None:
        newest = self._newest.get(topic)
        return newest if newest is not None and newest.version > after else None

    def _set(self, topic: str, kind: str, data: dict[str, Any], seq: int | None) -> None:
        before = self._newest.get(topic)
        rows = max(seq or 0, before.rows if before else 0)
        self._newest[topic] = LiveEvent(next(self._versions), kind, data, seq, rows)
        self._newest.move_to_end(topic)
        if len(self._newest) > KEPT_TOPICS:
            oldest, _ = self._newest.popitem(last=False)
            self._progress.pop(oldest, None)  # of a job whose end was told elsewhere
            self._previews.pop(oldest, None)
        if topic in self._readers:
            self._readers[topic].changed.notify_all()
