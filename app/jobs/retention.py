"""Forgetting jobs that ended long ago."""

import time

from sqlalchemy import Engine, delete, select

from app.core.schema import JobState
from app.database import clock, jobs, reading, writing
from app.jobs.grids import forget_grids

DAY_S = 86_400.0
BATCH = 500
PAUSE_S = 0.05  # between two batches, for those who want to write meanwhile
FINISHED = [state for state in JobState if state.finished]


def forget_finished(database: Engine, keep_days: float) -> int:
    """Delete the jobs that ended more than `keep_days` ago, with their events; how many there were.

    Their pictures stay in the library; their idempotency keys are forgotten with them, and a grid with the last of its
    jobs. Open jobs are never touched.
    Each batch of 500 is its own commit. Raises DatabaseBusy, DiskFull.
    """
    forgotten = 0
    with reading(database) as connection:
        before = clock(connection) - keep_days * DAY_S
    ended = (jobs.c.state.in_(FINISHED), jobs.c.finished_at < before)
    while True:
        with reading(database) as connection:
            batch = list(connection.scalars(select(jobs.c.seq).where(*ended).limit(BATCH)))
        if not batch:
            break
        with writing(database) as connection:
            connection.execute(delete(jobs).where(jobs.c.seq.in_(batch)))
        forgotten += len(batch)
        time.sleep(PAUSE_S)
    with writing(database) as connection:
        forget_grids(connection, before)
    return forgotten
