"""The line: who is before whom, and how long that will take."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from app.core.schema import JobState
from app.database import jobs
from app.jobs.eta import Pace, learn
from app.jobs.rows import Place

AGED_S = 120.0  # so long may jobs of a loaded model overtake one that needs another model


def claim_order(loaded: Collection[str], now: float) -> tuple[ColumnElement[Any], ...]:
    """The order in which a free engine takes queued jobs.

    Priority decides first. Inside one priority a job that has waited for 120 s goes first; among the younger ones
    those whose model is loaded, so that models are not swapped back and forth; then who came first.
    """
    aged = jobs.c.created_at < now - AGED_S
    fits = jobs.c.model.in_(list(loaded))
    return (jobs.c.priority.desc(), case((aged, 0), (fits, 1), else_=2), jobs.c.seq)


@dataclass(frozen=True)
class Work:
    """Jobs ahead that are alike: how many, of which model, how much work each, and seconds already done of it."""

    model: str
    megapixel_steps: float
    count: int = 1
    done_s: float = 0.0


def place_of(connection: Connection, row: Row[Any], *, now: float, devices: int) -> Place | None:
    """The place of one job; None if it is finished. Counts by priority and age, not by which model is loaded."""
    if row.state == JobState.RUNNING:
        pace = learn(connection, [row.model])[row.model]
        return Place(0, _left(Work(row.model, row.megapixel_steps, done_s=now - (row.started_at or now)), pace))
    if row.state != JobState.QUEUED:
        return None
    before = or_(jobs.c.priority > row.priority, and_(jobs.c.priority == row.priority, jobs.c.seq < row.seq))
    waiting = (
        select(jobs.c.model, jobs.c.megapixel_steps, func.count().label("alike"))
        .where(jobs.c.state == JobState.QUEUED, before)
        .group_by(jobs.c.model, jobs.c.megapixel_steps)
    )
    ahead = [Work(group.model, group.megapixel_steps, group.alike) for group in connection.execute(waiting)]
    return _place(connection, row, ahead, running_work(connection, now), devices)


def running_work(connection: Connection, now: float) -> list[Work]:
    """What the engines are working on right now."""
    running = select(jobs.c.model, jobs.c.megapixel_steps, jobs.c.started_at).where(jobs.c.state == JobState.RUNNING)
    rows = connection.execute(running)
    return [Work(row.model, row.megapixel_steps, done_s=now - (row.started_at or now)) for row in rows]


def places(connection: Connection, *, now: float, devices: int) -> dict[str, Place]:
    """The places of all queued jobs at once, by job id. One pass over the line: use it for lists."""
    columns = (jobs.c.id, jobs.c.model, jobs.c.megapixel_steps)
    line = select(*columns).where(jobs.c.state == JobState.QUEUED).order_by(jobs.c.priority.desc(), jobs.c.seq)
    queued = connection.execute(line).all()
    running = running_work(connection, now)
    paces = learn(connection, sorted({row.model for row in queued} | {work.model for work in running}))
    total: float | None = _sum([_left(work, paces[work.model]) for work in running])
    costs: dict[tuple[str, float], float | None] = {}
    found = {}
    for number, row in enumerate(queued, start=1):
        key = (row.model, row.megapixel_steps)
        if key not in costs:
            costs[key] = paces[row.model].seconds(row.megapixel_steps)
        found[row.id] = Place(number, _eta(total, costs[key], devices))
        total = _sum([total, costs[key]])
    return found


def _place(connection: Connection, row: Row[Any], ahead: list[Work], running: list[Work], devices: int) -> Place:
    paces = learn(connection, sorted({row.model} | {work.model for work in (*ahead, *running)}))
    before = _sum([_left(work, paces[work.model]) for work in (*ahead, *running)])
    own = paces[row.model].seconds(row.megapixel_steps)
    return Place(1 + sum(work.count for work in ahead), _eta(before, own, devices))


def _left(work: Work, pace: Pace) -> float | None:
    each = pace.seconds(work.megapixel_steps)
    return None if each is None else max(0.0, each * work.count - work.done_s)


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _eta(before: float | None, own: float | None, devices: int) -> float | None:
    return None if before is None or own is None else round(before / max(1, devices) + own, 3)
