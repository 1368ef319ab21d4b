"""Only one process at a time changes the files of a model of the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from app.core.errors import ModelBusy

LOCK_FILE = ".atelier.lock"


@contextmanager
def alone(storage: Path) -> Iterator[None]:
    """Hold a model's storage folder, which must exist. Raises ModelBusy at once if another process holds it."""
    lock = FileLock(storage / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        name = storage.name.removeprefix("models--").replace("--", "/", 1)
        raise ModelBusy(f"{name} is being downloaded by another process.") from error
    try:
        yield
    finally:
        lock.release()
        (storage / LOCK_FILE).unlink(missing_ok=True)
