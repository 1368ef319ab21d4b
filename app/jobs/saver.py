"""Saves finished pictures in a thread of its own, so that encoding one job overlaps with running the next."""

import logging
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from app.core.errors import AtelierError, ServerError, StorageUnavailable
from app.core.schema import Job, JobError, SavedImage
from app.engine.base import EngineEvent, Outcome, Picture
from app.jobs.live import LiveEvents
from app.jobs.signals import Held, Hold, Stopping, insist
from app.jobs.table import JobTable

logger = logging.getLogger(__name__)


class PictureStore(Protocol):
    """What the saver needs of the library."""

    def write(self, job: Job, picture: Picture) -> SavedImage:
        """Make the picture a durable file; raises StorageUnavailable, such as DiskFull."""
        ...

    def check_storage(self, needed_bytes: int = 0) -> None:
        """Raise what `write` would raise now for pictures of so many bytes."""
        ...

    def discard(self, image: SavedImage) -> None:
        """Remove a file whose row was not committed."""
        ...


class Saver:
    """Writes the files of a run, then commits the job. One thread; at most two runs wait in it."""

    def __init__(
        self, table: JobTable, store: PictureStore, live: LiveEvents, held: Held, hold: Hold, stopping: Stopping
    ) -> None:
        self._table = table
        self._store = store
        self._live = live
        self._held = held
        self._hold = hold
        self._stopping = stopping
        self._waiting: queue.Queue[tuple[Job, Outcome] | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._loop, name="saver", daemon=True)
        self._thread.start()

    def put(self, job: Job, outcome: Outcome) -> None:
        """Hand over a finished run; waits while two others are being saved, so that memory stays bounded."""
        self._waiting.put((job, outcome))

    def close(self) -> None:
        """Save what is there, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (item := self._waiting.get()) is not None:
            job, outcome = item
            try:
                self._save(job, outcome)
            except Exception:
                logger.exception("Saving job %s failed; it is recovered at the next start", job.id)
            finally:
                self._held.drop(job)

    def _save(self, job: Job, outcome: Outcome) -> None:
        steps = job.request.num_inference_steps or 0
        self._live.step(EngineEvent(job.id, "step", steps, steps, "saving"))
        saved: list[SavedImage] = []
        try:
            for picture in outcome.pictures:
                saved.append(self._store.write(job, picture))
            # A full disk is not waited out here: throwing away this run's files may be what makes room again.
            kept = insist(
                lambda: self._table.finish(job, saved, outcome.seconds), self._hold, self._stopping, on_full=False
            )
        except StorageUnavailable as error:
            logger.warning("The pictures of job %s cannot be saved now, so it is run again later: %s", job.id, error)
            self._discard(saved)
            # Held before it is queued again, so that no engine runs it at once for nothing.
            self._hold.set(error, needed_bytes=sum(len(picture.rgb) for picture in outcome.pictures))
            reason = error.code
            insist(lambda: self._table.requeue(job, crashed=False, reason=reason), self._hold, self._stopping)
            return
        except Exception as error:
            logger.exception("The pictures of job %s could not be saved", job.id)
            self._discard(saved)
            failure = JobError(code=ServerError.code, message=f"The pictures could not be saved: {error}")
            insist(lambda: self._table.fail(job, failure), self._hold, self._stopping)
            return
        if kept is False:
            self._discard(saved)
        self._hold.clear()

    def _discard(self, saved: Sequence[SavedImage]) -> None:
        for image in saved:
            try:
                self._store.discard(image)
            except AtelierError as error:
                logger.warning("The file of image %s stays behind until the next cleaning: %s", image.id, error.message)
