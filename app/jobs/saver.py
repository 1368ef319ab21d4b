"""Saves pictures as they come, in a thread of its own: encoding and syncing one costs the next one no time."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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


@dataclass
class _Shelf:
    """A written image whose row goes with the job's success, or what went wrong before.

    `unsure`: the service stops, and whether a row was committed is not known.
    """

    last: SavedImage | None = None
    problem: Exception | None = None
    needed_bytes: int = 0
    unsure: bool = False


class Saver:
    """Makes each picture a file with a row as it comes; the last of a job is committed together with its success.

    One thread does all of it while the engine makes the next picture, of the same job or of another. Besides the
    picture that is being written one more may wait; with a third in hand the engine waits, too. The calls come from one
    thread and are done in their order.
    """

    def __init__(
        self, table: JobTable, store: PictureStore, live: LiveEvents, held: Held, hold: Hold, stopping: Stopping
    ) -> None:
        self._table = table
        self._store = store
        self._live = live
        self._held = held
        self._hold = hold
        self._stopping = stopping
        self._shelves: dict[str, _Shelf] = {}
        self._waiting: queue.Queue[Callable[[], object] | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._loop, name="saver", daemon=True)
        self._thread.start()

    def take(self, job: Job, picture: Picture, left: int) -> None:
        """Hand over a picture; `left` images of the job were missing, this one included.

        Returns when at most one other stands before it. It is committed and told later; the last one with `finish`.
        """
        save = self._save if left > 1 else self._write
        self._waiting.put(partial(save, job, picture, left))

    def gave_up(self, job_id: str) -> bool:
        """True if a picture of the job could not be saved: making more of them is in vain."""
        shelf = self._shelves.get(job_id)
        return shelf is not None and (shelf.unsure or shelf.problem is not None)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """The job is over here: commit the last picture and its success, or queue it again if one was not saved."""
        self._waiting.put(partial(self._finish, job, outcome))

    def drop(self, job: Job) -> None:
        """The job ended otherwise. When this returns, its pictures that came before are committed; nothing follows."""
        self._do_now(partial(self._discard, job))

    def close(self) -> None:
        """Save what is there, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _do_now(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def and_say_so() -> None:
            try:
                action()
            finally:
                done.set()

        self._waiting.put(and_say_so)
        done.wait()

    def _loop(self) -> None:
        while (action := self._waiting.get()) is not None:
            try:
                action()
            except Exception:
                logger.exception("The saver goes on after an error")
            del action  # it holds a picture

    def _save(self, job: Job, picture: Picture, left: int) -> None:
        image = self._write(job, picture, left)
        if image is None:
            return
        shelf = self._shelves[job.id]
        try:
            kept = insist(lambda: self._table.add_image(job, image), self._hold, self._stopping, on_full=False)
        except StorageUnavailable as error:
            self._give_up(shelf, error, image.bytes * left)
        except Exception as error:
            logger.exception("A picture of job %s could not be saved", job.id)
            self._give_up(shelf, error, 0)
        else:
            shelf.last = None
            shelf.unsure = kept is None
            if kept is False:
                self._remove(image)

    def _write(self, job: Job, picture: Picture, left: int) -> SavedImage | None:
        """The picture as a file without a row; None if it cannot be written, or one before could not."""
        shelf = self._shelves.setdefault(job.id, _Shelf())
        if shelf.problem is None and not shelf.unsure:
            try:
                shelf.last = self._store.write(job, picture)
                return shelf.last
            except StorageUnavailable as error:
                self._give_up(shelf, error, len(picture.rgb) * left)
            except Exception as error:
                logger.exception("A picture of job %s could not be saved", job.id)
                self._give_up(shelf, error, 0)
        return None

    def _give_up(self, shelf: _Shelf, error: Exception, needed_bytes: int) -> None:
        """Remember the error until the job is finished, and make room at once."""
        shelf.problem = error.with_traceback(None)  # its frames hold the picture
        shelf.needed_bytes = needed_bytes
        self._remove(shelf.last)
        shelf.last = None

    def _finish(self, job: Job, outcome: Outcome) -> None:
        shelf = self._shelves.setdefault(job.id, _Shelf())
        try:
            if not shelf.unsure:  # else the next start recovers the job
                self._commit(job, outcome, shelf)
        except Exception:
            logger.exception("Saving job %s failed; it is recovered at the next start", job.id)
        finally:
            self._shelves.pop(job.id, None)
            self._held.drop(job)

    def _commit(self, job: Job, outcome: Outcome, shelf: _Shelf) -> None:
        steps = job.request.num_inference_steps or 0
        self._live.step(EngineEvent(job.id, "step", steps, steps, "saving"))
        last = [shelf.last] if shelf.last is not None else []
        try:
            if shelf.problem is not None:
                raise shelf.problem
            # A full disk is not waited out here: throwing away this run's file may be what makes room again.
            text = outcome.text
            kept = insist(
                lambda: self._table.finish(job, last, outcome.seconds, text), self._hold, self._stopping, on_full=False
            )
        except StorageUnavailable as error:
            logger.warning("The pictures of job %s cannot be saved now, so it is run again later: %s", job.id, error)
            self._remove(shelf.last)
            # Held before it is queued again, so that no engine runs it at once for nothing.
            self._hold.set(error, needed_bytes=shelf.needed_bytes or sum(image.bytes for image in last))
            reason = error.code
            insist(lambda: self._table.requeue(job, crashed=False, reason=reason), self._hold, self._stopping)
            return
        except Exception as error:
            logger.exception("The pictures of job %s could not be saved", job.id)
            self._remove(shelf.last)
            failure = JobError(code=ServerError.code, message=f"The pictures could not be saved: {error}")
            insist(lambda: self._table.fail(job, failure), self._hold, self._stopping)
            return
        if kept is False:
            self._remove(shelf.last)
        self._hold.clear()

    def _discard(self, job: Job) -> None:
        shelf = self._shelves.pop(job.id, None)
        if shelf is not None:
            self._remove(shelf.last)

    def _remove(self, image: SavedImage | None) -> None:
        if image is None:
            return
        try:
            self._store.discard(image)
        except AtelierError as error:
            logger.warning("The file of image %s stays behind until the next cleaning: %s", image.id, error.message)
