"""`python -m tests.jobs.migrating URL [N]`: bring a database up to date; killed before its N-th statement, if N."""

import os
import signal
import sys
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

from app.database import open_database
from app.migrations import current_version, upgrade


def kill_before(database: Engine, number: int) -> None:
    """Let the process die as by a power cut just before it says its `number`-th statement."""
    said = count(1)

    @event.listens_for(database, "before_cursor_execute")
    def _count(*_: Any) -> None:
        if next(said) == number:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    database = open_database(sys.argv[1])
    if len(sys.argv) > 2:
        kill_before(database, int(sys.argv[2]))
    upgrade(database)
    print(current_version(database))
