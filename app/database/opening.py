"""Opening the database, and transactions on it whose errors say what the caller can do."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from app.core.errors import AtelierError, DatabaseBusy, DatabaseDamaged, DiskFull
from app.database.sqlite_file import FileWatch, file_of, refuse_network_disk

PATIENCE_S = 10  # for a lock, a connection, a pooled connection
# secure_delete: what is deleted is overwritten, so that a picture's words are not left in free pages.
PRAGMAS = (
    f"busy_timeout={PATIENCE_S * 1000}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)
CHECKED_WHOLE_BYTES = 64 * 2**20  # at about 300 MiB/s: a start stays quick
IDLE_IN_TRANSACTION_S = 10  # less than a lease: a frozen service must not keep its rows locked from those who take over
FOR_ALL: dict[str, Any] = {"pool_timeout": PATIENCE_S, "hide_parameters": True}  # an error must not quote a prompt
# An address that vanished without a word is noticed by the kernel; a query that never ends by the server.
POSTGRES = {
    "connect_timeout": PATIENCE_S,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
    "options": f"-c statement_timeout=30s -c lock_timeout={PATIENCE_S}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s",
}


def open_database(url: str) -> Engine:
    """An engine for `url`. On SQLite every writing transaction is `BEGIN IMMEDIATE` on a WAL file, synchronous=FULL.

    FULL: an acknowledged commit survives a power cut (https://sqlite.org/pragma.html#pragma_synchronous).
    IMMEDIATE: no deadlock by lock upgrade; waiting for the lock takes at most 10 s. Use `writing` and `reading`.
    No wait on PostgreSQL is endless either; what the URL itself says about time-outs counts more.
    Raises DatabaseOnNetworkDisk for a SQLite file where SQLite cannot keep its promises.
    """
    if make_url(url).get_backend_name() != "sqlite":
        given = make_url(url).query
        limits = {name: value for name, value in POSTGRES.items() if name not in given}
        # PostgreSQL's own default is 100 connections for all services together.
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=limits, **FOR_ALL)
    engine = create_engine(url, pool_size=20, max_overflow=80, **FOR_ALL)
    file = file_of(engine.url)
    if file is not None:
        refuse_network_disk(file)
    watch = FileWatch(file)

    @event.listens_for(engine, "do_connect")
    def _look_first(_dialect: Any, _record: Any, _arguments: Any, _options: Any) -> None:
        watch.before_connect()

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below is the only one
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        watch.after_connect(record.info)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("atelier_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
        watch.check(connection.info)

    return engine


def check_whole(database: Engine) -> None:
    """Raise DatabaseDamaged if a SQLite file has damaged pages. Larger files are looked at only where they are used."""
    file = file_of(database.url)
    if file is None or not file.exists() or file.stat().st_size > CHECKED_WHOLE_BYTES:
        return
    with reading(database) as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise DatabaseDamaged(f"The file of the job table is damaged ({found.splitlines()[-1]}).")


@contextmanager
def writing(database: Engine) -> Iterator[Connection]:
    """One transaction that may write: committed at the end of the block, rolled back if it raises.

    Raises DiskFull if there is no room, DatabaseBusy if the database is locked, gone or cannot be written, and
    DatabaseGone or DatabaseDamaged, both kinds of DatabaseBusy, if a person has to mend it.
    """
    with _told_plainly(), database.begin() as connection:
        yield connection


@contextmanager
def reading(database: Engine) -> Iterator[Connection]:
    """One transaction that only reads: it never waits for a writer on SQLite. Raises DatabaseBusy as `writing` does."""
    with (
        _told_plainly(),
        database.connect().execution_options(atelier_reads=True) as connection,
        connection.begin(),
    ):
        yield connection


def clock(connection: Connection) -> float:
    """Seconds since 1970 UTC by the clock that all services of this database share: the server's, or this machine's."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except NoConnectionLeft as error:
        raise DatabaseBusy("The job table cannot be reached right now (all connections are in use).") from error
    except DBAPIError as error:
        translated = _translated(error)
        if translated is None:
            raise
        raise translated from error


def _translated(error: DBAPIError) -> AtelierError | None:
    reason = str(error.orig).strip()
    if type(error.orig) is sqlite3.DatabaseError:  # its subclasses are about a statement, this one about the file
        return DatabaseDamaged(f"The file of the job table is damaged ({reason}).")
    if not isinstance(error, OperationalError | InterfaceError | InternalError):  # such as an ended session
        return None
    if "disk is full" in reason or "No space left on device" in reason:
        return DiskFull()
    return DatabaseBusy(
        f"The job table cannot be reached right now ({reason.splitlines()[0] if reason else 'no reason'})."
    )
