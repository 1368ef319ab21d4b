"""One engine's thread: claim, run, hand over to the saver; and between jobs what was asked about models."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from app.catalog import Catalog, ModelEntry
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
from app.core.schema import GenerationRequest, Job, JobError
from app.core.task import Task
from app.engine.base import Engine, Inputs
from app.jobs.job_rows import Claimed
from app.jobs.job_run import JobRun
from app.jobs.live import LiveEvents
from app.jobs.looks import LookDesk
from app.jobs.models import ModelDesk
from app.jobs.passes import Passes
from app.jobs.saver import PictureStore, Saver
from app.jobs.signals import Bell, EmptyLine, Held, Hold, Stopping
from app.jobs.sketches import SketchDesk, UntilAJob
from app.jobs.table import JobTable
from app.jobs.tally import Tally

logger = logging.getLogger(__name__)
IDLE_S = 1.0  # how long a thread sleeps without a ring; another service on the same table does not ring our bell


@dataclass(frozen=True)
class Shared:
    """What all engines of one dispatcher have in common. `paused` is set while no job may start."""

    table: JobTable
    store: PictureStore
    live: LiveEvents
    catalog: Catalog
    inputs: Inputs
    workers: list["EngineWorker"]
    bell: Bell
    held: Held
    empty: EmptyLine
    stopping: Stopping
    paused: threading.Event
    lease_s: float
    unload_after_s: float  # 0 = never
    tally: Tally
    passes: Passes
    looks: LookDesk | None = None
    sketches: SketchDesk | None = None


class EngineWorker:
    """Drives one engine from one thread until it is told to stop; no error of a job ends it."""

    def __init__(self, engine: Engine, shared: Shared) -> None:
        self.engine = engine
        self.hold = Hold()
        self.models = ModelDesk(engine, shared.live)
        self.running: tuple[Job, ...] = ()
        self.present = True
        """False while there is no device behind its engine."""
        self._shared = shared
        self._worked_at = time.monotonic()
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
            if not self._has_device():
                return False
            looks = self._shared.looks
            if self.models.serve_one() or (looks is not None and looks.answer_one(self.engine)):
                return True
            if self._shared.paused.is_set() or self.hold.left_s() > 0 or self._cannot_save():
                return False
            jobs = self._claim()
            if jobs:
                self._run(jobs, saver)
                self._worked_at = time.monotonic()
                return True
            if self._sketch():
                self._worked_at = time.monotonic()
                return True
            return looks is not None and looks.fill_one(self.engine, time.monotonic() - self._worked_at)
        except (DatabaseBusy, StorageUnavailable, EngineUnavailable) as error:
            logger.warning("No job can be claimed: %s", error.message)
            self.hold.set(error)
        except Exception as error:
            logger.exception("The engine's thread goes on after an error")
            self.hold.set(AtelierError(str(error) or type(error).__name__))
        return False

    def _has_device(self) -> bool:
        """Whether its engine can work; if not, one is asked for when it is wanted. Raises EngineUnavailable."""
        if not self.present and self.hold.left_s() > 0:
            return False
        try:
            here = self.engine.ready(self._is_wanted)
        except EngineUnavailable:
            self.present = False
            raise
        if here and not self.present:
            self._idle_since = time.monotonic()
        self.present = here
        return here

    def _is_wanted(self) -> bool:
        """True if something waits for this engine, and no other one that is free will take it."""
        shared = self._shared
        if self.models.length():
            return True
        if shared.paused.is_set() or any(worker.is_free for worker in shared.workers if worker is not self):
            return False
        return shared.table.waiting()

    @property
    def is_free(self) -> bool:
        """True if it would take a job at once."""
        return self.present and not self.running and self.hold.left_s() == 0

    def _claim(self) -> list[Claimed]:
        shared = self._shared
        with shared.empty.looking:
            rings = shared.bell.rings()
            jobs = [] if shared.empty.known(rings) else self._look(rings)
        if not jobs and not shared.held.jobs():
            self.hold.clear()
        shared.held.add(jobs)
        return jobs

    def _look(self, rings: int) -> list[Claimed]:
        shared, loaded = self._shared, self.engine.status().loaded_models
        jobs = shared.table.claim(loaded=loaded, capacity=self._capacity, lease_s=shared.lease_s)
        if not jobs and not shared.table.waiting():  # else something waits that this engine cannot do
            shared.empty.note(rings)
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

    def _run(self, jobs: Sequence[Claimed], saver: Saver) -> None:
        shared = self._shared
        self.running = tuple(jobs)
        if len(shared.workers) > 1:
            shared.bell.ring()  # what others left to this engine, it does not take now
        device = self.engine.status().device
        shared.tally.taken(jobs, device)
        run = JobRun(
            jobs,
            table=shared.table,
            live=shared.live,
            saver=saver,
            held=shared.held,
            hold=self.hold,
            stopping=shared.stopping,
            made=partial(shared.tally.made, device=device),
            measured=partial(shared.passes.measured, device),
        )
        try:
            work = run.work(shared.catalog, self.engine)
            if work:
                self.engine.run(work, shared.inputs, run)
            run.fail_open(JobError(code=GenerationFailed.code, message="The engine gave no answer for this job."))
        except EngineCrashed as error:
            # Ended by our own stopping: that is no crash of the job's making.
            crashed = not shared.stopping.letting_go.is_set()
            if crashed:
                shared.tally.crashed(device)
            logger.warning("The engine ended under %d job(s): %s", len(jobs), error.message)
            run.put_back(crashed=crashed, reason=error.code)
        except ShuttingDown as error:
            run.put_back(crashed=False, reason=error.code)
        except (EngineUnavailable, CatalogUnreadable, DatabaseBusy, StorageUnavailable) as error:
            logger.warning("The job waits: %s", error.message)
            self.hold.set(error)
            run.put_back(crashed=False, reason=error.code)
        except AtelierError as error:
            run.fail_open(JobError.of(error))
        except Exception as error:
            logger.exception("The engine failed")
            run.fail_open(JobError(code=GenerationFailed.code, message=str(error) or type(error).__name__))
        finally:
            shared.empty.forget()
            self.running = ()

    def _sketch(self) -> bool:
        """Draw one of the pictures that somebody waits for while typing; False if there is none. A job ends it."""
        shared = self._shared
        if shared.sketches is None:
            return False
        stop = UntilAJob(shared.bell, shared.stopping, shared.table)
        return shared.sketches.draw_one(self.engine, shared.inputs, self._may_sketch, stop)

    def _may_sketch(self, entry: ModelEntry) -> bool:
        """True if it can draw with this model, and no other one that is free has it loaded while this one has not."""
        return self.engine.can_run(entry, Task.TEXT) and (self._has(entry) or not self._is_elsewhere(entry))

    def _has(self, entry: ModelEntry) -> bool:
        return entry.key in self.engine.status().loaded_models

    def _is_elsewhere(self, entry: ModelEntry) -> bool:
        others = [worker for worker in self._shared.workers if worker is not self and worker.is_free]
        return any(entry.key in other.engine.status().loaded_models for other in others)

    def _capacity(self, request: GenerationRequest, entry: ModelEntry | None) -> int:
        """See `Capacity`. What this engine cannot do is left to one here that can, if there is one; and what it would
        have to load a model for, to one that is free and has it."""
        if entry is None:
            return 1
        others = [worker for worker in self._shared.workers if worker is not self]
        if not self.engine.can_run(entry, request.task):
            return 0 if any(other.engine.can_run(entry, request.task) for other in others) else 1
        if others and not self._has(entry) and self._is_elsewhere(entry):
            return 0
        most = self.engine.capacity(entry, request)
        return most if most <= 1 else self._shared.passes.best(self.engine.status().device, request, most)
