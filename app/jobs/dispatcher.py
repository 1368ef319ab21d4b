"""Brings queued jobs to engines: one thread for each engine, and one that watches over leases and cancelling."""

import logging
import threading
import time
from collections.abc import Sequence

from app.catalog import Catalog
from app.core.errors import AtelierError, ModelBusy
from app.core.schema import JobError
from app.core.settings import EngineKind, Settings
from app.engine.base import Engine, EngineStatus, Inputs
from app.jobs.live import LiveEvents
from app.jobs.looks import LookDesk
from app.jobs.models import ModelState
from app.jobs.passes import Passes
from app.jobs.saver import PictureStore
from app.jobs.signals import Bell, EmptyLine, Held, Stopping
from app.jobs.sketches import SketchDesk
from app.jobs.table import JobTable
from app.jobs.tally import Tally
from app.jobs.worker import IDLE_S, EngineWorker, Shared

logger = logging.getLogger(__name__)
BEATS_PER_LEASE = 3  # two may get lost
CANCEL_CHECK_S = 0.25  # for a cancel that came without a ring
LOOK_S = 1.0  # on a table of several services: they ring, unless what they say gets lost
END_S = 5.0
MARGIN_S = 1.0
PASSES_FILE = "passes.json"  # in the data folder; may be deleted


class Dispatcher:
    """The engines of this service at work. All methods are safe from any thread.

    The table is the only truth: everything in here can be killed at any moment, and `start` of the next one goes on.
    """

    def __init__(
        self,
        table: JobTable,
        library: PictureStore,
        engines: Sequence[Engine],
        live: LiveEvents,
        catalog: Catalog,
        settings: Settings,
        inputs: Inputs,
        looks: LookDesk | None = None,
        sketches: SketchDesk | None = None,
    ) -> None:
        self._table = table
        self._live = live
        self._catalog = catalog
        self._settings = settings
        self._bell = Bell()
        self._held = Held()
        self._stopping = Stopping()
        self._paused = threading.Event()  # as the table had it a moment ago; claiming asks it again
        self._told = threading.Event()
        self.tally = Tally()
        if settings.start_paused:
            self._paused.set()
        self._workers: list[EngineWorker] = []
        shared = Shared(
            table=table,
            store=library,
            live=live,
            catalog=catalog,
            inputs=inputs,
            bell=self._bell,
            held=self._held,
            empty=EmptyLine(IDLE_S),
            stopping=self._stopping,
            paused=self._paused,
            workers=self._workers,
            lease_s=settings.lease_s,
            unload_after_s=settings.unload_after_s,
            tally=self.tally,
            passes=Passes(settings.data_folder / PASSES_FILE),
            looks=looks,
            sketches=sketches,
        )
        self._workers += [EngineWorker(engine, shared) for engine in engines]
        self._watch = threading.Thread(target=self._watch_loop, name="watch", daemon=True)
        self._ended = threading.Event()

    # Starting and stopping

    def start(self) -> None:
        """Recover the jobs of a service that died, then begin to work. Preloads the default model if so set."""
        if self._settings.start_paused:
            self._table.set_paused(True)
        self._see_pause()
        if self._table.shared:
            self._table.stay(self._settings.lease_s)
        recovered = self._table.recover()
        if recovered:
            logger.info("%d job(s) were running when the service ended; they are run again", recovered)
        held = self._settings.ray_min if self._settings.engine is EngineKind.RAY else len(self._workers)
        for number, worker in enumerate(self._workers):
            if self._settings.preload and number < held:
                worker.models.ask("load", self._catalog.default_key)
            worker.start()
        self._watch.start()

    def stop(self, drain_s: float) -> None:
        """Claim no more and end all engines. Idempotent.

        Running jobs may finish for `drain_s` seconds; then they are let go within `cancel_timeout_s` and stand in
        the queue again, not failed. An engine that does not let go is ended.
        """
        self._stopping.asked.set()
        self._bell.ring()
        if not self._join(drain_s):
            self._stopping.letting_go.set()
            busy = any(worker.running for worker in self._workers)
            # The engine itself ends a child that does not let go in time; a little longer lets it do so.
            if not self._join(self._settings.cancel_timeout_s + MARGIN_S if busy else MARGIN_S):
                self._stopping.giving_up.set()
                for worker in self._workers:
                    worker.engine.close()
                if not self._join(END_S):
                    logger.error("An engine does not end; its job is recovered at the next start")
        self._ended.set()
        self._bell.ring()
        if self._watch.ident is not None:
            self._watch.join(END_S)
            self._leave()

    def _leave(self) -> None:
        if not self._table.shared:
            return
        try:
            self._table.leave()
        except AtelierError as error:
            logger.info("Other services count on this one until its lease ends: %s", error.message)

    def wake(self) -> None:
        """There may be something to do, for any service on this table: a job was submitted or cancelled."""
        self._bell.ring()
        self._live.others.look()

    def told(self) -> None:
        """Another service says that there may be something to do, or that the queue was paused or goes on."""
        self._told.set()
        self._bell.ring()

    def pause(self) -> None:
        """Have no service on this table start a further job; running ones go on. Raises DatabaseBusy, DiskFull."""
        self._table.set_paused(True)
        self._paused.set()
        self._live.others.look()

    def resume(self) -> None:
        """Start jobs again. Raises DatabaseBusy, DiskFull."""
        self._table.set_paused(False)
        self._paused.clear()
        self.wake()

    @property
    def paused(self) -> bool:
        """True while no job is started."""
        return self._paused.is_set()

    # How it is

    def status(self) -> list[EngineStatus]:
        """Every device that there is, in the order of their engines; that of the first engine in any case."""
        first, *others = self._workers
        return [worker.engine.status() for worker in (first, *(other for other in others if other.present))]

    def problems(self) -> list[JobError]:
        """Why engines take no jobs right now (disk full, no engine, database busy …); [] if all is well."""
        found = [worker.hold.problem for worker in self._workers]
        return list(dict.fromkeys(problem for problem in found if problem is not None))

    def obstacle(self) -> JobError | None:
        """Why not one engine takes jobs right now; None if at least one does."""
        found = [worker.hold.problem for worker in self._workers if worker.present or worker.hold.problem]
        return found[0] if found and all(found) else None

    def check_storage(self) -> None:
        """Raise why pictures cannot be saved right now, if that is so: a new job would only wait for the disk."""
        for worker in self._workers:
            if (error := worker.hold.storage_error) is not None:
                raise type(error)(error.message, hint=error.hint)

    # Models

    def load_model(self, key: str) -> ModelState:
        """Have a model loaded on the engine with the least to do. Returns at once; news on topic `model:KEY`.

        Raises UnknownModel.
        """
        self._catalog.get(key)
        state = self.model_states().get(key)
        if state is not None and state.state in ("waiting", "loading", "loaded"):
            return state
        worker = min(self._workers, key=lambda each: (not each.present, each.models.length(), len(each.running)))
        worker.models.ask("load", key)
        self._bell.ring()
        return ModelState("waiting")

    def unload_model(self, key: str) -> ModelState:
        """Have a model's memory freed on every engine. Returns at once; news on topic `model:KEY`.

        Raises UnknownModel, and ModelBusy while a job runs with it.
        """
        self._catalog.get(key)
        if any(job.request.model == key for worker in self._workers for job in worker.running):
            raise ModelBusy(f"The model {key!r} is being used by a running job.")
        for worker in self._workers:
            if worker.present:
                worker.models.ask("unload", key)
        self._bell.ring()
        return ModelState("unloading")

    def model_states(self) -> dict[str, ModelState]:
        """What is known of each model; one that is absent is neither loaded nor being loaded."""
        states = {key: ModelState("loaded", "loaded") for status in self.status() for key in status.loaded_models}
        for worker in self._workers:
            states |= worker.models.states()
        return states

    # Inside

    def _join(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        return all(worker.join(max(0.0, deadline - time.monotonic())) for worker in self._workers)

    def _watch_loop(self) -> None:
        beat = look = time.monotonic()
        while not self._ended.is_set():
            rings = self._bell.rings()
            try:
                if self._table.shared and (self._told.is_set() or time.monotonic() >= look):
                    look = time.monotonic() + LOOK_S
                    self._told.clear()
                    self._see_pause()
                ids = [job.id for job in self._held.jobs()]
                if ids:
                    self._held.cancel(self._table.cancel_requested(ids))
                if time.monotonic() >= beat:
                    beat = time.monotonic() + self._settings.lease_s / BEATS_PER_LEASE
                    self._beat(ids)
            except AtelierError as error:
                logger.warning("Leases and cancelling have to wait: %s", error.message)
                self._ended.wait(IDLE_S)
            except Exception:
                logger.exception("The watch goes on after an error")
                self._ended.wait(IDLE_S)
            self._bell.wait(rings, LOOK_S if self._table.shared else CANCEL_CHECK_S)

    def _see_pause(self) -> None:
        paused = self._table.paused()
        if paused:
            self._paused.set()
        elif self._paused.is_set():
            self._paused.clear()
            self._bell.ring()

    def _beat(self, ids: Sequence[str]) -> None:
        if ids:
            self._table.heartbeat(ids, self._settings.lease_s)
        if self._table.shared:
            self._table.stay(self._settings.lease_s)
            if self._table.recover():
                self._bell.ring()
