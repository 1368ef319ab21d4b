"""Backup and restore of the job table and the library's entries, for whoever runs the service."""

import os
from pathlib import Path

from sqlalchemy import URL, make_url

from app.core.errors import AtelierError
from app.core.settings import Settings
from app.database import file_of
from app.database.copies import check_backup, copy_database, put_back
from app.service.serving.data_lock import DataLock


class NotSqlite(AtelierError):
    """PostgreSQL has its own tools for backups."""

    code = "not_sqlite"


def back_up(settings: Settings, target: Path) -> str:
    """Copy the database to `target` while the service works; what to tell the owner. Raises AtelierError."""
    file = _file_of(settings, f"pg_dump --format=custom --file={target} {_server(settings)}")
    if not file.exists():
        raise AtelierError(f"There is no job table {file} yet.", hint="Start the service once, or check the settings.")
    copy_database(file, target.resolve())
    return (
        f"{target} holds all jobs (those that wait too), favourites and the entries of all pictures.\n"
        f"The pictures themselves are in {settings.output_bucket or settings.output_folder}: copy that after this, "
        "with any tool."
    )


def restore(settings: Settings, backup: Path, newest_version: str) -> str:
    """Put `backup` in the place of the database; what to tell the owner.

    Raises DataFolderTaken while a service runs, and AtelierError if `backup` is none; nothing is changed then.
    """
    file = _file_of(settings, f"pg_restore --clean --if-exists --dbname={_server(settings)} {backup}")
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    lock = DataLock(settings)
    lock.acquire(os.getpid())
    try:
        check_backup(backup, newest_version)
        kept = put_back(backup.resolve(), file)
    finally:
        lock.release()
    was_there = f"The database that was there is kept as {kept}.\n" if kept else ""
    return (
        f"{file} is as {backup} has it.\n{was_there}"
        "At its next start the service goes on with the jobs that waited then. Pictures that were made later get\n"
        "their entries back by: python -m app library rebuild"
    )


def _file_of(settings: Settings, instead: str) -> Path:
    file = file_of(make_url(settings.resolved_database_url))
    if file is None:
        raise NotSqlite("The job table is on PostgreSQL, which has its own tools.", hint=f"Say: {instead}")
    return file


def _server(settings: Settings) -> str:
    """The URL as PostgreSQL's own tools take it, without the password: they ask for it, or read ~/.pgpass."""
    url = make_url(settings.resolved_database_url)
    named = URL.create("postgresql", url.username, host=url.host, port=url.port, database=url.database)
    return named.render_as_string()
