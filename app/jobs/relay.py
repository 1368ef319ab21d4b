"""Carries what happens in one service to the others on the same PostgreSQL, so that each can tell it live.

A courtesy: what gets lost is in the table, or was only a step. States are told always, steps once a second, and with
their previews as fast as they come while somebody elsewhere watches the job.
"""

import logging
import threading
import time
from collections.abc import Callable

from pydantic import ValidationError

from app.core.errors import DatabaseBusy
from app.database import Notices
from app.engine.base import EngineEvent
from app.jobs.live import STANDS_STILL, LiveEvents
from app.jobs.recent import Recent
from app.jobs.relay_messages import Batch, Previews, Told

logger = logging.getLogger(__name__)
SPACING_S = 0.05  # what happens within it goes out together, of each job the newest step
UNWATCHED_STEP_S = 1.0
HERE_S = 5.0  # a job that stepped here so lately runs here
WANT_EVERY_S = 3.0
WANTED_S = 10.0  # two of three may get lost
PATIENCE_S = 1.0


class Relay:
    """The other services, for `LiveEvents`; and this one, for them. Every method may be called by any thread."""

    def __init__(self, notices: Notices, boot_id: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._notices = notices
        self._boot_id = boot_id
        self._now = now
        self._changed = threading.Condition()
        self._batch = Batch()
        self._stepped: Recent[tuple[float, str]] = Recent()  # job here → when its last step was told, in which phase
        self._wanted: Recent[float] = Recent()  # job → until when somebody elsewhere watches it
        self._asked: Recent[float] = Recent()  # job elsewhere → when it was last asked for
        self._coming = Previews()
        self._previews: Recent[bytes] = Recent()  # that came for a step which is to come
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, live: LiveEvents, told: Callable[[], None]) -> None:
        """Hear the others from now on: their events go to `live`, and `told` is called if there may be work."""
        hear = threading.Thread(target=self._hear_all, args=(live, told), name="relay-hear", daemon=True)
        send = threading.Thread(target=self._send_all, name="relay-send", daemon=True)
        self._threads = [hear, send]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell what there is to tell, and be silent."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    # What happens here: see `Others`

    def event(self, topic: str, kind: str, seq: int) -> None:
        """A job's state changed here."""
        with self._changed:
            if kind in STANDS_STILL:
                self._stepped.pop(topic, None)
                self._batch.steps.pop(topic, None)
                self._batch.previews.pop(topic, None)
            self._batch.events.append((topic, kind, seq))
            self._changed.notify_all()

    def step(self, event: EngineEvent) -> None:
        """A job goes on here."""
        now = self._now()
        with self._changed:
            wanted = self._wanted.get(event.job_id, 0.0) > now
            told, phase = self._stepped.get(event.job_id, (0.0, ""))
            if not wanted and phase == event.phase and now - told < UNWATCHED_STEP_S:
                return
            self._stepped[event.job_id] = (now, event.phase)
            self._batch.steps[event.job_id] = event
            if wanted and event.preview is not None:
                self._batch.previews[event.job_id] = event.preview
            self._changed.notify_all()

    def want(self, topic: str) -> None:
        """Somebody here watches this job."""
        now = self._now()
        with self._changed:
            if self._is_here(topic) or now - self._asked.get(topic, -WANT_EVERY_S) < WANT_EVERY_S:
                return
            self._asked[topic] = now
            self._batch.wanted.append(topic)
            self._changed.notify_all()

    def look(self) -> None:
        """The others shall look at the table."""
        with self._changed:
            self._batch.look = True
            self._changed.notify_all()

    def _is_here(self, topic: str) -> bool:
        return topic.startswith("model:") or self._now() - self._stepped.get(topic, (-HERE_S, ""))[0] < HERE_S

    # Sending

    def _send_all(self) -> None:
        heard = True
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._batch) or self._stopping.is_set())
            self._stopping.wait(SPACING_S)
            messages = self.taken()
            if not messages:
                return
            try:
                self._notices.send(messages)
                heard = True
            except DatabaseBusy as error:
                if heard:
                    logger.warning("Other services are not told right now: %s", error.message)
                heard = False
                self._stopping.wait(PATIENCE_S)
            except Exception:
                logger.exception("Other services were not told")
                self._stopping.wait(PATIENCE_S)

    def taken(self) -> list[str]:
        """What is to be told now, as messages; it counts as told."""
        with self._changed:
            batch, self._batch = self._batch, Batch()
        return batch.messages(self._boot_id)

    # Hearing

    def _hear_all(self, live: LiveEvents, told: Callable[[], None]) -> None:
        silent = False
        while not self._stopping.is_set():
            try:
                with self._notices.listening() as heard:
                    silent = False
                    told()  # nobody heard what came before
                    while not self._stopping.is_set():
                        for message in heard(PATIENCE_S):
                            self.hear(message, live, told)
            except DatabaseBusy as error:
                if not silent:
                    logger.warning("%s", error.message)
                silent = True
                self._stopping.wait(PATIENCE_S)
            except Exception:
                logger.exception("Other services were not heard")
                self._stopping.wait(PATIENCE_S)

    def hear(self, message: str, live: LiveEvents, told: Callable[[], None]) -> None:
        """Take in one message. One that this version cannot read is passed over."""
        try:
            new = Told.model_validate_json(message)
        except ValidationError as error:
            logger.warning("A message of another service cannot be read: %s", error)
            return
        if new.sender == self._boot_id:
            return
        for event in self._taken(new):
            live.hear_step(event)
        for topic, kind, seq in new.events:
            live.hear(topic, kind, {}, seq=seq)
        if new.look or any(kind == "queued" for _, kind, _ in new.events):
            told()

    def _taken(self, new: Told) -> list[EngineEvent]:
        """Note what was said; the steps of jobs that do not run here."""
        now = self._now()
        with self._changed:
            for topic in new.wanted:
                self._wanted[topic] = now + WANTED_S
            for topic, kind, _ in new.events:
                if kind in STANDS_STILL:  # it is not this service's any more, whatever its engine still does
                    self._stepped.pop(topic, None)
            if new.preview is not None and (whole := self._coming.whole(new.preview)) is not None:
                self._previews[new.preview.job_id] = whole
            return [
                EngineEvent(**step.model_dump(), preview=self._previews.pop(step.job_id, None))
                for step in new.steps
                if not self._is_here(step.job_id)
            ]
