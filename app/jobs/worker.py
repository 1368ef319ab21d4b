"""One engine's thread: claim, run, hand over to the saver; and between jobs what was asked about models."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.core.errors import (
    AtelierError,
    CatalogUnreadable,
    DatabaseBusy,
    EngineCrashed,
    EngineUnavailable,
    GenerationFailed,
    ShuttingDown,
    StorageUnavailable,
)
from app.core.schema import Job, JobError
from app.engine.base import Engine, EngineEvent, Outcome
from app.jobs.live import LiveEvents
from app.jobs.models import ModelDesk
from app.jobs.policy import BatchPolicy
from app.jobs.saver import PictureStore, Saver
from app.jobs.signals import Bell, Held, Hold, Stopping, insist, job_error
from app.jobs.table import JobTable

logger = logging.getLogger(__name__)
IDLE_S = 1.0  # how long a thread sleeps without a ring; another service on the same table does not ring our bell


@dataclass(frozen=True)
class Shared:
    """What all engines of one dispatcher have in common. `paused` is set while no job may start."""

    table: JobTable
    store: PictureStore
    live: LiveEvents
    policy: BatchPolicy
    bell: Bell
    held: Held
    stopping: Stopping
    paused: threading.Event
    lease_s: float
    unload_after_s: float  # 0 = never


class EngineWorker:
    """Drives one engine from one thread until it is told to stop; no error of a job ends it."""

    def __init__(self, engine: Engine, shared: Shared) -> None:
        self.engine = engine
        self.hold = Hold()
        self.models = ModelDesk(engine, shared.live)
        self.running: tuple[Job, ...] = ()
        self._shared = shared
        self._idle_since: float | None = None  # of a model that may be loaded
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for its end; True if it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        shared = self._shared
        saver = Saver(shared.table, shared.store, shared.live, shared.held, self.hold, shared.stopping)
        try:
            while not shared.stopping.asked.is_set():
                rings = shared.bell.rings()
                if self._turn(saver):
                    self._idle_since = time.monotonic()
                    continue
                self._rest_if_idle()
                shared.bell.wait(rings, min(IDLE_S, self.hold.left_s() or IDLE_S))
        finally:
            saver.close()
            self.engine.close()

    def _rest_if_idle(self) -> None:
        """Give the models' memory back when nobody asked for anything for long."""
        after_s = self._shared.unload_after_s
        if not after_s or self._idle_since is None or time.monotonic() - self._idle_since < after_s:
            return
        self._idle_since = None
        logger.info("No work for %g s: the models' memory is given back", after_s)
        try:
            self.models.rest()
        except Exception:
            logger.exception("The models' memory could not be given back")

    def _turn(self, saver: Saver) -> bool:
        """Do one thing; False if there is nothing to do now."""
        try:
            if self.models.serve_one():
                return True
            if self._shared.paused.is_set() or self.hold.left_s() > 0 or self._cannot_save():
                return False
            jobs = self._claim()
            if jobs:
                self._run(jobs, saver)
            return bool(jobs)
        except (DatabaseBusy, StorageUnavailable) as error:
            logger.warning("No job can be claimed: %s", error.message)
            self.hold.set(error)
        except Exception as error:
            logger.exception("The engine's thread goes on after an error")
            self.hold.set(AtelierError(str(error) or type(error).__name__))
        return False

    def _claim(self) -> list[Job]:
        shared, status = self._shared, self.engine.status()
        jobs = shared.table.claim(
            loaded=status.loaded_models, limit=max(1, shared.policy.limit(status)), lease_s=shared.lease_s
        )
        if not jobs and not shared.held.jobs():
            self.hold.clear()
        shared.held.add(jobs)
        return jobs

    def _cannot_save(self) -> bool:
        """True if pictures could not be saved, and still cannot: running a job would be in vain."""
        if self.hold.storage_error is None:
            return False
        needed = self.hold.needed_bytes
        try:
            self._shared.store.check_storage(needed)
        except StorageUnavailable as error:
            self.hold.set(error, needed_bytes=needed)
            return True
        self.hold.lift()
        return False

    def _run(self, jobs: Sequence[Job], saver: Saver) -> None:
        shared = self._shared
        self.running = tuple(jobs)
        for job in jobs:
            steps = job.request.num_inference_steps or 0
            shared.live.step(EngineEvent(job.id, "loading", 0, steps, "loading"))
        by_id, finished = {job.id: job for job in jobs}, set[str]()
        try:
            made = self.engine.run(
                jobs,
                shared.live.step,
                self._let_go,
                lambda job_id, picture: saver.take(by_id[job_id], picture),
            )
        except EngineCrashed as error:
            # Ended by our own stopping: that is no crash of the job's making.
            crashed = not shared.stopping.letting_go.is_set()
            logger.warning("The engine ended under %d job(s): %s", len(jobs), error.message)
            self._put_back(jobs, crashed=crashed, reason=error.code)
        except ShuttingDown as error:
            self._put_back(jobs, crashed=False, reason=error.code)
        except (EngineUnavailable, CatalogUnreadable) as error:
            logger.warning("The job waits: %s", error.message)
            self.hold.set(error)
            self._put_back(jobs, crashed=False, reason=error.code)
        except AtelierError as error:
            self._fail(jobs, job_error(error))
        except Exception as error:
            logger.exception("The engine failed")
            self._fail(jobs, JobError(code=GenerationFailed.code, message=str(error) or type(error).__name__))
        else:
            outcomes = {outcome.job_id: outcome for outcome in made}
            for job in jobs:
                if self._take(job, outcomes.get(job.id), saver):
                    finished.add(job.id)
        finally:
            for job in jobs:
                if job.id not in finished:
                    saver.drop(job)
            self.running = ()

    def _take(self, job: Job, outcome: Outcome | None, saver: Saver) -> bool:
        """True if the saver finishes the job; else it is settled."""
        if outcome is None:
            self._fail([job], JobError(code=GenerationFailed.code, message="The engine gave no answer for this job."))
        elif outcome.cancelled and self._shared.stopping.letting_go.is_set():
            self._put_back([job], crashed=False, reason="stopping")
        elif outcome.cancelled:
            self._settle(job, partial(self._shared.table.finish_cancelled, job))
        elif outcome.error is not None:
            self._fail([job], outcome.error)
        elif outcome.count != job.request.num_images:
            counts = f"{outcome.count} of {job.request.num_images}"
            self._fail([job], JobError(code=GenerationFailed.code, message=f"The engine made {counts} images."))
        else:
            saver.finish(job, outcome)
            return True
        return False

    def _let_go(self, job_id: str) -> bool:
        return self._shared.stopping.letting_go.is_set() or self._shared.held.is_cancelled(job_id)

    def _put_back(self, jobs: Sequence[Job], *, crashed: bool, reason: str) -> None:
        table = self._shared.table
        for job in jobs:
            self._settle(job, partial(table.requeue, job, crashed=crashed, reason=reason))

    def _fail(self, jobs: Sequence[Job], error: JobError) -> None:
        for job in jobs:
            self._settle(job, partial(self._shared.table.fail, job, error))

    def _settle(self, job: Job, action: Callable[[], object]) -> None:
        insist(action, self.hold, self._shared.stopping)
        self._shared.held.drop(job)
