"""How much the library may take, how much it takes, and a warning before either that or the disk is used up."""

import threading
import time

from sqlalchemy import Engine, func, select

from app.core.errors import LibraryFull
from app.core.schema import JobError
from app.database import images, reading, trash
from app.storage import Store

COUNTED_EVERY_S = 10.0
WARN_FROM = 0.9  # of what the owner allows
SCARCE_BYTES = 2 * 2**30  # so little left on the disk is worth a warning
GIB = 2**30


class LibraryRoom:
    """Room for pictures. `max_bytes` is the owner's limit for all of them together, None = what the disk has."""

    def __init__(self, database: Engine, store: Store, max_bytes: int | None) -> None:
        self._database = database
        self._store = store
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._used = 0
        self._counted_at = float("-inf")

    def used_bytes(self) -> int:
        """What all pictures take, those in the trash too, as it was at most 10 s ago."""
        with self._lock:
            if time.monotonic() - self._counted_at > COUNTED_EVERY_S:
                with reading(self._database) as connection:
                    sums = [connection.scalar(select(func.sum(table.c.bytes))) for table in (images, trash)]
                self._used = sum(int(each or 0) for each in sums)
                self._counted_at = time.monotonic()
            return self._used

    def count_again(self) -> None:
        """Something was deleted: the next question is answered from the table."""
        with self._lock:
            self._counted_at = float("-inf")

    def check(self) -> None:
        """Raise LibraryFull if the pictures take all that the owner allows."""
        if self.max_bytes is not None and self.used_bytes() >= self.max_bytes:
            raise LibraryFull(f"The pictures take all of the {_gib(self.max_bytes)} that their owner allows them.")

    def warnings(self) -> list[JobError]:
        """What will soon keep new jobs out; [] if there is room."""
        found = []
        if self.max_bytes is not None and self.used_bytes() >= WARN_FROM * self.max_bytes:
            used = f"{_gib(self.used_bytes())} of the {_gib(self.max_bytes)} that their owner allows them"
            message = f"The pictures take {used}. From there on new jobs are refused."
            hint = "Delete pictures and empty the trash, or raise ATELIER_LIBRARY_MAX_BYTES."
            found.append(JobError(code="library_almost_full", message=message, hint=hint))
        free = self.free_bytes()
        if free is not None and free < SCARCE_BYTES:
            message = f"The disk of the pictures has {_gib(free)} left."
            found.append(JobError(code="disk_almost_full", message=message, hint="Free some room."))
        return found

    def free_bytes(self) -> int | None:
        """What the disk of the pictures has left; None while there is no folder, and of a bucket."""
        return self._store.free_bytes()


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.3g} GiB"
