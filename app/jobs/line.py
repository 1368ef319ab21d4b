"""The line: who is before whom, and how long that will take."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, not_, or_, select, true

from app.core.schema import JobState
from app.database import jobs
from app.jobs.eta import Pace, learn
from app.jobs.job_rows import Place

WORK = (jobs.c.model, jobs.c.megapixel_steps)
RUNNING = (*WORK, jobs.c.id, jobs.c.num_images, jobs.c.started_at)
# Seconds left of a running job by the pace of its own steps, None where that is not known: `Forecast.left`.
Left = Callable[..., float | None]


class Paces:
    """What each model's jobs take, looked up once for each model."""

    def __init__(self, connection: Connection, left: Left) -> None:
        self._connection = connection
        self._left = left
        self._known: dict[str, Pace] = {}

    def seconds(self, model: str, work: float) -> float | None:
        """Seconds for a job of `work` megapixel steps, None = unknown."""
        if model not in self._known:
            self._known[model] = learn(self._connection, model)
        return self._known[model].seconds(work)

    def left(self, row: Any, now: float) -> float | None:
        """Seconds that a running job still needs: by its own steps, else what past jobs took less what it had."""
        measured = self._left(row.id, row.model, megapixel_steps=row.megapixel_steps, images=row.num_images)
        if measured is not None:
            return round(measured, 3)
        whole = self.seconds(row.model, row.megapixel_steps)
        return None if whole is None else round(max(0.0, whole - (now - (row.started_at or now))), 3)


def places(
    connection: Connection, rows: Sequence[Row[Any]], *, now: float, devices: int, left: Left
) -> dict[str, Place]:
    """The places of those of `rows` that are open, by job id.

    Counts by priority and turn, not by which model is loaded. One walk along the line, however many rows are asked.
    """
    paces = Paces(connection, left)
    found = {row.id: Place(0, paces.left(row, now)) for row in rows if row.state == JobState.RUNNING}
    asked = sorted((row for row in rows if row.state == JobState.QUEUED), key=_in_line)
    if not asked:
        return found
    running = connection.execute(select(*RUNNING).where(jobs.c.state == JobState.RUNNING)).all()
    seconds = _sum([paces.left(row, now) for row in running])
    position, before = 1, None
    for row in asked:
        for group in _between(connection, before, row):
            position += group.alike
            each = paces.seconds(group.model, group.megapixel_steps)
            seconds = None if seconds is None or each is None else seconds + each * group.alike
        own = paces.seconds(row.model, row.megapixel_steps)
        found[row.id] = Place(position, _eta(seconds, own, devices))
        before = row
    return found


def after_in_line(row: Row[Any]) -> ColumnElement[bool]:
    """The open jobs behind this one: what runs stands before what waits. Behind one that has ended are all."""
    behind = and_(jobs.c.seq != row.seq, not_(_ahead_of(row)))
    if row.state == JobState.QUEUED:
        return and_(jobs.c.state == JobState.QUEUED, behind)
    if row.state == JobState.RUNNING:
        return or_(jobs.c.state == JobState.QUEUED, behind)
    return true()


def _between(connection: Connection, first: Row[Any] | None, last: Row[Any]) -> Sequence[Row[Any]]:
    """The queued jobs before `last`, from `first` on, counted in groups that take equally long."""
    wanted = [_ahead_of(last)]
    if first is not None:
        wanted.append(not_(_ahead_of(first)))
    if first is not None and first.priority == last.priority:  # a span of the index
        wanted += [jobs.c.priority == last.priority, jobs.c.turn.between(first.turn, last.turn)]
    groups = select(*WORK, func.count().label("alike")).where(jobs.c.state == JobState.QUEUED, *wanted)
    return connection.execute(groups.group_by(*WORK)).all()


def _ahead_of(row: Row[Any]) -> ColumnElement[bool]:
    earlier = or_(jobs.c.turn < row.turn, and_(jobs.c.turn == row.turn, jobs.c.seq < row.seq))
    return or_(jobs.c.priority > row.priority, and_(jobs.c.priority == row.priority, earlier))


def _in_line(row: Row[Any]) -> tuple[int, int, int]:
    return (-row.priority, row.turn, row.seq)


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _eta(before: float | None, own: float | None, devices: int) -> float | None:
    return None if before is None or own is None else round(before / max(1, devices) + own, 3)
