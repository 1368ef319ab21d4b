"""One service for each data folder: a lock on `data/.lock`, held by the process that owns the job table."""

import errno
import fcntl
import os
import time
from pathlib import Path

from app.core.errors import AtelierError

LOCK_FILE = ".lock"
RETRY_S = 0.05


class DataFolderTaken(AtelierError):
    """Another image service works on this data folder."""

    code = "data_folder_taken"


class DataLock:
    """An flock(2): it ends with the process that holds it, however that ends, so it can never be left behind."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOCK_FILE
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self, owner: int, patience_s: float = 0) -> None:
        """Take the lock and note `owner` as the process to name to others.

        Waits up to `patience_s` for a process that is just ending. Raises DataFolderTaken naming its owner.
        """
        deadline = time.monotonic() + patience_s
        # O_CLOEXEC is Python's default: the engine's process must not keep the lock when the service dies.
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        while not _locked(descriptor):
            if time.monotonic() >= deadline:
                pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(descriptor)
                raise DataFolderTaken(
                    f"Process {pid} already runs an image service on {self._folder}.",
                    hint="Use that one, end it, or give this one another ATELIER_DATA_FOLDER.",
                )
            time.sleep(RETRY_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def check(folder: Path) -> None:
    """Raise DataFolderTaken if a service works on `folder` right now."""
    lock = DataLock(folder)
    lock.acquire(os.getpid())
    lock.release()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
