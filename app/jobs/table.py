"""The job table: the only truth about what was asked for. Every state change is one transaction.

Here is how jobs come in and how engines work on them; `looking.py` and `steering.py` have what people see and do.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.catalog import ModelEntry
from app.core.errors import IdempotencyConflict
from app.core.prompt_syntax import Prompt
from app.core.schema import GenerationRequest, Job, JobError, JobState, SavedImage
from app.database import clock, jobs, reading, writing
from app.jobs import several, transitions, turns
from app.jobs.capacity import Capacity, alone
from app.jobs.forecast import Forecast
from app.jobs.history import OnEvent, StoredEvent, nobody_listens
from app.jobs.job_rows import Claimed, Stored
from app.jobs.line import waiting
from app.jobs.steering import JobsSteered


class JobTable(JobsSteered):
    """Jobs on one database. Safe to call from any thread and, on PostgreSQL, from several services.

    `boot_id` names this start of the service: running rows of another boot are orphans. `on_event` is called after
    the commit with each event that was written. `devices` is how many jobs run at a time and `forecast` watches their
    steps, for the ETA. Every method may raise DatabaseBusy, and the writing ones DiskFull; nothing is half-written
    then. `now` is the clock of all that is written: the database's own, so that the clocks of several services need
    not agree.
    """

    def __init__(
        self,
        database: Engine,
        *,
        boot_id: str,
        max_queue: int = 10_000,
        max_queue_of_caller: int | None = None,
        max_crashes: int = 3,
        devices: int = 1,
        now: Callable[[Connection], float] = clock,
        on_event: OnEvent = nobody_listens,
        forecast: Forecast | None = None,
    ) -> None:
        super().__init__(
            database, max_crashes=max_crashes, devices=devices, now=now, on_event=on_event,
            forecast=forecast or Forecast(),
        )  # fmt: skip
        self.boot_id = boot_id
        self.shared = database.dialect.name != "sqlite"  # other services may work on the same table
        self._own_devices = devices
        self._max_queue = max_queue
        self._max_queue_of_caller = max_queue_of_caller

    # Submitting

    def submit(
        self,
        request: GenerationRequest,
        *,
        origin: str,
        entry: ModelEntry | None = None,
        prompt: Prompt | None = None,
        caller: str = "",
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
        priority: int = 0,
        admit: Callable[[], None] = lambda: None,
    ) -> tuple[Job, bool]:
        """Accept a resolved request: when this returns, the job survives a power cut. (job, True if it is new).

        With an `idempotency_key` that was used before, the earlier job comes back. `fingerprint` (at most 64
        characters) stands for the request as it was sent; without it the resolved request does. `entry` is its model,
        kept with the job, so that no later change of the catalog changes the picture; `prompt` its prompt, where that
        was read already. `admit` is called before a new job is accepted and refuses it by raising. Raises
        IdempotencyConflict for the same key with another fingerprint, QueueFull at `max_queue` queued jobs,
        InvalidRequest for pictures to start from that are not here.

        `caller` (at most 64 characters) is whose job it is: callers take turns in the line, and one with a name may
        have at most `max_queue_of_caller` queued jobs.
        """
        sent = fingerprint or hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        try:
            with writing(self._database) as connection:
                earlier = transitions.row_with_key(connection, idempotency_key)
                if earlier is None:
                    admit()
                    others = waiting(connection)
                    limits = self._max_queue, self._max_queue_of_caller
                    turn = turns.turn_for(connection, caller, sum(others.values()), *limits)
                    row, written = transitions.accept(
                        connection, request, entry=entry, prompt=prompt, origin=origin, caller=caller, turn=turn,
                        idempotency_key=idempotency_key, fingerprint=sent, priority=priority, now=self._now(connection),
                    )  # fmt: skip
                    [job] = self._jobs(connection, [row], request, others)
        except IntegrityError:  # another service accepted the same key between our look and our insert
            with reading(self._database) as connection:
                earlier = transitions.row_with_key(connection, idempotency_key)
            if earlier is None:
                raise
        if earlier is None:
            self._announce(row.id, written)
            return job, True
        if earlier.fingerprint != sent:
            raise IdempotencyConflict
        return self.get(earlier.id), False

    # Working

    def claim(self, *, loaded: Collection[str] = (), capacity: Capacity = alone, lease_s: float = 30) -> list[Claimed]:
        """Take queued jobs that share a batch key, now running under this boot; [] if there is none or all is paused.

        Priority decides first, then whose turn it is, then what is in memory (`loaded`, the models of the free
        engine) and who came first. Jobs are taken until their images fill one pass, as `capacity` says. A job that an
        engine crashed under before runs alone, so that it cannot take others with it. Jobs that this version cannot
        read are failed on the way.
        """
        unreadable: dict[str, list[StoredEvent]] = {}
        with writing(self._database) as connection:
            found: list[Claimed] = []
            paused = several.is_paused(connection)
            while not (found or paused):
                now = self._now(connection)
                picked = turns.pick(connection, loaded, capacity, now)
                lease_until = now + lease_s
                rows = transitions.take(connection, picked.seqs, owner=self.boot_id, lease_until=lease_until, now=now)
                for row in rows:
                    stored = picked.first if picked.first and row.seq == picked.seqs[0] else Stored.of(row)
                    if isinstance(stored.request, JobError):
                        error = stored.request
                        unreadable[row.id] = transitions.end(connection, row, JobState.FAILED, now, error=error)
                    else:
                        found.append(transitions.claimed(connection, row, stored.request, stored.entry))
                if not rows:
                    break
        for job_id, written in unreadable.items():
            self._announce(job_id, written)
        return found

    def add_image(self, job: Job, image: SavedImage) -> bool:
        """Commit one saved image of a running job and tell of it. False: discard the file, nobody wants it any more.

        Fenced as `finish` is. Saying it twice is harmless.
        """
        with writing(self._database) as connection:
            row = transitions.row_held(connection, job)
            if transitions.has_image(connection, image):
                return True
            if row is None or row.cancel_requested:
                return False
            written = transitions.save(connection, job, [image], self._now(connection))
        self._announce(job.id, written)
        return True

    def finish(self, job: Job, images: Sequence[SavedImage], seconds: float, text: str | None = None) -> bool:
        """Commit the last saved images of a job, or its text, and its success. False: discard the files, the job is
        somebody else's.

        Fenced by the attempt, so a slow engine cannot add a second set of images, and by cancelling: a job whose
        cancel was acknowledged becomes cancelled here. Saying it twice is harmless. `seconds`: of this attempt.
        Raises ValueError, and changes nothing, if some image of the job was never saved.
        """
        with writing(self._database) as connection:
            row, now = transitions.row_held(connection, job), self._now(connection)
            if row is None:
                return transitions.already_saved(connection, job, images)
            if row.cancel_requested:
                written = transitions.end(connection, row, JobState.CANCELLED, now)
            else:
                written = transitions.succeed(connection, row, job, images, seconds, now, text)
        self._forecast.finished(job, megapixel_steps=row.megapixel_steps)
        self._announce(job.id, written)
        return not row.cancel_requested

    def fail(self, job: Job, error: JobError) -> bool:
        """The job cannot be done, and says why. False if it is somebody else's now."""
        return self._finish_held(job, JobState.FAILED, error)

    def finish_cancelled(self, job: Job) -> bool:
        """The engine let go of a cancelled job. False if it is somebody else's now."""
        return self._finish_held(job, JobState.CANCELLED)

    def requeue(self, job: Job, *, crashed: bool, reason: str | None = None) -> JobState:
        """Put a running job back to its old place in line, and say what state it is in now.

        `crashed`: the engine died under it, which counts; at `max_crashes` it is failed as `worker_crashed`. A job
        that was to be cancelled is cancelled instead. A job that is somebody else's now is left as it is.
        `reason` is shown in its `queued` event.
        """
        with writing(self._database) as connection:
            row = transitions.row_held(connection, job)
            if row is None:
                return JobState(transitions.row_of(connection, job.id).state)
            state, written = self._put_back(connection, row, crashed, reason or ("crashed" if crashed else "requeued"))
        self._announce(job.id, written)
        return state

    def heartbeat(self, ids: Collection[str], lease_s: float = 30) -> None:
        """This boot still works on these jobs: their leases last `lease_s` from now, by the database's clock."""
        with writing(self._database) as connection:
            ours = (jobs.c.id.in_(list(ids)), jobs.c.owner == self.boot_id, jobs.c.state == JobState.RUNNING)
            connection.execute(update(jobs).where(*ours).values(lease_until=self._now(connection) + lease_s))

    def stay(self, lease_s: float) -> None:
        """This service is there for `lease_s` more: ETAs count its devices, here and in the others on this table."""
        with writing(self._database) as connection:
            now = self._now(connection)
            self.devices = several.stay(connection, self.boot_id, self._own_devices, now, lease_s)

    def leave(self) -> None:
        """This service ends."""
        with writing(self._database) as connection:
            several.leave(connection, self.boot_id)

    def recover(self) -> int:
        """Put orphaned running jobs back into the line, and say how many there were. Costs no crash.

        On SQLite one service has the table to itself, so every running row of another boot is an orphan. On
        PostgreSQL those are whose lease has expired; call it every few seconds there.
        """
        with writing(self._database) as connection:
            expired = jobs.c.lease_until < self._now(connection)
            orphaned = expired if self.shared else or_(jobs.c.owner.is_(None), jobs.c.owner != self.boot_id)
            wanted = select(jobs).where(jobs.c.state == JobState.RUNNING, orphaned).order_by(jobs.c.seq)
            rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
            written = {row.id: self._put_back(connection, row, False, "recovered")[1] for row in rows}
        for job_id, new in written.items():
            self._announce(job_id, new)
        return len(rows)

    def cancel_requested(self, ids: Collection[str]) -> set[str]:
        """Those of the running jobs `ids` that an engine should let go of: cancelled, or not this boot's any more."""
        with reading(self._database) as connection:
            ours = (jobs.c.id.in_(list(ids)), jobs.c.state == JobState.RUNNING, jobs.c.owner == self.boot_id)
            kept = connection.scalars(select(jobs.c.id).where(*ours, jobs.c.cancel_requested.is_(False)))
            return set(ids) - set(kept)

    # Shared steps

    def _finish_held(self, job: Job, state: JobState, error: JobError | None = None) -> bool:
        with writing(self._database) as connection:
            row = transitions.row_held(connection, job)
            if row is None:
                return False
            written = transitions.end(connection, row, state, self._now(connection), error=error)
        self._announce(job.id, written)
        return True

    def _put_back(
        self, connection: Connection, row: Row[Any], crashed: bool, reason: str
    ) -> tuple[JobState, list[StoredEvent]]:
        return transitions.put_back(
            connection, row, crashed=crashed, max_crashes=self._max_crashes, reason=reason, now=self._now(connection)
        )
