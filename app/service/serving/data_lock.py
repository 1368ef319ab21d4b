"""One service for each data folder and each SQLite file: locks held by the process that owns the job table."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import make_url

from app.core.errors import AtelierError
from app.core.settings import Settings
from app.database import file_of

LOCK_FILE = ".lock"


class DataFolderTaken(AtelierError):
    """Another image service works on this data folder."""

    code = "data_folder_taken"


@dataclass(frozen=True)
class _Place:
    """Something that one service at a time may work on: its name for people, its lock file, how to choose another."""

    name: str
    lock: Path
    setting: str

    @property
    def owner(self) -> Path:
        """Who has it. A file of its own: the lock file itself is emptied by everybody who asks for it."""
        return self.lock.with_name(f"{self.lock.name}.owner")


class DataLock:
    """Locks of the operating system: they end with the process that holds them, so none can be left behind."""

    def __init__(self, settings: Settings) -> None:
        self._places = [_Place(str(settings.data_folder), settings.data_folder / LOCK_FILE, "ATELIER_DATA_FOLDER")]
        # The same file may be reached by another service with another data folder: by its URL, or through a link.
        file = file_of(make_url(settings.resolved_database_url))
        if file is not None:
            lock = file.with_name(f"{file.name}{LOCK_FILE}")
            self._places.append(_Place(f"the job table {file}", lock, "ATELIER_DATABASE_URL"))
        self._held = ExitStack()

    def acquire(self, owner: int, patience_s: float = 0) -> None:
        """Take the locks and note `owner` as the process to name to others.

        Waits up to `patience_s` for a process that is just ending. Raises DataFolderTaken naming its owner; nothing
        is held then.
        """
        with ExitStack() as held:
            for place in self._places:
                place.lock.parent.mkdir(parents=True, exist_ok=True)
                lock = FileLock(place.lock, mode=0o600, thread_local=False)
                try:
                    held.enter_context(lock.acquire(timeout=patience_s))
                except Timeout:
                    raise DataFolderTaken(
                        f"Process {_owner(place)} already runs an image service on {place.name}.",
                        hint=f"Use that one, end it, or give this one another {place.setting}.",
                    ) from None
                place.owner.write_text(f"{owner}\n", encoding="ascii")
            self._held = held.pop_all()

    def release(self) -> None:
        """Let the next one in. Idempotent."""
        self._held.close()


def check(settings: Settings) -> None:
    """Raise DataFolderTaken if a service works on this data right now."""
    lock = DataLock(settings)
    lock.acquire(os.getpid())
    lock.release()


def _owner(place: _Place) -> str:
    try:
        return place.owner.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
