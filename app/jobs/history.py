"""What happened to a job: one row for each change of state, numbered 1, 2, 3 … without gaps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, bindparam, func, insert, select

from app.database import events

_NEW = insert(events)
_LAST = select(func.max(events.c.seq)).where(events.c.job_id == bindparam("job"))


@dataclass(frozen=True)
class StoredEvent:
    """One change: `seq` counts from 1 for each job, `at` is seconds since 1970 UTC.

    `kind` is queued, image, succeeded, failed or cancelled. `data` always has the `attempt` it belongs to.
    """

    seq: int
    kind: str
    data: dict[str, Any]
    at: float


class OnEvent(Protocol):
    """Who wants to hear of a committed event, as LiveEvents.publish does."""

    def __call__(self, topic: str, kind: str, data: Mapping[str, Any], *, seq: int | None = None) -> None:
        """Called in the thread that made the change, after its commit."""
        ...


def nobody_listens(topic: str, kind: str, data: Mapping[str, Any], *, seq: int | None = None) -> None:
    """Live events are a courtesy: the rows are the truth."""


def append(
    connection: Connection, job_id: str, kind: str, data: Mapping[str, Any], at: float, *, first: bool = False
) -> StoredEvent:
    """Write the job's next event. The caller's transaction holds the job's row, so no number is given twice.

    `first`: of a job that has none yet.
    """
    last = 0 if first else connection.scalar(_LAST, {"job": job_id}) or 0
    event = StoredEvent(last + 1, kind, dict(data), at)
    values = {"job_id": job_id, "seq": event.seq, "kind": event.kind, "data": event.data, "at": event.at}
    connection.execute(_NEW, values)
    return event


def after(connection: Connection, job_id: str, seq: int) -> list[StoredEvent]:
    """The job's events with a number above `seq`, in order."""
    wanted = select(events).where(events.c.job_id == job_id, events.c.seq > seq).order_by(events.c.seq)
    return [StoredEvent(row.seq, row.kind, row.data, row.at) for row in connection.execute(wanted)]
