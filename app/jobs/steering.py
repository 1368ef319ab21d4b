"""What people do to jobs that are in a table: cancel them, put them in another order, clear what has ended."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.exc import IntegrityError

from app.core.schema import Job, JobState, Move
from app.database import jobs, writing
from app.jobs import order, several, transitions, turns
from app.jobs.forecast import Forecast
from app.jobs.history import OnEvent, StoredEvent
from app.jobs.looking import JobsSeen

CANCELLED_AT_ONCE, CLEARED_AT_ONCE = 200, 2000  # jobs in one transaction: others want to write, too
LAST_FIRST = (jobs.c.state, jobs.c.priority, jobs.c.turn.desc(), jobs.c.seq.desc())  # "queued" before "running"
ENDED = tuple(state for state in JobState if state.finished)


class JobsSteered(JobsSeen):
    """What people change in a `JobTable`. Every method may raise DatabaseBusy and DiskFull; nothing is half-written."""

    def __init__(
        self,
        database: Engine,
        *,
        max_crashes: int,
        devices: int,
        now: Callable[[Connection], float],
        forecast: Forecast,
        on_event: OnEvent,
    ) -> None:
        super().__init__(database, max_crashes=max_crashes, devices=devices, now=now, forecast=forecast)
        self._on_event = on_event

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued job at once, or ask the engine to let go of a running one. Idempotent. Raises UnknownJob.

        After this a running job commits no image any more. A finished job comes back unchanged.
        """
        with writing(self._database) as connection:
            row = transitions.row_of(connection, job_id, lock=True)
            written = transitions.cancel(connection, row, self._now(connection))
        self._announce(job_id, written)
        return self.get(job_id)

    def cancel_all(self, caller: str | None = None) -> int:
        """Cancel what waits and runs, of one caller or of all (None), as `cancel` does; how many jobs that were.

        The last in line first, so that none of them begins meanwhile. Jobs that come meanwhile may stay.
        """
        mine = () if caller is None else (jobs.c.caller == caller,)
        wanted = select(jobs.c.id).where(jobs.c.state.in_(turns.OPEN), jobs.c.cancel_requested.is_(False), *mine)
        with writing(self._database) as connection:
            ids = list(connection.scalars(wanted.order_by(*LAST_FIRST)))
        number = 0
        for start in range(0, len(ids), CANCELLED_AT_ONCE):
            written: dict[str, Sequence[StoredEvent]] = {}
            with writing(self._database) as connection:
                batch = jobs.c.id.in_(ids[start : start + CANCELLED_AT_ONCE])
                for row in connection.execute(select(jobs).where(batch).with_for_update()).all():
                    if row.state in turns.OPEN:
                        written[row.id] = transitions.cancel(connection, row, self._now(connection))
            number += len(written)
            for job_id, new in written.items():
                self._announce(job_id, new)
        return number

    def move(self, job_id: str, to: Move) -> Job:
        """Put a queued job elsewhere among the queued jobs of its caller that have its priority.

        Raises UnknownJob, NotQueued.
        """
        with writing(self._database) as connection:
            order.move(connection, _waiting(connection, job_id), to)
        return self.get(job_id)

    def set_priority(self, job_id: str, priority: int) -> Job:
        """Put a queued job before all of lower priority and behind all of higher. Raises UnknownJob, NotQueued."""
        with writing(self._database) as connection:
            row = _waiting(connection, job_id)
            connection.execute(update(jobs).where(jobs.c.seq == row.seq).values(priority=priority))
        return self.get(job_id)

    def set_paused(self, paused: bool) -> None:
        """Have no service on this table start a job, from now on, also after a restart; or go on."""
        try:
            with writing(self._database) as connection:
                several.set_paused(connection, paused, self._now(connection))
        except IntegrityError:
            pass  # another service paused it at the same moment

    def clear(self, caller: str | None = None) -> int:
        """Leave what has ended out of the lists that do not ask for it, of one caller or of all; how many jobs.

        They are kept as long as any other: their ids still answer, and so do their idempotency keys.
        """
        mine = () if caller is None else (jobs.c.caller == caller,)
        ended = (jobs.c.state.in_(ENDED), jobs.c.cleared.is_(False), *mine)
        batch = select(jobs.c.seq).where(*ended).limit(CLEARED_AT_ONCE)
        number = 0
        while True:
            with writing(self._database) as connection:
                cleared = connection.execute(update(jobs).where(jobs.c.seq.in_(batch)).values(cleared=True)).rowcount
            number += cleared
            if cleared < CLEARED_AT_ONCE:
                return number

    def _announce(self, job_id: str, written: Sequence[StoredEvent]) -> None:
        for event in written:
            self._on_event(job_id, event.kind, event.data, seq=event.seq)


def _waiting(connection: Connection, job_id: str) -> Row[Any]:
    """The locked row of a queued job."""
    row = transitions.row_of(connection, job_id, lock=True)
    if row.state != JobState.QUEUED:
        raise order.NotQueued(f"The job is {row.state}; only a queued one has a place in line that can change.")
    return row
