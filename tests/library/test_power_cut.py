"""What is acknowledged survives a power cut: the order in which files, folders and the database are synced."""

import os
from pathlib import Path

import pytest

from app.database import open_database, reading
from tests.library.conftest import Shelf


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every sync and rename from now on, with the name of what it was done to."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        done.append(("rename", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    return done


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files are Linux's")
def test_a_picture_is_synced_then_renamed_then_its_folder_is_synced(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = recorded(monkeypatch)
    job = shelf.job()
    image = shelf.library.write(job, shelf.picture(job))
    file = (shelf.folder / image.path).resolve()
    assert ("sync", str(file.parent.parent)) in done  # the new day's folder is in its own folder for good
    (kind, temporary), *rest = done[-3:]
    assert kind == "sync"
    assert Path(temporary).parent == file.parent
    assert temporary.endswith(".tmp")
    assert rest == [("rename", str(shelf.folder / image.path)), ("sync", str(file.parent))]


def test_every_connection_syncs_each_commit_of_the_database(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'atelier.db'}")
    with reading(database) as first, reading(database) as second:
        for connection in (first, second):
            said = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "secure_delete")
            }
            wanted = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000, "foreign_keys": 1}
            assert said == wanted | {"secure_delete": 1}
    database.dispose()
