"""The kill loop: clients submit and wait while processes of the service are killed at random moments."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.core.errors import ServiceError
from app.core.schema import GenerationRequest
from tests.system.history import Promises
from tests.system.load_clock import LoadClock
from tests.system.pair import Pair
from tests.system.victim import Victim, wait_until

OPEN_JOBS = 12  # as many are queued or running at any time: kills shall meet submits, runs and saves alike
END_S = 300.0
WAYS = ("all", "worker", "arbiter")  # whom a service kill hits: every process, the one with HTTP, the main one


@dataclass
class Report:
    """What was done to the service, and how long it took to come back (seconds of a machine that is not shared)."""

    engine_kills: int = 0
    service_kills: list[str] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    database_restarts: int = 0
    bucket_kills: int = 0
    doubled_submits: int = 0
    refused_submits: int = 0
    seconds: float = 0.0


class KillLoop:
    """Submits `requests` to a running service and kills it meanwhile, the same way for the same `seed`."""

    def __init__(
        self,
        service: Victim | Pair,
        requests: Sequence[GenerationRequest],
        *,
        seed: int,
        restart_database: Callable[[], None] | None = None,
        interrupt_bucket: Callable[[], None] | None = None,
    ) -> None:
        self._service = service
        self._requests = requests
        self._restart_database = restart_database
        self._interrupt_bucket = interrupt_bucket
        self._random = random.Random(seed)
        self._submit_random = random.Random(seed + 1)  # a thread of its own must not share a generator
        self._failure: BaseException | None = None
        self.promises = Promises()
        self.report = Report()

    def run(self, *, engine_kills: int, service_kills: int, bucket_kills: int = 0) -> Report:
        """Return when all jobs are finished and all kills are done."""
        started = time.monotonic()
        submitter = threading.Thread(target=self._submit_all, name="submitter")
        submitter.start()
        moments = [("engine", self._moment()) for _ in range(engine_kills)]
        moments += [("service", self._moment()) for _ in range(service_kills)]
        moments += [("database", self._moment())] if self._restart_database is not None else []
        moments += [("bucket", self._moment()) for _ in range(bucket_kills)]
        for kind, after in sorted(moments, key=lambda moment: moment[1]):
            wait_until(f"{after} jobs are finished", lambda after=after: self._finished() >= after, END_S)
            time.sleep(self._random.uniform(0, 0.08))
            if kind == "engine":
                wait_until("there is an engine to kill", self._service.kill_engine, END_S, 0.003)
                self.report.engine_kills += 1
            elif kind == "database" and self._restart_database is not None:
                self._restart_database()
                self.report.database_restarts += 1
            elif kind == "bucket" and self._interrupt_bucket is not None:
                self._interrupt_bucket()
                self.report.bucket_kills += 1
            else:
                self._kill_service()
        submitter.join()
        if self._failure is not None:
            raise self._failure
        wait_until("all jobs are finished", lambda: self._finished() >= len(self._requests), END_S)
        self.report.seconds = time.monotonic() - started
        return self.report

    def _moment(self) -> int:
        """After how many finished jobs a kill is due: not at the very end, where nothing would be left to kill."""
        return self._random.randrange(int(len(self._requests) * 0.9))

    def _kill_service(self) -> None:
        how = WAYS[len(self.report.service_kills) % len(WAYS)]
        self.report.service_kills.append(how)
        with LoadClock() as clock:
            if how == "worker":
                self._service.kill_worker()
            elif how == "arbiter":
                self._service.kill_arbiter()
                self._service.start(END_S)
            else:
                self._service.kill_all()
                self._service.start(END_S)
            self.report.back_s.append(round(clock.seconds, 2))

    def _submit_all(self) -> None:
        try:
            for number, request in enumerate(self._requests):
                while number - self._finished() >= OPEN_JOBS:
                    time.sleep(0.01)
                key = f"key-{number}"
                self.promises.requests[key] = request
                self._submit(key)
                if self._submit_random.random() < 0.2:  # as a client does whose answer was lost
                    self.report.doubled_submits += 1
                    self._submit(self._submit_random.choice(list(self.promises.ids)))
        except BaseException as error:
            self._failure = error

    def _submit(self, key: str) -> None:
        """Until it is acknowledged: only then is it promised."""
        deadline = time.monotonic() + END_S
        while True:
            try:
                self.promises.note(key, self._service.client.submit(self.promises.requests[key], idempotency_key=key))
                return
            except ServiceError as error:
                self.report.refused_submits += 1
                if error.http_status not in (429, 502, 503, 504) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _finished(self) -> int:
        """How many jobs are finished at least; -1 while the service does not answer."""
        if self._failure is not None:
            raise RuntimeError("submitting failed") from self._failure
        accepted = len(self.promises.ids)
        try:
            queue = self._service.client.status().queue
        except ServiceError:
            return -1
        return accepted - queue.queued - queue.running
