"""Copies of a SQLite database: made while others write to it, and put back in its place."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app import storage
from app.core.errors import AtelierError, DatabaseDamaged


class BackupFailed(AtelierError):
    """The backup could not be made or put back; nothing was changed."""

    code = "backup_failed"


def copy_database(file: Path, target: Path) -> None:
    """A consistent copy of the database `file` as `target`, complete or not there at all; it survives a power cut.

    What others commit meanwhile is in it or not, whole. `target` is replaced, is one plain file without a log, and only
    its owner may read it. Raises BackupFailed.
    """
    unfinished = target.with_name(f".{target.name}.tmp")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(unfinished)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
            storage.put_in_place(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed(f"{file} could not be copied to {target}: {error}.") from error


def check_backup(file: Path, newest_version: str) -> None:
    """Raise BackupFailed or DatabaseDamaged if `file` is no whole database of this or an earlier version."""
    if not file.is_file():
        raise BackupFailed(f"There is no file {file}.")
    try:
        with closing(sqlite3.connect(file)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise DatabaseDamaged(f"The backup {file} is damaged ({found}).", hint="Take another one.")
            version = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError) as error:
        raise BackupFailed(f"{file} is no backup of Atelier: {error}.") from error
    if version > newest_version:
        raise BackupFailed(
            f"{file} has schema {version}, written by a newer Atelier; this one knows up to {newest_version}."
        )


def put_back(backup: Path, file: Path) -> Path | None:
    """Make the database `file` what `backup` is; where the one that was there is kept, None if there was none.

    Nobody may have `file` open. Killed at any moment it leaves the old database or the new one. Raises BackupFailed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = None
    if file.exists():
        kept = file.with_name(f"{file.name}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        _keep(file, kept)
    for log in (f"{file}-wal", f"{file}-shm"):  # of the old database: what they hold is kept, the new one has none
        Path(log).unlink(missing_ok=True)
    copy_database(backup, file)
    return kept


def _keep(file: Path, kept: Path) -> None:
    try:
        copy_database(file, kept)
    except BackupFailed:  # it is damaged, which may be why another one is put in its place
        try:
            file.replace(kept)
            for log in ("-wal", "-shm"):
                if Path(f"{file}{log}").exists():
                    Path(f"{file}{log}").replace(f"{kept}{log}")
        except OSError as error:
            raise BackupFailed(f"The old database {file} could not be kept: {error}.") from error
