"""One service for each data folder: a lock on `data/.lock`, held by the process that owns the job table."""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from app.core.errors import AtelierError

LOCK_FILE = ".lock"
OWNER_FILE = ".lock.owner"  # beside it: the lock file itself is emptied by everybody who asks for it


class DataFolderTaken(AtelierError):
    """Another image service works on this data folder."""

    code = "data_folder_taken"


class DataLock:
    """A lock of the operating system: it ends with the process that holds it, so it can never be left behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_FILE, mode=0o600, thread_local=False)

    def acquire(self, owner: int, patience_s: float = 0) -> None:
        """Take the lock and note `owner` as the process to name to others.

        Waits up to `patience_s` for a process that is just ending. Raises DataFolderTaken naming its owner.
        """
        try:
            self._lock.acquire(timeout=patience_s)
        except Timeout:
            raise DataFolderTaken(
                f"Process {self._owner()} already runs an image service on {self._folder}.",
                hint="Use that one, end it, or give this one another ATELIER_DATA_FOLDER.",
            ) from None
        (self._folder / OWNER_FILE).write_text(f"{owner}\n", encoding="ascii")

    def release(self) -> None:
        """Let the next one in. Idempotent."""
        self._lock.release()

    def _owner(self) -> str:
        try:
            return (self._folder / OWNER_FILE).read_text(encoding="ascii").strip() or "unknown"
        except OSError:
            return "unknown"


def check(folder: Path) -> None:
    """Raise DataFolderTaken if a service works on `folder` right now."""
    lock = DataLock(folder)
    lock.acquire(os.getpid())
    lock.release()
