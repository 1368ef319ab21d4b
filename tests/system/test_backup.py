"""Backup while the service works, restore after all was lost: no acknowledged job is missing, none is doubled."""

import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.client import ImageServiceClient
from app.core.schema import JobState
from tests.running import ROOT, RunningService

DOCS = ROOT / "docs" / "backup.md"


def documented(word: str) -> list[str]:
    """The command of docs/backup.md that has this word, as its arguments."""
    blocks = re.findall(r"```sh\n(.*?)\n```", DOCS.read_text("utf-8"), re.DOTALL)
    [command] = [block for block in blocks if word in shlex.split(block)]
    return shlex.split(command)


def say(service: RunningService, word: str, backup: Path) -> subprocess.CompletedProcess[str]:
    """Run the documented command for `backup`."""
    python, *rest = documented(word)
    assert python == "python"
    arguments = [str(backup) if argument == "atelier-backup.db" else argument for argument in rest]
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=service.environment, capture_output=True, text=True, timeout=120
    )


def until_all_finished(client: ImageServiceClient, ids: list[str]) -> None:
    deadline = time.monotonic() + 90
    while not all(client.job(job_id).state.finished for job_id in ids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_backup_under_load_is_restored_after_everything_was_lost_and_the_queue_goes_on(
    tmp_path: Path, models_folder: Path
) -> None:
    service = RunningService(tmp_path, MODELS_FOLDER=str(models_folder), DEFAULT_MODEL="one")
    backup = tmp_path / "elsewhere" / "night.db"
    backup.parent.mkdir()
    acknowledged: list[str] = []
    enough = threading.Event()
    with service, ImageServiceClient(service.url) as client:

        def submit(prompt: str) -> str:
            return client.submit({"prompt": prompt, "model": "one", "width": 64, "height": 64}).id

        loved = submit("a loved picture")
        until_all_finished(client, [loved])
        client.set_favourite(client.job(loved).images[0].id, True)

        def load() -> None:
            while not enough.is_set():
                acknowledged.append(submit(f"!slow number {len(acknowledged)}"))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            while len(acknowledged) < 5:
                time.sleep(0.02)
            before = [loved, *acknowledged]
            done = say(service, "backup", backup)
        finally:
            enough.set()
            thread.join()
        assert done.returncode == 0, done.stderr
        assert str(tmp_path / "output") in done.stdout  # it says where the pictures are
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        assert [file.name for file in backup.parent.iterdir()] == ["night.db"]
        refused = say(service, "restore", backup)
        assert refused.returncode != 0
        assert "already runs" in refused.stderr
        service.kill()

    shutil.rmtree(tmp_path / "data")
    restored = say(service, "restore", backup)
    assert restored.returncode == 0, restored.stderr
    with service, ImageServiceClient(service.url) as client:
        for job_id in before[2:]:
            client.cancel(job_id)  # drawing them all would take too long
        until_all_finished(client, before)
        states = [client.job(job_id).state for job_id in before]
        assert set(states) <= {JobState.SUCCEEDED, JobState.CANCELLED}
        assert states[:2] == [JobState.SUCCEEDED] * 2
        [favourite], _ = client.images(favourite=True)
        assert favourite.job_id == loved
        assert client.image_bytes(favourite.id).startswith(b"\x89PNG")
        for job_id in before[:2]:
            assert [image.index for image in client.job(job_id).images] == [0]


def test_a_backup_that_is_none_changes_nothing(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    service.start()
    service.stop()
    database = tmp_path / "data" / "atelier.db"
    before = database.read_bytes()
    newer = tmp_path / "newer.db"
    shutil.copyfile(database, newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    (tmp_path / "text.db").write_text("not a database at all")
    cut = tmp_path / "cut.db"
    shutil.copyfile(database, cut)
    os.truncate(cut, cut.stat().st_size // 8192 * 4096)
    for wrong in (newer, tmp_path / "text.db", cut, tmp_path / "missing.db"):
        done = say(service, "restore", wrong)
        assert done.returncode != 0
        assert str(wrong) in done.stderr
        assert "Traceback" not in done.stderr
        assert database.read_bytes() == before


def test_on_postgresql_it_says_which_tool_to_use_and_tells_no_password(tmp_path: Path) -> None:
    service = RunningService(tmp_path, DATABASE_URL="postgresql+psycopg://me:secret@db.example/atelier")
    done = say(service, "backup", tmp_path / "x.dump")
    assert done.returncode != 0
    assert "pg_dump --format=custom" in done.stderr
    assert "postgresql://me@db.example/atelier" in done.stderr
    assert "secret" not in done.stderr + done.stdout
