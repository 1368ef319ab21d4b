"""The order that people give their own queued jobs. Nobody else's turn comes earlier or later for it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from app.core.errors import CallerError
from app.core.schema import JobState, Move
from app.database import jobs


class NotQueued(CallerError):
    """The job does not wait any more, so its place in line cannot change."""

    code = "not_queued"
    http_status = 409


def move(connection: Connection, row: Row[Any], to: Move) -> None:
    """Put a queued job elsewhere among those of its caller and priority, inside a transaction of the caller.

    These exchange their turns among themselves. A job at the end of its way stays where it is. What came before
    another one by this is marked as `moved`: no loaded model lets others overtake it (app/jobs/turns.py).
    """
    alike = (jobs.c.caller == row.caller, jobs.c.priority == row.priority, jobs.c.state == JobState.QUEUED)
    wanted = select(jobs.c.seq, jobs.c.turn).where(*alike).order_by(jobs.c.turn, jobs.c.seq)
    turns = {waiting.seq: waiting.turn for waiting in connection.execute(wanted.with_for_update())}
    seqs = list(turns)
    place = seqs.index(row.seq)
    goal = {Move.FRONT: 0, Move.UP: max(0, place - 1), Move.DOWN: min(len(seqs) - 1, place + 1)}[to]
    if goal == place:
        return
    ahead = row.seq if goal < place else seqs[goal]
    seqs.insert(goal, seqs.pop(place))
    given = zip(seqs, _rising(list(turns.values())), strict=True)
    changes = [{"of": seq, "new": turn} for seq, turn in given if turns[seq] != turn]
    connection.execute(update(jobs).where(jobs.c.seq == bindparam("of")).values(turn=bindparam("new")), changes)
    connection.execute(update(jobs).where(jobs.c.seq == ahead).values(moved=True))


def _rising(turns: Sequence[int]) -> list[int]:
    """The same turns, each above the one before: two services may have given the same one."""
    found: list[int] = []
    for turn in turns:
        found.append(max(turn, found[-1] + 1) if found else turn)
    return found
