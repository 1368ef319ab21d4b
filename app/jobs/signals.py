"""What the dispatcher's threads tell each other."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.core.errors import AtelierError, DatabaseBusy, DiskFull, StorageUnavailable
from app.core.schema import Job, JobError

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 5.0


class Bell:
    """Wakes all threads that wait for work. A ring between looking and waiting is not missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    def rings(self) -> int:
        """How often it rang; take it before looking for work."""
        with self._condition:
            return self._rings

    def ring(self) -> None:
        """Wake everybody."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, rings: int, timeout: float) -> None:
        """Until it rang more than `rings` times, at most `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings > rings, timeout)


class EmptyLine:
    """That nothing waits, found out by one engine's thread for all of a dispatcher, which look one after the other."""

    def __init__(self, good_for_s: float) -> None:
        self.looking = threading.Lock()
        self._good_for_s = good_for_s
        self._rings = -1
        self._until = 0.0

    def note(self, rings: int) -> None:
        """Nothing waited after so many rings of the bell."""
        self._rings, self._until = rings, time.monotonic() + self._good_for_s

    def forget(self) -> None:
        """A job may have been put back into the line."""
        self._rings = -1

    def known(self, rings: int) -> bool:
        """True if that was found out lately, and nobody rang since."""
        return rings == self._rings and time.monotonic() < self._until


class Held:
    """The jobs that this service has claimed and not yet settled, and those of them that should be let go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._cancelled: set[str] = set()

    def add(self, jobs: Iterable[Job]) -> None:
        """These were just claimed."""
        with self._lock:
            self._jobs |= {job.id: job for job in jobs}

    def drop(self, job: Job) -> None:
        """This one is settled in the table."""
        with self._lock:
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]
                self._cancelled.discard(job.id)

    def jobs(self) -> list[Job]:
        """All held jobs."""
        with self._lock:
            return list(self._jobs.values())

    def cancel(self, ids: Iterable[str]) -> None:
        """Let go of these."""
        with self._lock:
            self._cancelled |= self._jobs.keys() & set(ids)

    def is_cancelled(self, job_id: str) -> bool:
        """True if the job should be let go."""
        return job_id in self._cancelled


class Hold:
    """Why an engine takes no job right now, and until when. The delay doubles from 0.5 s to 5 s while it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delay_s = 0.0
        self._until = 0.0
        self.error: AtelierError | None = None
        self.needed_bytes = 0

    @property
    def problem(self) -> JobError | None:
        """The reason, as people are told it; None while there is none."""
        error = self.error
        return None if error is None else JobError.of(error)

    @property
    def storage_error(self) -> StorageUnavailable | None:
        """The reason if it is that pictures cannot be saved."""
        return self.error if isinstance(self.error, StorageUnavailable) else None

    def set(self, error: AtelierError, *, needed_bytes: int = 0) -> None:
        """Wait because of `error`; `needed_bytes` of disk are needed before another try makes sense."""
        with self._lock:
            self._delay_s = min(LONGEST_DELAY_S, self._delay_s * 2 or FIRST_DELAY_S)
            self._until = time.monotonic() + self._delay_s
            self.error = error
            self.needed_bytes = needed_bytes

    def lift(self) -> None:
        """The reason seems gone, though no job has shown it yet: if it comes back, the delay goes on rising."""
        with self._lock:
            self._until = 0.0
            self.error, self.needed_bytes = None, 0

    def clear(self) -> None:
        """It works again."""
        self.lift()
        with self._lock:
            self._delay_s = 0.0

    def left_s(self) -> float:
        """Seconds until the next try, 0 = now."""
        with self._lock:
            return max(0.0, self._until - time.monotonic())


@dataclass(frozen=True)
class Stopping:
    """The three steps of stopping: take no new job, let go of the running ones, give up."""

    asked: threading.Event = field(default_factory=threading.Event)
    letting_go: threading.Event = field(default_factory=threading.Event)
    giving_up: threading.Event = field(default_factory=threading.Event)


def insist(action: Callable[[], object], hold: Hold, stopping: Stopping, *, on_full: bool = True) -> bool | None:
    """Do `action` again and again while the database is busy (and, with `on_full`, while the disk is full).

    Its truth as it came; None if stopping went before it could be done: the next start recovers the job then.
    """
    while True:
        try:
            return bool(action())
        except DatabaseBusy as error:
            hold.set(error)
        except DiskFull as error:
            if not on_full:
                raise
            hold.set(error)
        if stopping.giving_up.wait(max(0.1, hold.left_s())):
            return None
