"""Runs the missing steps with Alembic. Imported only when there are some, because Alembic is slow to import."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from app.core.errors import AtelierError
from app.database import writing
from app.database.copies import copy_database

logger = logging.getLogger(__name__)
MIGRATION_LOCK = 5001_0001  # any number, the same in every service: two services migrate one after the other


def run_steps(database: Engine, current: str | None) -> None:
    """Run all steps after `current` in one transaction, with a backup of a SQLite file that holds data."""
    if database.dialect.name != "sqlite":
        with writing(database) as connection:
            # A step may take long, and so may waiting for another service's: what limits others does not limit this.
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            _upgrade(connection)
        return
    if current is not None and database.url.database:
        backup = back_up(Path(database.url.database), current)
        logger.info("The database was copied to %s before its schema is changed", backup.name)
    # Rebuilding a table on SQLite drops the old one; with foreign keys on, that would delete the rows that point to it.
    with database.connect() as connection:
        _set_foreign_keys(connection, False)
        try:
            with connection.begin():
                _upgrade(connection)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise AtelierError(f"The new schema would break {len(broken)} references; nothing was changed.")
        finally:
            _set_foreign_keys(connection, True)


def back_up(file: Path, version: str) -> Path:
    """A consistent copy of a SQLite file beside it, complete or not there at all. Replaces one of the same version."""
    backup = file.with_name(f"{file.name}.schema-{version}.backup")
    copy_database(file, backup)
    return backup


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _set_foreign_keys(connection: Connection, on: bool) -> None:
    # Only the driver's own cursor can do this: inside a transaction SQLite ignores this pragma.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()
