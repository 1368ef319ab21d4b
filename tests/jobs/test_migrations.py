"""The schema brings itself up to date, quickly, whole or not at all, and never loses a row."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from app.core.errors import AtelierError
from app.core.settings import PROJECT_FOLDER
from app.database import metadata, open_database, reading, writing
from app.jobs.table import JobTable
from app.library import Library
from app.migrations import current_version, newest_version, steps, upgrade
from app.migrations.steps import back_up
from app.storage import Folder

from .older import at_version
from .postgres import an_empty_database
from .things import a_request

FIRST_VERSION = Path(__file__).with_name("schema_0001.sql")


def test_the_steps_lead_to_the_tables_that_the_code_uses(database: sqlalchemy.Engine) -> None:
    def ours(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
        text_index = kind == "table" and reflected and str(name).startswith("images_text")  # SQLite's own
        only_for = getattr(getattr(thing, "_ddl_if", None), "dialect", None)
        return not text_index and only_for in (None, database.dialect.name)

    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata) == []
    assert current_version(database) == newest_version()


def test_a_current_schema_costs_a_start_three_questions_and_no_alembic(sqlite: sqlalchemy.Engine) -> None:
    said: list[str] = []
    sqlalchemy.event.listen(sqlite, "before_cursor_execute", lambda _c, _k, statement, *_: said.append(statement))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "alembic", None)  # importing it fails now; it costs 200 ms
        patched.delitem(sys.modules, "app.migrations.steps", raising=False)
        assert upgrade(sqlite) is False
    assert len(said) <= 3, said


def test_a_database_of_a_newer_atelier_is_refused(sqlite: sqlalchemy.Engine) -> None:
    with writing(sqlite) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(AtelierError, match="9999"):
        upgrade(sqlite)


def at_first_version(file: Path) -> sqlalchemy.Engine:
    """A database as the first version wrote it: a job that succeeded, one that ran, one that waits, one that failed."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST_VERSION.read_text("utf-8"))
    return open_database(f"sqlite:///{file}")


def rows_of(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """What the first version had written, read from whatever version the file has now."""
    with closing(sqlite3.connect(file)) as first, closing(sqlite3.connect(":memory:")) as wanted:
        wanted.executescript(FIRST_VERSION.read_text("utf-8"))
        found = {}
        for table in ("jobs", "images", "events"):
            columns = ", ".join(f'"{row[1]}"' for row in wanted.execute(f"PRAGMA table_info({table})"))
            found[table] = first.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
    return found


def version_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        [(version,)] = connection.execute("SELECT version_num FROM alembic_version")
    return str(version)


def test_a_database_of_the_first_version_is_brought_up_to_date_with_every_row(tmp_path: Path) -> None:
    file = tmp_path / "atelier.db"
    engine = at_first_version(file)
    before = rows_of(file)
    assert [len(rows) for rows in before.values()] == [4, 2, 8]
    assert upgrade(engine) is True
    assert rows_of(file) == before
    with reading(engine) as connection:
        assert MigrationContext.configure(connection).get_current_revision() == newest_version()
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    table = JobTable(engine, boot_id="boot-2")
    done, ran, waits, failed = (table.get(f"00000000-0000-4000-8000-00000000000{number}") for number in (1, 2, 3, 4))
    assert [job.state for job in (done, ran, waits, failed)] == ["succeeded", "running", "queued", "failed"]
    assert [image.seed for image in done.images] == [41, 42]
    assert table.submit(a_request(), origin="ui", idempotency_key="key-3", fingerprint="f" * 64)[0].id == waits.id
    assert table.recover() == 1
    assert [job.id for _ in range(2) for job in table.claim()] == [ran.id, waits.id]
    library = Library(engine, Folder(tmp_path / "pictures"), tmp_path / "thumbnails")
    assert [image.index for image in library.search(q="apple").items] == [1, 0]
    assert [image.index for image in library.search(favourite=True).items] == [1]
    engine.dispose()


def migrate(url: str, *kill: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.jobs.migrating", url, *map(str, kill)]
    return subprocess.Popen(command, cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("statement", [6, 12, 20])
def test_a_kill_inside_a_migration_leaves_the_old_schema_with_every_row(tmp_path: Path, statement: int) -> None:
    file = tmp_path / "atelier.db"
    at_first_version(file).dispose()
    before = rows_of(file)
    killed = migrate(f"sqlite:///{file}", statement)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert (version_of(file), rows_of(file)) == ("0001", before)
    again = migrate(f"sqlite:///{file}")
    assert again.communicate()[0].strip() == newest_version()
    assert rows_of(file) == before


@pytest.mark.postgres
def test_of_two_services_that_migrate_one_postgresql_at_once_one_waits_for_the_other(postgres_server: str) -> None:
    with an_empty_database(postgres_server, "atelier_two_migrations") as url:
        database = open_database(url)
        with writing(database) as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": steps.MIGRATION_LOCK})
            both = [migrate(url), migrate(url)]
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            deadline = time.monotonic() + 60
            while connection.scalar(waiting) != 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert [each.communicate()[0].strip() for each in both] == [newest_version()] * 2
        assert [each.returncode for each in both] == [0, 0]
        assert sum(JobTable(database, boot_id="boot-1").counts().values()) == 0
        database.dispose()


def test_an_older_database_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    engine = at_first_version(tmp_path / "atelier.db")
    assert upgrade(engine) is True
    assert current_version(engine) == newest_version()
    assert sum(JobTable(engine, boot_id="boot-2").counts().values()) == 4
    engine.dispose()
    with sqlite3.connect(tmp_path / "atelier.db.schema-0001.backup") as backup:
        assert backup.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert backup.execute("SELECT count(*) FROM jobs").fetchone() == (4,)
    backup.close()


def test_a_step_that_fails_leaves_the_old_schema_and_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = at_first_version(tmp_path / "atelier.db")

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
    assert sum(JobTable(engine, boot_id="boot-2").counts().values()) == 4
    engine.dispose()


def test_a_backup_holds_what_is_still_in_the_write_ahead_log(sqlite: sqlalchemy.Engine, tmp_path: Path) -> None:
    JobTable(sqlite, boot_id="boot-1").submit(a_request(), origin="api")
    backup = back_up(tmp_path / "atelier.db", "0001")
    copy = open_database(f"sqlite:///{backup}")
    assert sum(JobTable(copy, boot_id="boot-2").counts().values()) == 1
    copy.dispose()
    assert not list(tmp_path.glob("*.tmp"))


def test_what_an_earlier_captioner_made_of_pictures_is_forgotten_and_another_models_is_kept(tmp_path: Path) -> None:
    database = at_version(tmp_path / "atelier.db", "0014")
    with writing(database) as connection:
        for number, model in enumerate(("pocket-captioner", "clip")):
            values = {"id": str(number), "model": model, "vector": bytes(4)}
            connection.execute(text("INSERT INTO looks VALUES (:id, :model, :vector)"), values)
    assert upgrade(database)
    with reading(database) as connection:
        assert list(connection.scalars(text("SELECT model FROM looks"))) == ["clip"]
    database.dispose()
