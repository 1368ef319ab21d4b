"""The line: who is before whom, and how long that will take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, and_, bindparam, func, not_, or_, select, true

from app.core.schema import JobState
from app.database import jobs
from app.jobs.eta import Pace, learn
from app.jobs.job_rows import Place

WORK = (jobs.c.model, jobs.c.megapixel_steps)
IN_LINE = (jobs.c.priority, jobs.c.turn, jobs.c.seq)
_OF_RUNNING = (*WORK, jobs.c.id, jobs.c.num_images, jobs.c.started_at)
# Statements are made once: making one takes as long as SQLite needs to answer it.
_RUNNING = select(*_OF_RUNNING).where(jobs.c.state == JobState.RUNNING)
# Seconds left of a running job by the pace of its own steps, None where that is not known: `Forecast.left`.
Left = Callable[..., float | None]
Waiting = dict[tuple[str, float], int]  # how many queued jobs there are of a model with so many megapixel steps


class Paces:
    """What each model's jobs take, looked up once for each model."""

    def __init__(self, connection: Connection, left: Left) -> None:
        self._connection = connection
        self._left = left
        self._known: dict[str, Pace] = {}
        self._each: dict[tuple[str, float], float | None] = {}

    def seconds(self, model: str, work: float, jobs: int = 1) -> float | None:
        """Seconds for so many jobs of `work` megapixel steps each, None = unknown."""
        if (model, work) not in self._each:
            if model not in self._known:
                self._known[model] = learn(self._connection, model)
            self._each[model, work] = self._known[model].seconds(work)
        each = self._each[model, work]
        return None if each is None else each * jobs

    def left(self, row: Any, now: float) -> float | None:
        """Seconds that a running job still needs: by its own steps, else what past jobs took less what it had."""
        measured = self._left(row.id, row.model, megapixel_steps=row.megapixel_steps, images=row.num_images)
        if measured is not None:
            return round(measured, 3)
        whole = self.seconds(row.model, row.megapixel_steps)
        return None if whole is None else round(max(0.0, whole - (now - (row.started_at or now))), 3)


def places(
    connection: Connection,
    rows: Sequence[Row[Any]],
    *,
    now: float,
    devices: int,
    left: Left,
    others: Waiting | None = None,
) -> dict[str, Place]:
    """The places of those of `rows` that are open, by job id.

    Counts by priority and turn, not by which model is loaded. One count of what is ahead of the first, and one look at
    what lies between the first and the last, however many rows are asked. `others` is all that waits beside the one
    row that is asked, where that was counted already.
    """
    paces = Paces(connection, left)
    found = {row.id: Place(0, paces.left(row, now)) for row in rows if row.state == JobState.RUNNING}
    asked = sorted((row for row in rows if row.state == JobState.QUEUED), key=_in_line)
    if not asked:
        return found
    running = connection.execute(_RUNNING).all()
    ahead = _ahead(connection, asked[0], others)
    position = sum(ahead.values())
    seconds = [paces.left(row, now) for row in running]
    seconds += [paces.seconds(model, work, alike) for (model, work), alike in ahead.items()]
    between = connection.execute(_between(asked[0], asked[-1])).all() if len(asked) > 1 else ()
    wanted = {row.seq: row for row in asked}
    for seq, row in sorted(({row.seq: row for row in between} | wanted).items(), key=lambda item: _in_line(item[1])):
        position += 1
        own = paces.seconds(row.model, row.megapixel_steps)
        if seq in wanted:
            found[wanted[seq].id] = Place(position, _eta(_sum(seconds), own, devices))
        seconds = [_sum(seconds), own]
    return found


def after_in_line(row: Row[Any]) -> ColumnElement[bool]:
    """The open jobs behind this one: what runs stands before what waits. Behind one that has ended are all."""
    behind = and_(jobs.c.seq != row.seq, not_(_ahead_of(row)))
    if row.state == JobState.QUEUED:
        return and_(jobs.c.state == JobState.QUEUED, behind)
    if row.state == JobState.RUNNING:
        return or_(jobs.c.state == JobState.QUEUED, behind)
    return true()


def _between(first: Row[Any], last: Row[Any]) -> Select[Any]:
    """The queued jobs from `first` to `last`, in any order."""
    span = [or_(jobs.c.seq == last.seq, _ahead_of(last)), not_(_ahead_of(first))]
    if first.priority == last.priority:  # a span of the index
        span += [jobs.c.priority == last.priority, jobs.c.turn.between(first.turn, last.turn)]
    return select(*IN_LINE, *WORK).where(jobs.c.state == JobState.QUEUED, *span)


def _ahead_of(row: Any) -> ColumnElement[bool]:
    earlier = or_(jobs.c.turn < row.turn, and_(jobs.c.turn == row.turn, jobs.c.seq < row.seq))
    return or_(jobs.c.priority > row.priority, and_(jobs.c.priority == row.priority, earlier))


@dataclass(frozen=True)
class _Asked:
    """A row that is named when the statement is run."""

    priority: ColumnElement[int] = field(default_factory=lambda: bindparam("priority", type_=Integer))
    turn: ColumnElement[int] = field(default_factory=lambda: bindparam("turn", type_=Integer))
    seq: ColumnElement[int] = field(default_factory=lambda: bindparam("seq", type_=Integer))


# The queued jobs before one, counted in groups that take equally long: read from one index, in its order.
_AHEAD = (
    select(*WORK, func.count().label("alike"))
    .where(jobs.c.state == JobState.QUEUED, _ahead_of(_Asked()))
    .group_by(*WORK)
)


# The last in line: each is one look into an index.
_LAST = select(
    select(func.min(jobs.c.priority)).where(jobs.c.state == JobState.QUEUED).scalar_subquery(),
    select(func.max(jobs.c.turn))
    .where(jobs.c.state == JobState.QUEUED, jobs.c.priority == bindparam("priority"))
    .scalar_subquery(),
    select(func.max(jobs.c.seq))
    .where(jobs.c.state == JobState.QUEUED, jobs.c.priority == bindparam("priority"), jobs.c.turn == bindparam("turn"))
    .scalar_subquery(),
)
_QUEUED = select(*WORK, func.count().label("alike")).where(jobs.c.state == JobState.QUEUED).group_by(*WORK)


def waiting(connection: Connection) -> Waiting:
    """All queued jobs, counted by what they are."""
    return {(each.model, each.megapixel_steps): each.alike for each in connection.execute(_QUEUED)}


def _ahead(connection: Connection, row: Row[Any], others: Waiting | None) -> Waiting:
    """How many queued jobs of each kind of work are before one.

    Before the last are all but itself; that is twice as quick to count as those before a place.
    """
    place = {name: getattr(row, name) for name in ("priority", "turn", "seq")}
    if tuple(connection.execute(_LAST, place).one()) != tuple(place.values()):
        return {(each.model, each.megapixel_steps): each.alike for each in connection.execute(_AHEAD, place)}
    if others is not None:
        return others
    found = waiting(connection)
    found[row.model, row.megapixel_steps] -= 1
    return {work: alike for work, alike in found.items() if alike}


def _in_line(row: Row[Any]) -> tuple[int, int, int]:
    return (-row.priority, row.turn, row.seq)


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _eta(before: float | None, own: float | None, devices: int) -> float | None:
    return None if before is None or own is None else round(before / max(1, devices) + own, 3)
