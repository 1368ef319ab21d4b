"""The file of the database is deleted, moved, replaced, damaged, read-only, or on the wrong kind of disk."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from app.core.errors import DatabaseBusy, DatabaseDamaged, DatabaseGone, DatabaseOnNetworkDisk
from app.core.schema import JobState
from app.database import check_whole, open_database, sqlite_file
from app.database.sqlite_file import file_of, file_system_of
from app.jobs.table import JobTable
from app.migrations import upgrade

from .things import a_request


def deleted(file: Path) -> None:
    file.unlink()


def moved(file: Path) -> None:
    file.rename(file.with_name("elsewhere.db"))


def replaced(file: Path) -> None:
    shutil.copyfile(file, file.with_name("copy.db"))
    file.with_name("copy.db").replace(file)


def without_its_log(file: Path) -> None:
    Path(f"{file}-wal").unlink()


def folder_moved(file: Path) -> None:
    file.parent.rename(file.parent.with_name("another-name"))


@pytest.mark.parametrize(
    ("fault", "connections"),
    [
        *((fault, "open") for fault in (deleted, moved, replaced, folder_moved, without_its_log)),
        *((fault, "new") for fault in (deleted, moved, replaced, folder_moved)),
    ],
)
def test_nothing_is_accepted_into_a_file_that_is_no_longer_there(
    tmp_path: Path, empty_file: Path, fault: Callable[[Path], None], connections: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "atelier.db"
    shutil.copyfile(empty_file, file)
    database = open_database(f"sqlite:///{file}")
    table = JobTable(database, boot_id="boot-1")
    table.submit(a_request(), origin="api")
    fault(file)
    if connections == "new":
        database.dispose()
    before = sorted(tmp_path.rglob("*"))
    for call in (lambda: table.submit(a_request(), origin="api"), table.counts, table.claim):
        with pytest.raises(DatabaseGone) as told:
            call()
        assert (told.value.http_status, told.value.code) == (503, "database_gone")
        assert told.value.hint
    assert sorted(tmp_path.rglob("*")) == before  # no new, empty file was made
    database.dispose()


def test_a_file_that_is_moved_back_is_the_same_and_everything_goes_on(sqlite: sqlalchemy.Engine) -> None:
    table = JobTable(sqlite, boot_id="boot-1")
    job = table.submit(a_request(), origin="api")[0]
    file = file_of(sqlite.url)
    assert file is not None
    file.rename(file.with_name("elsewhere.db"))
    with pytest.raises(DatabaseGone):
        table.get(job.id)
    file.with_name("elsewhere.db").rename(file)
    assert table.get(job.id).state == JobState.QUEUED
    assert table.submit(a_request(), origin="api")[1]


def test_closing_all_connections_and_opening_new_ones_is_no_fault(sqlite: sqlalchemy.Engine) -> None:
    table = JobTable(sqlite, boot_id="boot-1")
    for _ in range(3):
        table.submit(a_request(), origin="api")
        sqlite.dispose()  # the last connection takes the log away with it
    assert table.counts()[JobState.QUEUED] == 3


def test_a_file_that_may_not_be_written_is_busy_and_still_read(sqlite: sqlalchemy.Engine) -> None:
    table = JobTable(sqlite, boot_id="boot-1")
    job = table.submit(a_request(), origin="api")[0]

    @sqlalchemy.event.listens_for(sqlite, "connect")
    def _say(connection, _record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA query_only=ON")  # root may write to any file; this fails just as a read-only one

    sqlite.dispose()
    with pytest.raises(DatabaseBusy, match="readonly"):
        table.submit(a_request(), origin="api")
    assert table.get(job.id).state == JobState.QUEUED


def filled(file: Path) -> None:
    database = open_database(f"sqlite:///{file}")
    upgrade(database)
    table = JobTable(database, boot_id="boot-1")
    for _ in range(60):
        table.submit(a_request("x" * 2_000), origin="api")
    database.dispose()


def overwritten(file: Path) -> None:
    file.write_bytes(b"this is no database, but it is long enough" * 200)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)


def scratched(file: Path) -> None:
    with file.open("r+b") as stream:
        for page in range(10, 60, 3):
            stream.seek(page * 4096)
            stream.write(os.urandom(2048))


@pytest.mark.parametrize("fault", [overwritten, cut_in_half, scratched])
def test_a_damaged_file_is_noticed_at_the_start_and_says_what_to_do(
    tmp_path: Path, fault: Callable[[Path], None]
) -> None:
    file = tmp_path / "atelier.db"
    filled(file)
    fault(file)
    database = open_database(f"sqlite:///{file}")
    with pytest.raises(DatabaseDamaged, match="damaged") as told:
        check_whole(database)
    assert "restore" in str(told.value.hint)
    assert "rebuild-library" in str(told.value.hint)
    database.dispose()


def test_damage_that_is_met_at_work_is_a_fault_of_the_service_and_fails_no_job(tmp_path: Path) -> None:
    file = tmp_path / "atelier.db"
    filled(file)
    database = open_database(f"sqlite:///{file}")
    table = JobTable(database, boot_id="boot-1")
    scratched(file)
    with pytest.raises(DatabaseDamaged):
        table.page(limit=200)
    database.dispose()


def test_a_whole_file_passes(sqlite: sqlalchemy.Engine) -> None:
    check_whole(sqlite)


MOUNTS = """\
22 27 0:21 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:30 / /srv rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2
31 30 0:31 / /srv/local\\040disk rw - xfs /dev/sdb1 rw
32 22 0:32 / /mnt/c rw,noatime - 9p drvfs rw
33 22 0:33 / /mnt/c rw,noatime - fuse.sshfs me@there: rw
34 22 0:34 / /srvlocal rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/home/me/atelier.db", "ext4"),
        ("/srv/atelier/atelier.db", "nfs4"),
        ("/srv/local disk/atelier.db", "xfs"),
        ("/srvlocal/atelier.db", "btrfs"),
        ("/mnt/c/atelier.db", "fuse.sshfs"),  # mounted over the one before
    ],
)
def test_the_disk_of_a_file_is_the_one_mounted_nearest_to_it(file: str, kind: str) -> None:
    assert file_system_of(Path(file), MOUNTS) == kind


def test_sqlite_on_a_network_disk_is_refused_and_on_a_shared_folder_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mounted_as(kind: str) -> None:
        (tmp_path / "mounts").write_text(f"22 27 0:21 / {tmp_path} rw - {kind} there rw\n")

    monkeypatch.setattr(sqlite_file, "MOUNTS", tmp_path / "mounts")
    for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "fuse.ceph-fuse"):
        mounted_as(kind)
        with pytest.raises(DatabaseOnNetworkDisk, match=kind) as told:
            open_database(f"sqlite:///{tmp_path / 'atelier.db'}")
        assert "PostgreSQL" in str(told.value.hint)
    for kind in ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "apfs"):
        mounted_as(kind)
        open_database(f"sqlite:///{tmp_path / 'atelier.db'}").dispose()
    assert caplog.text == ""
    mounted_as("9p")
    open_database(f"sqlite:///{tmp_path / 'atelier.db'}").dispose()
    assert "9p" in caplog.text


def test_this_machines_own_mounts_can_be_read(tmp_path: Path) -> None:
    kind = file_system_of(tmp_path.resolve(), sqlite_file.MOUNTS.read_text())
    assert kind
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
