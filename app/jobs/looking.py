"""Looking at the jobs of a table: one, a page of them, the line, what happened to one. Nothing here writes."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, or_, select

from app.core.pages import ListPage
from app.core.schema import GenerationRequest, Job, JobState
from app.database import jobs, reading
from app.jobs import history, several, transitions, turns
from app.jobs.cursors import checked
from app.jobs.eta import Pace, learn
from app.jobs.forecast import Forecast
from app.jobs.history import StoredEvent
from app.jobs.job_rows import SAID, image_refs, job_of
from app.jobs.line import Waiting, after_in_line, places


class JobsSeen:
    """What a `JobTable` can say. Every method may raise DatabaseBusy."""

    def __init__(
        self,
        database: Engine,
        *,
        max_crashes: int,
        devices: int,
        now: Callable[[Connection], float],
        forecast: Forecast,
    ) -> None:
        self._database = database
        self._max_crashes = max_crashes
        self.devices = devices
        self._now = now
        self._forecast = forecast

    def get(self, job_id: str) -> Job:
        """The job with its images, place in line and ETA. Raises UnknownJob."""
        with reading(self._database) as connection:
            row = transitions.row_of(connection, job_id, SAID)
            [job] = self._jobs(connection, [row])
        return job

    def caller_of(self, job_id: str) -> str:
        """Who submitted the job; "" = nobody in particular. Raises UnknownJob."""
        with reading(self._database) as connection:
            return str(transitions.row_of(connection, job_id, [jobs.c.caller]).caller)

    def page(
        self,
        *,
        states: Collection[JobState] | None = None,
        origin: str | None = None,
        words: str | None = None,
        with_cleared: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ListPage[Job]:
        """Jobs from the newest to the oldest, 1 to 200 of them. `cursor` is the `next` of the page before.

        `words` are part of the prompt, or the beginning of the id. Raises InvalidRequest for a limit or a cursor that
        is none.
        """
        before = checked(limit, cursor)
        wanted = _matching(words)
        if states is not None:
            wanted.append(jobs.c.state.in_(list(states)))
        if origin is not None:
            wanted.append(jobs.c.origin == origin)
        if not with_cleared:
            wanted.append(jobs.c.cleared.is_(False))
        if before is not None:
            wanted.append(jobs.c.seq < before)
        return self._page(wanted, [jobs.c.seq.desc()], limit)

    def line(self, *, words: str | None = None, limit: int = 50, cursor: str | None = None) -> ListPage[Job]:
        """What runs, then what is next, in the order of their place in line; limit, cursor and `words` as for `page`.

        The line moves on between two pages: a page begins behind the last job of the one before, wherever it is now.
        """
        after = checked(limit, cursor)
        wanted = [jobs.c.state.in_(turns.OPEN), *_matching(words)]
        if after is not None:
            with reading(self._database) as connection:
                last = connection.execute(select(*SAID).where(jobs.c.seq == after)).one_or_none()
            wanted += [] if last is None else [after_in_line(last)]
        return self._page(wanted, [jobs.c.state.desc(), *turns.IN_LINE], limit)  # "running" sorts after "queued"

    def running_order(self, limit: int = 100) -> list[Job]:
        """What runs, then what is next: at most `limit` jobs."""
        return list(self.line(limit=limit).items)

    def pace(self, model: str) -> Pace:
        """What jobs take by the model's past ones."""
        with reading(self._database) as connection:
            return learn(connection, model)

    def waiting_by_model(self) -> dict[str, tuple[int, float]]:
        """Model → how many jobs of it wait, and for how many seconds the oldest of them has."""
        wanted = select(jobs.c.model, func.count().label("number"), func.min(jobs.c.created_at).label("first"))
        with reading(self._database) as connection:
            now = self._now(connection)
            rows = connection.execute(wanted.where(jobs.c.state == JobState.QUEUED).group_by(jobs.c.model)).all()
        return {row.model: (row.number, max(0.0, now - row.first)) for row in rows}

    def services(self) -> int:
        """How many services work on this table."""
        with reading(self._database) as connection:
            return several.present(connection, self._now(connection))

    def waiting(self) -> bool:
        """True if a job is queued."""
        with reading(self._database) as connection:
            return connection.scalar(select(jobs.c.seq).where(jobs.c.state == JobState.QUEUED).limit(1)) is not None

    def paused(self) -> bool:
        """True while nothing may be started, by no service on this table."""
        with reading(self._database) as connection:
            return several.is_paused(connection)

    def counts(self) -> dict[JobState, int]:
        """How many jobs there are in each state; every state is there."""
        with reading(self._database) as connection:
            rows = connection.execute(select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)).all()
        found = {row.state: row.number for row in rows}
        return {state: found.get(state, 0) for state in JobState}

    def events_after(self, job_id: str, seq: int = 0) -> list[StoredEvent]:
        """The job's state events numbered above `seq`. Raises UnknownJob."""
        with reading(self._database) as connection:
            found = history.after(connection, job_id, seq)
            if not found:
                transitions.row_of(connection, job_id, [jobs.c.seq])
        return found

    def _page(
        self, wanted: Sequence[ColumnElement[bool]], order: Sequence[ColumnElement[Any]], limit: int
    ) -> ListPage[Job]:
        with reading(self._database) as connection:
            # Narrow first: a sort that carries whole rows, requests included, costs ten times as much.
            places = select(jobs.c.seq).where(*wanted).order_by(*order).limit(limit + 1)
            rows = connection.execute(select(*SAID).where(jobs.c.seq.in_(places)).order_by(*order)).all()
            found = self._jobs(connection, rows[:limit])
        return ListPage(tuple(found), str(rows[limit - 1].seq) if len(rows) > limit else None)

    def _jobs(
        self,
        connection: Connection,
        rows: Sequence[Row[Any]],
        request: GenerationRequest | None = None,
        others: Waiting | None = None,
    ) -> list[Job]:
        refs = image_refs(connection, [row.id for row in rows if row.attempt])
        now, left = self._now(connection), self._forecast.left
        line = places(connection, rows, now=now, devices=self.devices, left=left, others=others)
        most = self._max_crashes
        return [job_of(row, refs.get(row.id, ()), line.get(row.id), request, max_crashes=most) for row in rows]


def _matching(words: str | None) -> list[ColumnElement[bool]]:
    if not words:
        return []
    prompt = jobs.c.request["prompt"].as_string()
    return [or_(prompt.icontains(words, autoescape=True), jobs.c.id.startswith(words, autoescape=True))]
