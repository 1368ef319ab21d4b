"""Short messages between the services on one PostgreSQL: LISTEN and NOTIFY. Whoever does not listen misses them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, text

from app.core.errors import DatabaseBusy
from app.database.opening import writing

CHANNEL = "atelier"
MAX_BYTES = (
    7_900  # PostgreSQL takes messages of less than 8,000: https://www.postgresql.org/docs/current/sql-notify.html
)
SEND = text("SELECT pg_notify(:channel, message) FROM unnest(CAST(:messages AS text[])) AS message")
Heard = Callable[[float], Sequence[str]]


class Notices:
    """Messages of at most `MAX_BYTES` to all services of a database that listen, the sender too. For any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def send(self, messages: Sequence[str]) -> None:
        """All of them in their order, or none. Raises DatabaseBusy.

        Never inside a transaction of the job table: while one that notifies is committed, no other such one is.
        """
        with writing(self._database) as connection:
            connection.execute(SEND, {"channel": CHANNEL, "messages": list(messages)})

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """Gives a call that waits up to so many seconds for messages, on a connection of its own.

        Raises DatabaseBusy, here and in the call: what is sent until one listens again is not heard.
        """
        try:
            connection = self._database.raw_connection()
            driver: Any = connection.driver_connection
            connection.detach()  # it never goes back to those that transactions use
            try:
                driver.set_autocommit(True)
                driver.execute(f"LISTEN {CHANNEL}")
                yield lambda timeout: [one.payload for one in driver.notifies(timeout=timeout, stop_after=1)]
            finally:
                driver.close()
        except self._database.dialect.loaded_dbapi.Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise DatabaseBusy(f"Other services are not heard right now ({reason}).") from error
