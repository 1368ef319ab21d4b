"""The schema brings itself up to date, quickly, whole or not at all, and never loses a row."""

import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

from app.core.errors import AtelierError
from app.database import metadata, open_database, reading, writing
from app.jobs.table import JobTable
from app.migrations import current_version, newest_version, steps, upgrade
from app.migrations.steps import back_up

from .things import a_request


def test_the_steps_lead_to_the_tables_that_the_code_uses(database: sqlalchemy.Engine) -> None:
    def ours(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
        text_index = kind == "table" and reflected and str(name).startswith("images_text")  # SQLite's own
        only_for = getattr(getattr(thing, "_ddl_if", None), "dialect", None)
        return not text_index and only_for in (None, database.dialect.name)

    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata) == []
    assert current_version(database) == newest_version()


def test_a_current_schema_costs_a_start_next_to_nothing(sqlite: sqlalchemy.Engine) -> None:
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert upgrade(sqlite) is False
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.05


def test_a_database_of_a_newer_atelier_is_refused(sqlite: sqlalchemy.Engine) -> None:
    with writing(sqlite) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(AtelierError, match="9999"):
        upgrade(sqlite)


def at_version(file: Path, version: str) -> sqlalchemy.Engine:
    """A database as the Atelier of that version left it, with one queued job in it."""
    engine = open_database(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(steps.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        request = a_request()
        connection.execute(
            text(
                "INSERT INTO jobs (id, fingerprint, origin, state, priority, model, batch_key, request, num_images,"
                " megapixel_steps, attempt, crashes, cancel_requested, created_at) VALUES"
                " ('an-old-job', 'x', 'api', 'queued', 0, 'pocket', 'x', :request, 1, 0.1, 0, 0, 0, 1)"
            ),
            {"request": request.model_dump_json()},
        )
        connection.execute(
            text("INSERT INTO events (job_id, seq, kind, data, at) VALUES ('an-old-job', 1, 'queued', '{}', 1)")
        )
    return engine


def test_an_older_database_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    engine = at_version(tmp_path / "atelier.db", "0001")
    assert upgrade(engine) is True
    assert current_version(engine) == newest_version()
    assert sum(JobTable(engine, boot_id="boot-2").counts().values()) == 1
    engine.dispose()
    with sqlite3.connect(tmp_path / "atelier.db.schema-0001.backup") as backup:
        assert backup.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert backup.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    backup.close()


def test_a_step_that_fails_leaves_the_old_schema_and_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = at_version(tmp_path / "atelier.db", "0001")

    def breaks(connection: sqlalchemy.Connection) -> None:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN half INTEGER"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "_upgrade", breaks)
        with pytest.raises(RuntimeError):
            upgrade(engine)
    assert current_version(engine) == "0001"
    with reading(engine) as connection:
        columns = {column["name"] for column in sqlalchemy.inspect(connection).get_columns("jobs")}
    assert "half" not in columns
    assert upgrade(engine) is True
    assert sum(JobTable(engine, boot_id="boot-2").counts().values()) == 1
    engine.dispose()


def test_a_backup_holds_what_is_still_in_the_write_ahead_log(sqlite: sqlalchemy.Engine, tmp_path: Path) -> None:
    JobTable(sqlite, boot_id="boot-1").submit(a_request(), origin="api")
    backup = back_up(tmp_path / "atelier.db", "0001")
    copy = open_database(f"sqlite:///{backup}")
    assert sum(JobTable(copy, boot_id="boot-2").counts().values()) == 1
    copy.dispose()
    assert not list(tmp_path.glob("*.tmp"))
