"""Turns: whose job is next when several callers wait. Start-time fair queueing with one number for each job.

A caller's open jobs have turns one after the other; the first of a caller that had none takes the turn that is being
served. So the line goes around the callers, one job each, however many one of them has queued.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, bindparam, case, func, select, update

from app.core.errors import QueueFull
from app.core.schema import JobState
from app.database import jobs
from app.jobs.capacity import Capacity, room_for
from app.jobs.job_rows import Stored

OPEN = (JobState.QUEUED, JobState.RUNNING)
AGED_S = 120.0  # so long may jobs of a loaded model overtake one of the same caller that needs another model
IN_LINE = (jobs.c.priority.desc(), jobs.c.turn, jobs.c.seq)
MOST_PASSED = 100  # kinds of work that an engine leaves to others in one look along the line


def _number(*which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).where(jobs.c.state == JobState.QUEUED, *which).scalar_subquery()


def _turn(end: Callable[..., Any], state: JobState, *which: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The least or greatest turn, which one look into an index finds: one state at a time."""
    return select(end(jobs.c.turn)).where(jobs.c.state == state, *which).scalar_subquery()


_OWN = jobs.c.caller == bindparam("caller")
_BEFORE_A_SUBMIT = select(
    _turn(func.min, JobState.QUEUED), _turn(func.max, JobState.RUNNING),
    *(_turn(func.max, state, _OWN) for state in OPEN),
)  # fmt: skip
_QUEUED_OF_CALLER = select(_number(_OWN))


def turn_for(connection: Connection, caller: str, queued: int, most: int, most_of_caller: int | None) -> int:
    """The turn of a new job of this caller, where `queued` jobs wait. Raises QueueFull if it has to come later."""
    served, running, *own = connection.execute(_BEFORE_A_SUBMIT, {"caller": caller}).one()
    if queued >= most:
        raise QueueFull(f"The queue is full: {queued} jobs wait. Try again when some of them are done.")
    if caller and most_of_caller is not None:
        queued_of_caller = connection.scalar(_QUEUED_OF_CALLER, {"caller": caller}) or 0
        if queued_of_caller >= most_of_caller:
            raise QueueFull(f"This key has {queued_of_caller} jobs in the queue; {most_of_caller} are allowed.")
    # Where nobody waits, whoever comes now is as early as what runs.
    serving = int(running or 0) if served is None else int(served)
    return max([serving, *(int(turn) + 1 for turn in own if turn is not None)])


@dataclass(frozen=True)
class Picked:
    """The seq of the queued jobs to run next, and the first of them as it was read."""

    seqs: tuple[int, ...] = ()
    first: Stored | None = None


def pick(connection: Connection, loaded: Collection[str], capacity: Capacity, now: float) -> Picked:
    """The queued jobs to run next: the best one of the caller whose turn it is, then what can share its run.

    `capacity` says how many images of such a job make one pass; what it gives 0 for is passed over. Rows that another
    service is taking at this moment are skipped. A job under which an engine crashed before runs alone, so that it
    cannot take others with it.
    """
    passed: list[str] = []
    while len(passed) < MOST_PASSED:
        chosen = _first(connection, loaded, now, passed)
        if chosen is None:
            return Picked()
        front, first = chosen
        stored = Stored.of(first)
        room = room_for(capacity, stored)
        if room > 0:
            break
        passed.append(first.batch_key)
    else:
        return Picked()
    if first.seq != front.seq:
        # The one that overtakes uses up this turn; the one that waits gets the other's, or its caller would go twice.
        connection.execute(update(jobs).where(jobs.c.seq == front.seq).values(turn=first.turn))
        connection.execute(update(jobs).where(jobs.c.seq == first.seq).values(turn=front.turn))
    room -= first.num_images
    if room <= 0 or first.crashes:
        return Picked((first.seq,), stored)
    alike = (jobs.c.state == JobState.QUEUED, jobs.c.batch_key == first.batch_key, jobs.c.seq != first.seq)
    others = select(jobs.c.seq, jobs.c.num_images).where(*alike, jobs.c.crashes == 0).order_by(*IN_LINE).limit(room)
    picked = [first.seq]
    for row in connection.execute(others.with_for_update(skip_locked=True)):
        room -= row.num_images
        if room < 0:
            break
        picked.append(row.seq)
    return Picked(tuple(picked), stored)


def _first(connection: Connection, loaded: Collection[str], now: float, passed: Collection[str]) -> Any:
    """Whose turn it is, and the best of that caller: what has waited for 120 s, of a loaded model, what came first."""
    queued = jobs.c.state == JobState.QUEUED
    if passed:
        queued = and_(queued, jobs.c.batch_key.not_in(passed))
    # Only columns of the index `jobs_by_state`, so that sorting a long line does not read the rows themselves.
    columns = (jobs.c.seq, jobs.c.turn, jobs.c.priority, jobs.c.caller)
    front = _one(connection, columns, (queued,), IN_LINE)
    if front is None:
        return None
    first = _row(connection, front.seq)
    if first.moved:  # somebody wants this one before the caller's others, whatever is loaded
        return front, first
    own = (queued, jobs.c.priority == front.priority, jobs.c.caller == front.caller)
    best = _one(connection, columns[:1], own, _best_of_caller(loaded, now))
    return front, first if best.seq == front.seq else _row(connection, best.seq)


def _row(connection: Connection, seq: int) -> Any:
    return connection.execute(select(jobs).where(jobs.c.seq == seq)).one()


def _one(
    connection: Connection,
    columns: Sequence[ColumnElement[Any]],
    wanted: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
) -> Any:
    found = select(*columns).where(*wanted).order_by(*order).limit(1).with_for_update(skip_locked=True)
    return connection.execute(found).one_or_none()


def _best_of_caller(loaded: Collection[str], now: float) -> tuple[ColumnElement[Any], ...]:
    aged = jobs.c.created_at < now - AGED_S
    fits = jobs.c.model.in_(list(loaded))
    return (case((aged, 0), (fits, 1), else_=2), jobs.c.seq)
