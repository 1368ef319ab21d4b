"""The schema of the database, as numbered steps that run by themselves when a service starts."""

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from app.core.errors import AtelierError
from app.database import reading

VERSIONS_FOLDER = Path(__file__).parent / "versions"


def upgrade(database: Engine) -> bool:
    """Bring the schema to the newest version; True if there was something to do.

    A current schema costs a few milliseconds. Otherwise all missing steps run in one transaction, so that a crash
    leaves the old schema; a SQLite file that holds data is copied first to `NAME.schema-VERSION.backup` beside it.
    Raises AtelierError for a database that was written by a newer Atelier.
    """
    current, newest = current_version(database), newest_version()
    if current == newest:
        return False
    if current is not None and current > newest:
        raise AtelierError(
            f"The job table has schema {current}, written by a newer Atelier; this one knows up to {newest}.",
            hint="Start the newer version, or restore the backup that lies beside the database file.",
        )
    # Imported here because Alembic costs 200 ms, and a start with a current schema does without it.
    from app.migrations.steps import run_steps

    run_steps(database, current)
    return True


def current_version(database: Engine) -> str | None:
    """The schema's version, such as "0001"; None for an empty database."""
    with reading(database) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version


def newest_version() -> str:
    """The number of the last step, read from the names of the files in `versions`."""
    return max(file.name.split("_")[0] for file in VERSIONS_FOLDER.glob("[0-9]*_*.py"))
