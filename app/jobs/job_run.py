"""One run of an engine as the queue sees it: what to make, what is saved of it, and how each job is settled."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from app.catalog import Catalog
from app.core.errors import GenerationFailed, ModelRefused, UnknownModel
from app.core.picture import Picture
from app.core.schema import GenerationRequest, Job, JobError
from app.engine.base import Engine, EngineEvent, Outcome, Work
from app.jobs.job_rows import Claimed
from app.jobs.live import LiveEvents
from app.jobs.saver import Saver
from app.jobs.signals import Held, Hold, Stopping, insist
from app.jobs.table import JobTable

logger = logging.getLogger(__name__)


class Made(Protocol):
    """Who hears of jobs whose pictures are all made."""

    def __call__(self, job: Job, *, seconds: float) -> None:
        """In so many seconds of the engine's time."""
        ...


class JobRun:
    """The watch of one run (see `app.engine.base.Watch`): settles each claimed job once, as soon as it ended.

    All calls come from the engine's thread.
    """

    def __init__(
        self,
        jobs: Sequence[Claimed],
        *,
        table: JobTable,
        live: LiveEvents,
        saver: Saver,
        held: Held,
        hold: Hold,
        stopping: Stopping,
        made: Made,
        measured: Callable[[GenerationRequest, Picture], None],
    ) -> None:
        self._open = {job.id: job for job in jobs}
        self._missing: dict[str, int] = {}
        self._table = table
        self._live = live
        self._saver = saver
        self._held = held
        self._hold = hold
        self._stopping = stopping
        self._made = made
        self._measured = measured

    def work(self, catalog: Catalog, engine: Engine) -> list[Work]:
        """What is to be made. A job that this engine cannot do is failed here. Raises CatalogUnreadable."""
        found = []
        for job in list(self._open.values()):
            self._live.step(EngineEvent(job.id, "loading", 0, job.request.num_inference_steps or 0, "loading"))
            try:
                entry = job.entry or catalog.get(job.request.model or catalog.default_key)
            except UnknownModel as error:  # it was there when the job was accepted
                self.fail(job.id, JobError.of(error))
                continue
            if not engine.can_run(entry, job.request.task):
                text = f"Nothing here can do the task {job.request.task} with the model {entry.key!r}."
                self.fail(job.id, JobError.of(ModelRefused(text)))
                continue
            self._missing[job.id] = len(job.missing)
            found.append(Work(job_id=job.id, attempt=job.attempt, request=job.request, entry=entry, images=job.missing))
        return found

    # What the engine tells

    def step(self, event: EngineEvent) -> None:
        """See `Watch`."""
        self._live.step(event)

    def picture(self, job_id: str, picture: Picture) -> None:
        """See `Watch`: the saver has it, and whatever becomes of the engine now, it is saved."""
        self._saver.take(self._open[job_id], picture, self._missing[job_id])
        self._missing[job_id] -= 1
        self._measured(self._open[job_id].request, picture)

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """See `Watch`."""
        job = self._open[job_id]
        asked = job.request.num_pictures
        made = asked - self._missing[job_id]
        if outcome.error is not None:
            self.fail(job_id, outcome.error)
        elif self._saver.gave_up(job_id) or not (outcome.cancelled or self._missing[job_id]):
            del self._open[job_id]
            self._made(job, seconds=outcome.seconds)
            self._saver.finish(job, outcome)
        elif not outcome.cancelled:
            text = f"The engine made {made} of {asked} images."
            self.fail(job_id, JobError(code=GenerationFailed.code, message=text))
        elif self._stopping.letting_go.is_set():
            self._settle(job, partial(self._table.requeue, job, crashed=False, reason="stopping"))
        else:
            self._settle(job, partial(self._table.finish_cancelled, job))

    def cancelled(self, job_id: str) -> bool:
        """See `Watch`: also when the service stops, or when the pictures cannot be saved."""
        return self._stopping.letting_go.is_set() or self._held.is_cancelled(job_id) or self._saver.gave_up(job_id)

    # What became of the run

    def put_back(self, *, crashed: bool, reason: str) -> None:
        """All jobs that have not ended stand in the line again, without the pictures that are saved."""
        for job in list(self._open.values()):
            self._settle(job, partial(self._table.requeue, job, crashed=crashed, reason=reason))

    def fail(self, job_id: str, error: JobError) -> None:
        """The job cannot be done, and says why. Pictures of it that are saved stay."""
        job = self._open[job_id]
        self._settle(job, partial(self._table.fail, job, error))

    def fail_open(self, error: JobError) -> None:
        """No job that has not ended can be done."""
        for job_id in list(self._open):
            self.fail(job_id, error)

    def _settle(self, job: Job, action: Callable[[], object]) -> None:
        del self._open[job.id]
        self._saver.drop(job)
        insist(action, self._hold, self._stopping)
        self._held.drop(job)
